"""Virtual environments that are made for one check."""

import subprocess
import sys
from pathlib import Path


def run(*command: str | Path, folder: Path | None = None) -> str:
    """Run a command in a folder and return what it printed; its errors are seen."""
    done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def environment(folder: Path, python: str = sys.executable) -> Path:
    """The interpreter of a new virtual environment, of which `python` is the version."""
    run(python, "-m", "venv", folder)
    return folder / "bin" / "python"


def install(python: Path, *asked: str | Path) -> None:
    """By pip, into the interpreter's environment."""
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *asked)
