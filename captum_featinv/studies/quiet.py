"""Let other people's methods loose on a model without the user noticing."""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


def scratch_copy(model: nn.Module) -> nn.Module:
    """A copy whose modules write nothing in place, as backward hooks demand."""
    copied = copy.deepcopy(model)
    for module in copied.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment] # a bool, whatever nn.Module declares
    return copied


@contextmanager
def without_captums_warnings() -> Iterator[None]:
    """A block in which Captum does not announce that it hooks modules and asks for gradients."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"captum\.")
        yield
