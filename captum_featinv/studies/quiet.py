"""Let other people's methods loose on a model without the user noticing."""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from captum_featinv.network.hooking.compiled import unwrapped
from captum_featinv.network.inputs import clones


def scratch_copy(model: nn.Module) -> nn.Module:
    """A copy that writes nothing in place, neither into its inputs, as backward hooks demand.

    What torch.compile wrapped is copied as it was, and weights that are computed from others, as
    weight normalisation keeps them, without the way in which they were.
    """
    model = unwrapped(model)
    attributes = (value for module in model.modules() for value in vars(module).values())
    computed = (v for v in attributes if isinstance(v, Tensor) and not v.is_leaf)
    copied: nn.Module = copy.deepcopy(model, {id(v): v.detach().clone() for v in computed})
    for module in copied.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment] # a bool, whatever nn.Module declares
    copied.register_forward_pre_hook(lambda _model, inputs: clones(inputs))
    return copied


@contextmanager
def without_captums_warnings() -> Iterator[None]:
    """A block in which Captum does not announce that it hooks modules and asks for gradients."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"captum\.")
        yield
