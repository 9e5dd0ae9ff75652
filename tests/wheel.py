"""What would be published works where the sources are not: `python -m tests.wheel --help`."""

import argparse
import sys
import sysconfig
import tarfile
from collections.abc import Sequence
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from zipfile import ZipFile

from PIL import Image

from tests.environment import environment, install, run

ROOT = Path(__file__).parents[1]

INVERSION = """
import captum_featinv
import torch
from torch import nn

model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
fmi = captum_featinv.FeatureMapInversion(model, "1")
found = fmi.attribute(torch.rand(1, 3, 16, 20), 0, n_steps=2)
assert found.shape == (1, 3, 16, 20) and found.isfinite().all()
print(captum_featinv.__file__)
"""


def built(folder: Path) -> tuple[Path, Path]:
    """The sdist, and the wheel made from it; both have a description that can be shown."""
    python = environment(folder / "builder")
    install(python, "build", "twine")
    run(python, "-m", "build", "--outdir", folder / "dist", ROOT)
    print(run(python, "-m", "twine", "check", "--strict", *(folder / "dist").iterdir()), end="")
    (sdist,), (wheel,) = (list((folder / "dist").glob(kind)) for kind in ("*.tar.gz", "*.whl"))
    return sdist, wheel


def tracked() -> set[str]:
    """The repository's files."""
    return set(filter(None, run("git", "ls-files", "-z", folder=ROOT).split("\0")))


def left_out(sdist: Path, wheel: Path) -> list[str]:
    """Files of the repository that the sdist lacks, and of the package that the wheel lacks."""
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    code = {name for name in tracked() if name.startswith("captum_featinv/")}
    missing = {sdist: tracked() - packed, wheel: code - set(ZipFile(wheel).namelist())}
    return [f"{name} is not in {path.name}" for path in missing for name in sorted(missing[path])]


def installed(wheel: Path, folder: Path) -> Path:
    """The interpreter of an environment with the wheel, which borrows what it needs from ours."""
    python = environment(folder)
    install(python, "--no-deps", wheel)
    (packages,) = folder.glob("lib/python*/site-packages")
    # Our own `.pth` files are not read there, so that an editable install of ours is not seen.
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def used(python: Path, folder: Path) -> None:
    """What the README says first, in an empty folder: help, the demo, and a picture in Python."""
    folder.mkdir()
    command = python.with_name("captum-featinv")
    run(command, "--help", folder=folder)
    run(command, "demo", "--size", "48", folder=folder)
    assert [path.name for path in folder.iterdir()] == ["demo.png"]
    Image.open(folder / "demo.png").verify()
    place = run(python, "-W", "error", "-c", INVERSION, folder=folder).strip()
    if Path(place).is_relative_to(ROOT):
        sys.exit(f"{place} was imported, which is not what was installed")


def main(arguments: Sequence[str] | None = None) -> None:
    """Build, look inside, install, and do what a newcomer does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="keep what was built and tried here"
    )
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as made:
        folder = Path(made).resolve()
        sdist, wheel = built(folder)
        if missing := left_out(sdist, wheel):
            sys.exit("\n".join(missing))
        used(installed(wheel, folder / "user"), folder / "elsewhere")
        if options.out is not None:
            options.out.mkdir(exist_ok=True)
            for path in (sdist, wheel):
                copy(path, options.out)
        print(f"{sdist.name}, {wheel.name}: work")


if __name__ == "__main__":
    main()
