"""Views: from what a layer puts out to a code (N, channel, *positions).

A view is any function of a layer's output. Those made here can be printed, compared and pickled, and
know their way back: `view.back(output, code)` is the output that has another code.
Without one, a layer's output is its code, with its channels last, or as a line of tokens, where the
shape tells so. A dictionary is a view of that code: alone it sees it as it would be seen without one.
"""

import math
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from captum_featinv.codes import channel_dim_of
from captum_featinv.errors import ArgumentError, FeatInvError, LayerError
from captum_featinv.network.dictionaries import Dictionary, dictionary, directions, top_k
from captum_featinv.network.hooking.opaque import described
from captum_featinv.network.tokens import grid_of_tokens, refuse_windows

__all__ = [
    "View",
    "channels",
    "compose",
    "dictionary",
    "directions",
    "field",
    "found",
    "guarded",
    "parts",
    "seen",
    "tokens",
    "top_k",
    "view_for",
    "way_back",
]

View = Callable[[Any], Tensor]


@dataclass(frozen=True)
class _Field:
    key: str | int

    def __call__(self, output: Any) -> Any:
        try:
            if isinstance(self.key, str) and hasattr(output, self.key):
                return getattr(output, self.key)
            return output[self.key]
        except (KeyError, IndexError, TypeError) as error:
            raise LayerError(
                f"the layer's output has no field {self.key!r}: it is {described(output)}"
            ) from error

    def back(self, output: Any, code: Any) -> Any:
        fields: Any = getattr(output, "_fields", None)
        if isinstance(output, tuple) and fields is not None:
            name = self.key if isinstance(self.key, str) else fields[self.key]
            return type(output)(*(code if n == name else getattr(output, n) for n in fields))
        if isinstance(output, tuple | list):
            parts = list(output)
            parts[int(self.key)] = code
            return type(output)(parts)
        changed = copy(output)
        if isinstance(output, Mapping):
            changed[self.key if self.key in output else list(output)[int(self.key)]] = code
        else:
            setattr(changed, str(self.key), code)
        return changed


@dataclass(frozen=True)
class _Tokens:
    prefix: int
    grid: tuple[int, int] | None

    def __call__(self, output: Any) -> Tensor:
        if not isinstance(output, Tensor) or output.dim() != 3:
            raise LayerError(
                f"tokens have shape (N, length, channel), but the layer puts out {described(output)}; "
                "compose(field(...), tokens(...)) picks a field of it first"
            )
        _, length, _ = output.shape
        height, width = _grid_of(length - self.prefix) if self.grid is None else self.grid
        if self.prefix + height * width != length:
            raise LayerError(
                f"{self.prefix} tokens and a grid of {height} x {width} are not the {length} tokens of "
                "the layer; pass the number of tokens before the patches and, for images that are not "
                "square, the grid: views.tokens(prefix=1, grid=(14, 14))"
            )
        count, _, channel = output.shape
        return output[:, self.prefix :].mT.reshape(count, channel, height, width)

    def back(self, output: Tensor, code: Tensor) -> Tensor:
        return torch.cat([output[:, : self.prefix], code.flatten(2).mT], dim=1)


@dataclass(frozen=True)
class _Channels:
    dim: int

    def __call__(self, output: Any) -> Tensor:
        if not isinstance(output, Tensor):
            raise LayerError(f"expected one tensor with channels, but found {described(output)}")
        if not -output.dim() < self.dim < output.dim() or self.dim == 0:
            raise ArgumentError(
                f"channels in dimension {self.dim} of a code of shape {tuple(output.shape)}: expected "
                f"1 to {output.dim() - 1}, or -1 to {1 - output.dim()} counted from the end; dimension "
                "0 is the batch"
            )
        return output.movedim(self.dim, 1)

    def back(self, _output: Tensor, code: Tensor) -> Tensor:
        return code.movedim(1, self.dim)


@dataclass(frozen=True)
class _Composed:
    views: tuple[View, ...]

    def __call__(self, output: Any) -> Any:
        for view in self.views:
            output = view(output)
        return output

    def back(self, output: Any, code: Any) -> Any:
        seen = [output]
        for view in self.views[:-1]:
            seen.append(view(seen[-1]))
        for view, before in zip(reversed(self.views), reversed(seen), strict=True):
            code = way_back(view)(before, code)
        return code


def field(key: str | int) -> View:
    """One field of a `ModelOutput`, named tuple, dictionary or tuple.

    Args:
        key: an attribute, a key, or a number.

    Returns:
        From an output to its field. When called, it raises `LayerError` where there is none.

    Example:
        >>> import torch
        >>> field("out")({"out": torch.zeros(1, 2), "aux": None}).shape
        torch.Size([1, 2])
    """
    return _Field(key)


def tokens(prefix: int = 0, grid: tuple[int, int] | None = None) -> View:
    """A transformer's tokens as maps.

    (N, prefix + height * width, channel) becomes (N, channel, height, width). Without a view that is
    found, too, where the size of the images, or the convolution that cuts them into patches, tells the
    grid; see `captum_featinv.codes.grids`.

    No ReLU ends a transformer's block, so that its channels are negative as often as not. The energy is
    the positive part alone: a filter is asked for the sum of the positive activations at each place,
    and all other channels, the negative ones too, are asked for 0. A channel that fires nowhere is
    silent, however negative it is; its share and rank count squares of either sign.

    Args:
        prefix: how many tokens come before those of the patches (a class token, registers).
        grid: height and width in patches; a square if None.

    Returns:
        From tokens (N, length, channel) to maps (N, channel, height, width). When called, it raises
        `LayerError` where the numbers do not fit.

    Raises:
        ArgumentError: `prefix` is negative.

    Example:
        >>> import torch
        >>> tokens(prefix=1)(torch.zeros(2, 50, 8)).shape
        torch.Size([2, 8, 7, 7])
    """
    if prefix < 0:
        raise ArgumentError(
            f"the number of tokens before the patches is at least 0. Given: {prefix}"
        )
    return _Tokens(prefix, grid)


