"""The forms in which an image to optimise may be given."""

from collections.abc import Iterable

from torch import Tensor, nn

from captum_featinv.errors import ArgumentError, ArgumentTypeError
from captum_featinv.param.images import image
from captum_featinv.param.parameterization import Parameterization
from captum_featinv.param.photo import checked_photo

_FORMS = (
    "a function that returns (parameters, draw), e.g. lambda: param.image(128); or such a pair, e.g. "
    "param.image(128); or a torch.nn.Module whose forward() draws the image; or a start image, "
    "(batch, channel, height, width) in [0, 1]"
)


def as_param(p: object) -> Parameterization:
    """Whatever form an image to optimise is given in, as parameters and a function that draws it.

    Args:
        p: a function, Lucent's `param_f`, that returns a pair (parameters, draw); or such a pair; or
            a module whose `forward()` draws the image, of whose parameters those count that require
            a gradient; or a start image, (batch, channel, height, width) in [0, 1], which becomes
            `param.image` with `init`.

    Returns:
        Parameters, and the function that draws the image from them.

    Raises:
        ArgumentTypeError: it is none of these.
        ArgumentError: it has no parameters, or as a start image another shape or range.
    """
    if isinstance(p, Tensor):
        return _started(checked_photo(p, "a start image"))
    if isinstance(p, nn.Module):
        trainable = [parameter for parameter in p.parameters() if parameter.requires_grad]
        return _pair((trainable, p), f"the parameters of {type(p)} that require a gradient")
    if callable(p):
        return _pair(p(), "the function's first return value")
    return _pair(p, "the first of the pair")


def _started(init: Tensor) -> Parameterization:
    _, channel, height, width = init.shape
    return image(width, height, channels=None if channel == 3 else channel, init=init)


def _pair(pair: object, whose: str) -> Parameterization:
    if not isinstance(pair, tuple | list) or len(pair) != 2 or not callable(pair[1]):
        raise ArgumentTypeError(f"an image to optimise must be {_FORMS}; but found: {_kind(pair)}")
    parameters, draw = pair
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    if not isinstance(parameters, Iterable):
        raise ArgumentTypeError(f"{whose} must be a list of tensors but found: {type(parameters)}")
    listed = list(parameters)
    wrong = next((type(one) for one in listed if not isinstance(one, Tensor)), None)
    if wrong is not None:
        raise ArgumentTypeError(f"{whose} must be a list of tensors but has in it: {wrong}")
    if not listed:
        raise ArgumentError(f"{whose}: there are none, so there is nothing to optimise")
    return Parameterization(listed, draw)


def _kind(pair: object) -> str:
    if isinstance(pair, tuple | list):
        return f"{type(pair).__name__} of {[type(one).__name__ for one in pair]}"
    return str(type(pair))
