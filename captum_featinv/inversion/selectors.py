"""Captum's `neuron_selector`: which filters, and where they may fire."""

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from captum_featinv.errors import ArgumentError, ArgumentTypeError, FilterError

Index = int | tuple[int | slice, ...]
Selector = Index | Sequence[Index] | None


class Chosen(NamedTuple):
    """The filters that a `neuron_selector` names, and whether it names one rather than a list."""

    indices: list[Index]
    one: bool

    @property
    def channels(self) -> list[int]:
        """The filters, without the places where they may fire."""
        return [index[0] if isinstance(index, tuple) else index for index in self.indices]  # type: ignore[misc]

    @property
    def dimension(self) -> tuple[int, ...]:
        """What the filters add to a result's shape, behind the examples: a list its length."""
        return () if self.one else (len(self.indices),)

    def places(self, code: Tensor) -> Tensor | None:
        """Where each filter may fire, (filters, *positions), or None for everywhere."""
        if not any(isinstance(index, tuple) for index in self.indices):
            return None
        return torch.stack([places_of(index, code) for index in self.indices])


def chosen(selector: Selector, channels: int, layer: str) -> Chosen:
    """What a `neuron_selector` names, in its order, none of it out of range.

    Raises:
        FilterError: the layer has no such filter.
        ArgumentError: an empty list.
        ArgumentTypeError: neither int, tuple, list of these nor None.
    """
    if selector is None:
        return Chosen(list(range(channels)), one=False)
    if not isinstance(selector, list):
        return Chosen([_index(selector, channels, layer)], one=True)
    if not selector:
        raise ArgumentError(
            "neuron_selector is an empty list; name at least one filter, or pass None for all "
            f"{channels} filters of layer {layer!r}"
        )
    return Chosen([_index(index, channels, layer) for index in selector], one=False)


def _index(index: Any, channels: int, layer: str) -> Index:
    if isinstance(index, tuple) and index:
        return (_channel(index[0], channels, layer), *index[1:])
    return _channel(index, channels, layer)


def _channel(channel: Any, channels: int, layer: str) -> int:
    try:
        # operator.index takes numpy's and torch's integers, and would take True for filter 1.
        plain: Any = None if isinstance(channel, bool) else channel
        number = operator.index(plain)
    except TypeError:
        raise ArgumentTypeError(
            "neuron_selector must be an int (a filter), a tuple that starts with one (Captum's index "
            "of channel and positions), a list of these or None (every filter) but found: "
            f"{type(channel)}; several filters are a list, such as list(range(5))"
        ) from None
    if not -channels <= number < channels:
        raise FilterError(
            f"index {number} is out of bounds for dimension 1 with size {channels}: layer {layer!r} "
            f"has filters 0 to {channels - 1}"
        )
    return number % channels


def places_of(index: Index, code: Tensor) -> Tensor:
    """1 where an index lets its filter fire, 0 elsewhere, (*positions).

    Raises:
        ArgumentError: the index has more positions than the code.
        FilterError: a position is out of range.
    """
    where = index[1:] if isinstance(index, tuple) else ()
    if len(where) > code.dim() - 2:
        raise ArgumentError(
            f"Cannot choose target column with output shape {tuple(code.shape)}: the index {index} has "
            f"{len(where)} positions, the layer {code.dim() - 2}"
        )
    places = code.new_zeros(code.shape[2:])
    try:
        places[where] = 1
    except IndexError as error:
        raise FilterError(
            f"index {index} does not fit the layer's positions {tuple(code.shape[2:])}: {error}"
        ) from error
    return places
