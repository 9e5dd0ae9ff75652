"""Write a file whole or not at all: whoever reads meanwhile, and whatever fails, finds the old one."""

import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from stat import S_IMODE
from typing import BinaryIO


def write_whole(
    path: Path, content: bytes, *, beside: Path | None = None, synced: bool = True
) -> None:
    """Write a file beside, and put it in its place when it is whole.

    What is no file (a terminal, a pipe) is written to as it is, and behind a link the file it means.

    Args:
        path: of the file.
        content: all of it.
        beside: where it is written first, on the same disk; a hidden name in its folder if None.
        synced: whether it is to be whole after a power failure too, which takes the disk's time.

    Raises:
        OSError: it could not be written; what was at `path` is there as it was.
    """
    if path.exists() and not path.is_file():
        try:
            path.write_bytes(content)
        except OSError as error:
            raise _of(path, error) from error
        return
    path = path.resolve()
    beside = _hidden_in(path.parent) if beside is None else beside
    try:
        with _opened(beside) as file:
            file.write(content)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        if path.exists():
            beside.chmod(S_IMODE(path.stat().st_mode))
        beside.replace(path)
    except BaseException as error:
        with suppress(OSError):  # a disk that fails may do so again
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise _of(path, error) from error
        raise


def require_writable(path: Path) -> None:
    """Find out now whether a file can be written there, rather than after minutes of work.

    Raises:
        OSError: it cannot, and why.
    """
    if path.exists() and not path.is_file():
        return
    path = path.resolve()
    if path.exists():
        path.open("r+b").close()
    require_writable_folder(path.parent)


def require_writable_folder(folder: Path) -> None:
    """The same for any file in a folder.

    Raises:
        OSError: there can be none, and why.
    """
    trial = _hidden_in(folder)
    try:
        trial.open("xb").close()
    except OSError as error:
        raise _of(folder, error) from error
    trial.unlink()


def _of(path: Path, error: OSError) -> OSError:
    """The same error, which says what it is about: a full disk says nothing."""
    return OSError(error.errno, error.strerror, str(path))


def _hidden_in(folder: Path) -> Path:
    """A new name, which listings and readers of folders pass over."""
    return folder / f".{token_hex(8)}.part"


def _opened(path: Path) -> BinaryIO:
    """A new file, in a folder that another process may just have found empty and taken away."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            return path.open("wb")
