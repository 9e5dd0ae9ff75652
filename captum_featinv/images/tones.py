"""Grey pictures of more than 8 bits: which of their numbers is white?

A file that has room for 16 bits may hold the 12 of a camera, and one of 32 anything. Its format says
what fits in; what is in there may say something else, and then it decides, with a warning.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from captum_featinv.errors import ArgumentError, warn

# Under this name `open_picture` notes what a TIFF's own tag says.
BITS = "bits_per_sample"

# What scanners, cameras, microscopes and masks put out.
_DEPTHS = (1, 8, 10, 12, 14, 16)
# Floating point up to here is a picture in [0, 1] that overshoots, not one in 0..255.
_OVERSHOT = 2.0

Values = npt.NDArray[np.float64]


def is_deep(picture: Image.Image) -> bool:
    """Whether a picture has more than 8 bits a channel: Pillow would clip it."""
    return picture.mode.startswith("I") or picture.mode == "F"


def in_eight_bits(picture: Image.Image) -> Image.Image:
    """A deep picture with 0 for black and 255 for white.

    Raises:
        ArgumentError: it has values that are NaN or infinite.

    Warns:
        FeatInvWarning: the values have another range than the format, which is taken instead.
    """
    values = np.asarray(picture).astype(np.float64)
    wrong = int((~np.isfinite(values)).sum())
    if wrong:
        raise ArgumentError(
            f"the picture has {wrong} values that are NaN or infinite, expected finite ones; save it "
            "with numbers in their place, see numpy.nan_to_num"
        )
    low, high = _range(picture, values)
    shown = ((values - low) / (high - low)).clip(0, 1)
    return Image.fromarray((255 * shown).round().astype(np.uint8))


def _range(picture: Image.Image, values: Values) -> tuple[float, float]:
    """What is black and what is white."""
    least, most = float(values.min()), float(values.max())
    if least < 0:
        return _taken(picture, least, most, "the values that it has, some of them negative")
    if picture.mode == "F" and most <= _OVERSHOT:
        return 0.0, 1.0
    bits = _bits_of(picture)
    found = next((depth for depth in _DEPTHS if most < 2**depth), None)
    if found is None:  # 32 bits say nothing: nobody fills them
        return _taken(picture, 0.0, most, "up to the largest value that it has")
    # Half a step less than the format has is a dark picture; two bits less, another format.
    if most == 0 or found >= bits - 1:
        return 0.0, 2.0**bits - 1
    return _taken(picture, 0.0, 2.0**found - 1, f"{found} bits")


def _bits_of(picture: Image.Image) -> int:
    """How many bits the format has."""
    if BITS in picture.info:
        return int(picture.info[BITS])
    # What Pillow reads as I without a tag are PGM and old PNG files, which it scales to 16 bits.
    return 32 if picture.mode == "F" else 16


def _taken(picture: Image.Image, low: float, high: float, why: str) -> tuple[float, float]:
    most = np.asarray(picture).max()
    warn(
        f"a picture of {_bits_of(picture)} bits holds values up to {most:g}; taken as {why}, "
        f"black {low:g} and white {high:g}. Save it in 8 bits to choose for yourself"
    )
    return low, high
