"""Photos as a network takes them: of its size, whole or their middle, in colour or grey."""

import argparse

from PIL import Image
from torch import Tensor

from captum_featinv.errors import ArgumentError
from captum_featinv.images.files import central_square, from_picture, grey, middle_of
from captum_featinv.models import LoadedModel


def add_size(parser: argparse.ArgumentParser, default: int) -> None:
    """How large; what is not given depends on the model, see `edge_of`."""
    parser.add_argument(
        "--size",
        type=int,
        metavar="PIXELS",
        help=f"the long edge; default {default}, or the one size that the model takes",
    )


def add_crop(parser: argparse.ArgumentParser) -> None:
    """Whether photos stay whole."""
    parser.add_argument(
        "--crop",
        action="store_true",
        help="take the largest square in the middle; always so for a model of one size",
    )


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
    return _coloured(from_picture(central_square(picture) if square else picture, edge), loaded)


def as_tested(picture: Image.Image, loaded: LoadedModel, edge: int) -> Tensor:
    """The middle square of a picture as the model was tested, (1, C, edge, edge) in [0, 1]."""
    return _coloured(middle_of(picture, edge, loaded.shown), loaded)


def _coloured(photo: Tensor, loaded: LoadedModel) -> Tensor:
    if loaded.channels not in (1, 3):
        raise ArgumentError(
            f"{loaded.description} takes images of {loaded.channels} channels, but a photo has 3, or 1 "
            "in grey; pass your own tensors to FeatureMapInversion in Python"
        )
    return grey(photo) if loaded.channels == 1 else photo