def channels(dim: int) -> View:
    """A tensor whose channels lie in another dimension than 1.

    Args:
        dim: where the channels are, in the output; not 0, the batch.

    Returns:
        From an output to the same with channels in dimension 1. When called, it raises
        `ArgumentError` where there is no such dimension.

    Example:
        >>> import torch
        >>> channels(-1)(torch.zeros(2, 7, 5, 8)).shape
        torch.Size([2, 8, 7, 5])
    """
    return _Channels(dim)


def compose(*views: View) -> View:
    """Several views, one after the other; a dictionary comes last.

    Args:
        *views: the first is given the layer's output, the last gives the code.

    Returns:
        From an output to the code, (N, channel, *positions).

    Example:
        >>> import torch
        >>> compose(field(0), tokens(1))((torch.zeros(2, 50, 8), None)).shape
        torch.Size([2, 8, 7, 7])
    """
    return _Composed(views)


def view_for(layer: str, view: View | Mapping[str, View] | None) -> View | None:
    """A layer's own view, where there may be some by the layers' names.

    Args:
        layer: its name.
        view: of all layers, or from names to views.

    Returns:
        The view, or None.
    """
    return view.get(layer) if isinstance(view, Mapping) else view


def parts(view: View | None) -> tuple[View | None, Dictionary | None]:
    """How a layer's output is laid out as maps, None to find that out, and the dictionary of these.

    Args:
        view: of a layer.

    Returns:
        The view of the output, without the dictionary, and the dictionary; None for what there is
        not.
    """
    if isinstance(view, Dictionary):
        return None, view
    if isinstance(view, _Composed) and view.views and isinstance(view.views[-1], Dictionary):
        before = view.views[:-1]
        return (_Composed(before) if before else None), view.views[-1]
    return view, None


def way_back(view: View) -> Callable[[Any, Any], Any]:
    """From an output and another code to the output that has it.

    Args:
        view: of a layer.

    Returns:
        `back(output, code)`.

    Raises:
        ArgumentError: a function of somebody's own, which has none.
    """
    back: Any = getattr(view, "back", None)
    if back is None:
        raise ArgumentError(
            "to change what a layer says, its view has to know the way back: use those of "
            "captum_featinv.views, or give yours a method back(output, code)"
        )
    return back  # type: ignore[no-any-return]


def found(
    output: Tensor, inputs: Tensor, layer: str, model: Callable[..., Any] | None = None
) -> View | None:
    """The view of a layer for which nobody named one; None where its output is its code.

    Args:
        output: of the layer.
        inputs: what the model was shown.
        layer: the layer's name.
        model: which may tell the patches of its tokens; see `captum_featinv.network.tokens`.

    Returns:
        The view, or None.

    Raises:
        LayerError: the output is no code that could be told from its shape.
    """
    if output.dim() == 3 and inputs.dim() == 4:
        grid = grid_of_tokens(output, inputs, layer, model)
        if grid is not None:
            return tokens(grid.prefix, (grid.height, grid.width))
    dim = channel_dim_of(output, inputs, layer)
    if dim == 1:
        refuse_windows(output, inputs, layer)
    return None if dim == 1 else channels(dim)


def seen(
    output: Tensor, inputs: Tensor, layer: str, model: Callable[..., Any] | None = None
) -> Tensor:
    """The code in a layer's output for which nobody named a view; see `found`.

    Args:
        output: of the layer.
        inputs: what the model was shown.
        layer: the layer's name.
        model: see `found`.

    Returns:
        The code, (N, channel, *positions).

    Raises:
        LayerError: see `found`.
    """
    view = found(output, inputs, layer, model)
    return output if view is None else view(output)


def guarded(view: View, layer: str) -> View:
    """A view of anyone's, whose errors name the layer.

    Args:
        view: from a layer's output to its code.
        layer: the layer's name.

    Returns:
        The same view.

    Raises:
        LayerError: when called, the view fails, or gives no code.
    """

    def look(output: Any) -> Tensor:
        try:
            code: Any = view(output)
        except FeatInvError:
            raise
        except Exception as error:  # whatever somebody's function raises
            raise LayerError(
                f"the view of layer {layer!r} failed on {described(output)}: {error}"
            ) from error
        if not isinstance(code, Tensor) or code.dim() < 2:
            raise LayerError(
                f"the view of layer {layer!r} gave {described(code)}, expected a tensor "
                "(N, channel, *positions)"
            )
        return code

    return look


def _grid_of(patches: int) -> tuple[int, int]:
    edge = math.isqrt(max(patches, 0))
    if edge * edge != patches or not edge:
        raise LayerError(
            f"{patches} tokens of patches are no square grid; name it, views.tokens(grid=(height, "
            "width)), or the tokens before them, views.tokens(prefix=1)"
        )
    return edge, edge
