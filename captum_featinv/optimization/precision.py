"""How the steps of a search are computed: in which precision, and how images lie in memory."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from captum_featinv.errors import ArgumentError

Precision = Literal["auto", "float32", "bfloat16"]

# How far the code may be from the one in the model's own precision, relative to its size: bfloat16
# keeps 8 bits, and a deep network adds up some of their rounding.
_AGREES = 0.1


class Arithmetic(NamedTuple):
    """A way to compute, which changes neither the model nor its weights.

    Args:
        half: whether the model runs under autocast to bfloat16.
        channels_last: whether images go in with their channels last in memory.
    """

    half: bool = False
    channels_last: bool = False

    def format_of(self, image: Tensor) -> torch.memory_format:
        """How an image lies in memory when it goes into the model."""
        last = self.channels_last and image.dim() == 4
        return torch.channels_last if last else torch.contiguous_format

    def active(self, device: torch.device) -> AbstractContextManager[object]:
        """A block in which the model runs; it can be entered again and again."""
        return torch.autocast(device.type, torch.bfloat16) if self.half else nullcontext()


PLAIN = Arithmetic()


def candidates(precision: Precision, images: Sequence[Tensor]) -> list[Arithmetic]:
    """Ways to compute, the fastest first; the last, the model's own, always works.

    The choice is made by what is asked for and by what the device can do, never by a clock, so that
    equal commands give equal pictures. Images in another dtype than float32 and devices other than CPU
    and CUDA get the model's own alone.

    Args:
        precision: `"float32"`, `"bfloat16"`, or `"auto"`: bfloat16 on a GPU that has it.
        images: in the model's input space.

    Raises:
        ArgumentError: `precision` is none of the three.
    """
    checked(precision)
    device = images[0].device
    if device.type not in ("cpu", "cuda") or any(i.dtype != torch.float32 for i in images):
        return [PLAIN]
    half = precision == "bfloat16" or (precision == "auto" and _has_bfloat16(device))
    # A GPU gains from channels in the last place with half precision alone.
    full = [Arithmetic(channels_last=True)] if device.type == "cpu" else []
    halved = [Arithmetic(half=True, channels_last=True), Arithmetic(half=True)] if half else []
    return [*halved, *full, PLAIN]


def checked(precision: Precision) -> Precision:
    """The precision, if it is one.

    Raises:
        ArgumentError: it is none of the three.
    """
    if precision not in get_args(Precision):
        known = ", ".join(map(repr, get_args(Precision)))
        raise ArgumentError(f"precision={precision!r} is none of {known}")
    return precision


def agreeing(code: Tensor, reference: Tensor) -> Tensor:
    """Which rows of a code are, but for rounding, those of the model's own precision, (rows,).

    Row by row, so that a photo's picture does not depend on its neighbours.
    """
    if code.shape != reference.shape:
        return torch.zeros(len(reference), dtype=torch.bool, device=reference.device)
    distance = torch.linalg.vector_norm((code - reference).flatten(1), dim=1)
    size = torch.linalg.vector_norm(reference.flatten(1), dim=1)
    agrees: Tensor = distance <= _AGREES * size
    return agrees


def name_of(precision: Precision, images: Sequence[Tensor]) -> str:
    """The precision that is chosen for such images, in words, as reports have it."""
    dtype = "bfloat16" if candidates(precision, images)[0].half else str(images[0].dtype)
    return dtype.removeprefix("torch.")


def _has_bfloat16(device: torch.device) -> bool:
    """Whether a GPU computes bfloat16 itself rather than emulating it."""
    if device.type != "cuda":
        return False
    with torch.cuda.device(device):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
