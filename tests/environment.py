"""Virtual environments that are made for one check."""

import os
import subprocess
import sys
from pathlib import Path


def run(*command: str | Path, folder: Path | None = None) -> str:
    """Run a command in a folder and return what it printed; its errors are seen.

    It imports what its environment has, whatever `PYTHONPATH` says here.
    """
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=folder, env=env, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def environment(folder: Path, python: str = sys.executable) -> Path:
    """The interpreter of a new virtual environment, of which `python` is the version."""
    run(python, "-m", "venv", folder)
    return folder / "bin" / "python"


def install(python: Path, *asked: str | Path) -> None:
    """By pip, into the interpreter's environment."""
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *asked)
