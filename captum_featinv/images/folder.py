"""The pictures in a folder."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from captum_featinv.errors import ArgumentError, warn
from captum_featinv.images.files import middle_of, open_picture


def load_folder(folder: str | Path, edge: int) -> Tensor:
    """The middle squares of all pictures in a folder, (N, 3, edge, edge) in [0, 1], by their names.

    Args:
        folder: with files whose names end as pictures' do; others and hidden ones are passed over.
        edge: in pixels.

    Returns:
        float32 in [0, 1], (N, 3, edge, edge).

    Raises:
        ArgumentError: no such folder, or no picture in it.

    Warns:
        FeatInvWarning: a file holds no picture, and is left out.
    """
    if not Path(folder).is_dir():
        raise ArgumentError(f"{str(folder)!r} is no folder")
    photos = [middle_of(picture, edge) for _, picture in readable(picture_files(Path(folder)))]
    if not photos:
        raise ArgumentError(f"no pictures in {str(folder)!r}")
    return torch.cat(photos)


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
