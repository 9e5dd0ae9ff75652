"""What would be published works where the sources are not: `python -m tests.wheel`."""

import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

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


def built(folder: Path) -> Path:
    """The wheel, made from the sdist; both have a description that can be shown."""
    python = environment(folder / "builder")
    install(python, "build", "twine")
    run(python, "-m", "build", "--outdir", folder / "dist", ROOT)
    print(run(python, "-m", "twine", "check", "--strict", *(folder / "dist").iterdir()), end="")
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def left_out(wheel: Path) -> list[str]:
    """Files of the package that are not in the wheel, of code, of pages or of types."""
    there = set(ZipFile(wheel).namelist())
    files = [path for path in (ROOT / "captum_featinv").rglob("*") if path.is_file()]
    names = {path.relative_to(ROOT).as_posix() for path in files if path.suffix != ".pyc"}
    return sorted(names - there)


def installed(wheel: Path, folder: Path) -> Path:
    """The interpreter of an environment with the wheel, which borrows what it needs from ours."""
    python = environment(folder)
    install(python, "--no-deps", wheel)
    (packages,) = folder.glob("lib/python*/site-packages")
    # Our own `.pth` files are not read there, so that an editable install of ours is not seen.
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def main() -> None:
    """Build, look inside, install, and ask for help and for a picture."""
    with TemporaryDirectory() as made:
        folder = Path(made).resolve()
        wheel = built(folder)
        if missing := left_out(wheel):
            sys.exit(f"not in {wheel.name}: {', '.join(missing)}")
        python = installed(wheel, folder / "user")
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        run(python.with_name("captum-featinv"), "--help", folder=elsewhere)
        place = run(python, "-W", "error", "-c", INVERSION, folder=elsewhere).strip()
        if not Path(place).is_relative_to(folder):
            sys.exit(f"{place} was imported, which is not what was installed")
        print(f"{wheel.name}: works")


if __name__ == "__main__":
    main()
