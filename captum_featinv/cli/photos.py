"""Photos as a network takes them: their size and part, in colour or grey, on its device."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from captum_featinv.errors import ArgumentError
from captum_featinv.images.files import (
    central_square,
    from_picture,
    grey,
    middle_of,
    open_picture,
)
from captum_featinv.images.folder import picture_files, readable
from captum_featinv.models import LoadedModel


def edge_of(loaded: LoadedModel, asked: int | None, default: int, option: str = "--size") -> int:
    """The long edge that was asked for, or else the model's only one, or the default.

    Raises:
        ArgumentError: the model takes another size only.
    """
    if not loaded.size_fixed or loaded.size is None:
        return default if asked is None else asked
    if asked not in (None, loaded.size):
        raise ArgumentError(
            f"{loaded.description} takes {loaded.size} x {loaded.size} pixels only, not {option} "
            f"{asked}; leave {option} out, and the middle of the photo is taken at that size"
        )
    return loaded.size


def as_taken(picture: Image.Image, loaded: LoadedModel, edge: int, *, crop: bool = False) -> Tensor:
    """A picture in [0, 1], (1, C, H, W), whole if the model takes that and nobody asked for less."""
    square = crop or loaded.size_fixed
    return _fitting(from_picture(central_square(picture) if square else picture, edge), loaded)


def as_tested(picture: Image.Image, loaded: LoadedModel, edge: int) -> Tensor:
    """The middle square of a picture as the model was tested, (1, C, edge, edge) in [0, 1]."""
    return _fitting(middle_of(picture, edge, loaded.shown), loaded)


def _fitting(photo: Tensor, loaded: LoadedModel) -> Tensor:
    """In the colours that the model takes, where it is."""
    if loaded.channels not in (1, 3):
        raise ArgumentError(
            f"{loaded.description} takes images of {loaded.channels} channels, but a photo has 3, or 1 "
            "in grey; pass your own tensors to FeatureMapInversion in Python"
        )
    return (grey(photo) if loaded.channels == 1 else photo).to(loaded.device)


def opened(paths: Sequence[str | Path]) -> list[tuple[str, Image.Image]]:
    """Pictures by their files' names, or where two are called the same by their paths.

    Those in folders are left out, with a warning, if they cannot be read.

    Raises:
        ArgumentError: a file that was named is no picture, or there is none in the folders.
    """
    found = [pair for path in map(Path, paths) for pair in _in(path)]
    if not found:
        raise ArgumentError(f"no pictures in {', '.join(repr(str(path)) for path in paths)}")
    names = [path.name for path, _ in found]
    several = len(set(names)) < len(names)
    return [(str(path) if several else path.name, picture) for path, picture in found]


def _in(path: Path) -> Iterator[tuple[Path, Image.Image]]:
    if not path.is_dir():
        yield path, open_picture(path)
        return
    for name, picture in readable(picture_files(path)):
        yield path / name, picture
