"""Let other people's methods loose on a model without the user noticing."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from captum_featinv.models.copying import copied
from captum_featinv.network.hooking.compiled import unwrapped
from captum_featinv.network.inputs import clones


def scratch_copy(model: nn.Module) -> nn.Module:
    """A copy that writes nothing in place, neither into its inputs, as backward hooks demand.

    What torch.compile wrapped is copied as it was.
    """
    scratch = copied(unwrapped(model))
    for module in scratch.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment] # a bool, whatever nn.Module declares
    scratch.register_forward_pre_hook(lambda _model, inputs: clones(inputs))
    return scratch


@contextmanager
def without_captums_warnings() -> Iterator[None]:
    """A block in which Captum does not announce that it hooks modules and asks for gradients."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"captum\.")
        yield
