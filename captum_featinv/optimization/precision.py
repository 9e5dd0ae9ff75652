"""How the steps of a search are computed: in which precision, and how images lie in memory."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from captum_featinv.errors import ArgumentError

Precision = Literal["auto", "float32", "bfloat16"]

# How far the code may be from the one in the model's own precision, relative to its size: bfloat16
# keeps 8 bits, and a deep network adds up some of their rounding.
_AGREES = 0.1

# A convolution has to be this much faster in bfloat16 before a search takes it.
_WORTHWHILE = 1.25


class Numerics(NamedTuple):
    """A way to compute, which changes neither the model nor its weights.

    Args:
        half: whether the model runs under autocast to bfloat16.
        channels_last: whether images go in with their channels last in memory.
    """

    half: bool = False
    channels_last: bool = False

    def lay(self, image: Tensor) -> Tensor:
        """An image as it goes into the model."""
        if not self.channels_last or image.dim() != 4:
            return image
        return image.contiguous(memory_format=torch.channels_last)

    def active(self, device: torch.device) -> AbstractContextManager[object]:
        """A block in which the model runs."""
        return torch.autocast(device.type, torch.bfloat16) if self.half else nullcontext()

    def agrees(self, code: Tensor, reference: Tensor) -> bool:
        """Whether a code computed so is the code of the model's own precision, but for rounding."""
        if code.shape != reference.shape:
            return False
        distance = torch.linalg.vector_norm(code - reference)
        return bool(distance <= _AGREES * torch.linalg.vector_norm(reference))


PLAIN = Numerics()


def candidates(precision: Precision, images: Sequence[Tensor]) -> list[Numerics]:
    """Ways to compute, the fastest first; the last, the model's own, always works.

    Images in another dtype than float32 and devices other than CPU and CUDA get that one alone.

    Args:
        precision: `"float32"`, `"bfloat16"`, or `"auto"`: bfloat16 where a trial on the device shows
            that it pays.
        images: in the model's input space.

    Raises:
        ArgumentError: `precision` is none of the three.
    """
    if precision not in get_args(Precision):
        known = ", ".join(map(repr, get_args(Precision)))
        raise ArgumentError(f"precision={precision!r} is none of {known}")
    device = images[0].device
    if device.type not in ("cpu", "cuda") or any(i.dtype != torch.float32 for i in images):
        return [PLAIN]
    half = precision == "bfloat16" or (precision == "auto" and halving_pays(device))
    # A GPU gains from channels in the last place with half precision alone.
    full = [Numerics(channels_last=True)] if device.type == "cpu" else []
    halved = [Numerics(half=True, channels_last=True), Numerics(half=True)] if half else []
    return [*halved, *full, PLAIN]


def halving_pays(device: torch.device) -> bool:
    """Whether convolutions are faster in bfloat16 here, tried once a process."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return _cpu_gain(torch.get_num_threads()) >= _WORTHWHILE


@lru_cache
def _cpu_gain(_threads: int) -> float:
    """How many times faster a convolution and its gradient are in bfloat16, in a tenth of a second.

    CPUs that have the instructions need not be faster with them, so the flags do not tell.
    """
    image = torch.ones(2, 64, 56, 56).contiguous(memory_format=torch.channels_last)
    kernel = torch.ones(64, 64, 3, 3)

    def seconds(dtype: torch.dtype) -> float:
        begin = time.perf_counter()
        shown = image.detach().requires_grad_()
        out = conv2d(shown.to(dtype), kernel.to(dtype), padding=1)
        torch.autograd.grad(out.sum(dtype=torch.float32), shown)
        return time.perf_counter() - begin

    # In turns, so that both meet the same machine; the first of each only warms up.
    rounds = [(seconds(torch.float32), seconds(torch.bfloat16)) for _ in range(6)][1:]
    full, half = (min(column) for column in zip(*rounds, strict=True))
    return float(full / half)
