"""The pictures in a folder, for commands that take one."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image

from captum_featinv.errors import ArgumentError, warn
from captum_featinv.images.files import open_picture


def picture_files(folder: Path) -> list[Path]:
    """The files that their names call pictures; hidden ones are somebody else's business."""
    known = {end for end, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in known and not path.name.startswith(".") and path.is_file()
    )


def readable(paths: Iterable[Path]) -> Iterator[tuple[str, Image.Image]]:
    """Names and pictures, one after the other.

    Warns:
        FeatInvWarning: a file holds no picture, and is left out.
    """
    for path in paths:
        picture = _opened(path)
        if picture is not None:
            yield path.name, picture


def _opened(path: Path) -> Image.Image | None:
    try:
        return open_picture(path)
    except ArgumentError as error:
        warn(f"{error}; left out")
        return None
