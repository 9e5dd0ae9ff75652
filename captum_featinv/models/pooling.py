"""Average in place of max pooling, as the paper has it."""

from dataclasses import replace

from torch import nn

from captum_featinv.errors import ArgumentError, warn
from captum_featinv.models.copying import copied
from captum_featinv.models.loaded import LoadedModel


def average_pooling(model: nn.Module) -> nn.Module:
    """A copy of a model in which every `nn.MaxPool2d` is an average pooling of the same window.

    A pooling that is called as a function, as in inception_v3, stays what it is.

    Args:
        model: any module; it stays as it is.

    Returns:
        The copy.

    Raises:
        ArgumentError: a pooling is dilated, which an average pooling cannot be.
    """
    model = copied(model)
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):  # named_children leaves out repetitions
            if isinstance(child, nn.MaxPool2d):
                setattr(parent, name, _averaging(child))
    return model


def averaged(loaded: LoadedModel, name: str) -> LoadedModel:
    """A loaded model with average pooling.

    Warns:
        FeatInvWarning: there is no max pooling to swap.
    """
    model = average_pooling(loaded.model).eval()
    if not any(isinstance(module, nn.MaxPool2d) for module in loaded.model.modules()):
        warn(f"pooling='average' changes nothing: {name} has no nn.MaxPool2d")
        return replace(loaded, model=model)
    return replace(loaded, model=model, description=f"{loaded.description}, average pooling")


def _averaging(pool: nn.MaxPool2d) -> nn.AvgPool2d:
    if pool.dilation not in (1, (1, 1)):
        raise ArgumentError(f"an average pooling cannot be dilated as {pool} is")
    return nn.AvgPool2d(
        pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode, count_include_pad=False
    )
