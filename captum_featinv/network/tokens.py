"""Which grid of patches a transformer's tokens are, told from their number and from the model."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from captum_featinv.codes.grids import Grid, Size, grids_of, is_grid
from captum_featinv.errors import LayerError
from captum_featinv.network.hooking.compiled import unwrapped


def grid_of_tokens(
    output: Tensor, images: Tensor, layer: str, model: Callable[..., Any] | None = None
) -> Grid | None:
    """The grid of an output (N, length, channel), or None if there is none of that length.

    Args:
        output: of a layer, with three dimensions.
        images: what the model was shown, (N, C, H, W).
        layer: its name, for errors.
        model: whose layer it is, if known.

    Raises:
        LayerError: several grids are possible; or the output has not one row an image.
    """
    size, patches = (images.shape[-2], images.shape[-1]), patches_of(model, images.shape[1])
    rows, length, channel = output.shape
    said = (
        f"layer {layer!r} puts out shape {tuple(output.shape)} for inputs of shape "
        f"{tuple(images.shape)}"
    )
    if rows != len(images):
        swapped = length == len(images) and grids_of(rows, size, patches)
        raise LayerError(f"{said}: {_first(swapped[0]) if swapped else _WINDOWS}")
    found = grids_of(length, size, patches)
    if len(found) > 1:
        several = " or ".join(f"{one.prefix} and {one.height} x {one.width}" for one in found)
        raise LayerError(f"{said}: its tokens may be {several}; say which, view={_view(found[0])}")
    if not found and (lines := grids_of(channel, size, patches)):
        raise LayerError(f"{said}: {_last(lines[0])}")
    return found[0] if found else None


def refuse_windows(output: Tensor, images: Tensor, layer: str) -> None:
    """Raise for what is no map (N, channel, h, w), but (N, windows, places in each, channel).

    That is told by the numbers: h and w are no grid over the image, but all places together are.
    """
    size = (images.shape[-2], images.shape[-1])
    if output.dim() != 4 or images.dim() != 4 or is_grid(output.shape[2:], size):
        return
    if 1 in output.shape[1:]:  # maps that were pooled one way
        return
    places = output.shape[1] * output.shape[2]
    if any(not grid.prefix for grid in grids_of(places, size)):
        raise LayerError(
            f"layer {layer!r} puts out shape {tuple(output.shape)} for inputs of shape "
            f"{tuple(images.shape)}: these seem to be (N, windows, places, channel) of a transformer; "
            "choose the block around it, or if they are maps, say so, view=views.channels(1)"
        )


def patches_of(model: Callable[..., Any] | None, channels: int) -> set[Size]:
    """The patches into which a model cuts images of so many channels: height and width in pixels.

    They are those of its convolutions whose stride is their kernel.
    """
    inner = unwrapped(model)
    modules = inner.modules() if isinstance(inner, nn.Module) else ()
    return {
        (module.kernel_size[0], module.kernel_size[1])
        for module in modules
        if isinstance(module, nn.Conv2d)
        and module.in_channels == channels
        and module.kernel_size == module.stride != (1, 1)
    }


_WINDOWS = (
    "that is not one row an image, but perhaps one for each window or head of a transformer; choose "
    "the block around it"
)


def _first(grid: Grid) -> str:
    return (
        "that is (length, N, channel), tokens before images; say so, view=lambda output: "
        f"{_view(grid)}(output.transpose(0, 1))"
    )


def _last(grid: Grid) -> str:
    return (
        "these are no feature maps, but if they are (N, channel, length), say so, "
        f"view=views.compose(views.channels(-1), {_view(grid)})"
    )


def _view(grid: Grid) -> str:
    return f"views.tokens(prefix={grid.prefix}, grid=({grid.height}, {grid.width}))"
