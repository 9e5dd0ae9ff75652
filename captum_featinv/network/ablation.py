"""Silence some filters of a layer, and see what becomes of a class."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from captum_featinv.codes import channel_dim_of
from captum_featinv.errors import ArgumentError, FilterError
from captum_featinv.network.hooking.hooks import at_every_forward, observe
from captum_featinv.network.inputs import clones
from captum_featinv.network.layers import Layer, find_layer
from captum_featinv.network.untouched import untouched


@dataclass(frozen=True)
class Ablation:
    """What a class's score loses when filters are silenced, beside random draws of as many."""

    filters: list[int]
    score: float
    """of the intact model: the class's output, before any softmax"""
    drop: float
    """how much lower it is without the filters"""
    random_drops: list[float]
    """how much lower it is without as many others, one number a draw"""

    @property
    def mean_random_drop(self) -> float:
        """The mean over draws; 0 without any."""
        return fmean(self.random_drops) if self.random_drops else 0.0


@contextmanager
def ablated(
    model: nn.Module, layer: Layer, filters: Sequence[int], inputs: Tensor
) -> Iterator[None]:
    """A block in which some filters of a layer put out 0, whatever the model is shown.

    Of a module that runs several times it is the last call whose output is changed, because that is
    what a code is here and in Captum. Afterwards the model is as it was.

    Args:
        model: in eval mode.
        layer: a module or its name.
        filters: which to silence.
        inputs: an example of what the model takes, (N, C, H, W); run once to see how the layer works.

    Raises:
        LayerError: there is no such layer, or its output has no channels.
        FilterError: the layer has no such filter.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> model, photo = nn.Sequential(nn.Identity()), torch.ones(1, 3, 1, 1)
        >>> with ablated(model, "0", [1], photo):
        ...     print(model(photo).flatten())
        tensor([1., 0., 1.])
    """
    name, module = find_layer(model, layer)
    silencer = _Silencer(filters)
    with (
        at_every_forward(model, silencer.restart),
        observe(model, {name: module}, silencer.spoken),
    ):
        with torch.no_grad():
            model(clones(inputs))
        silencer.arm(inputs, name)
        yield


def ablation(
    model: nn.Module,
    layer: Layer,
    filters: Sequence[int],
    inputs: Tensor,
    target: int,
    *,
    others: Sequence[int] = (),
    draws: int = 10,
    seed: int = 0,
) -> Ablation:
    """What a class loses without some filters, and without as many random others.

    Args:
        model: a classifier in eval mode.
        layer: a module or its name.
        filters: which to silence.
        inputs: in the model's input space, (N, C, H, W); scores are means over N.
        target: the class.
        others: filters to draw from, those of `filters` left out.
        draws: how many draws.
        seed: of the draws.

    Raises:
        ArgumentError: there are fewer others than filters, so that no draw is possible.
        LayerError, FilterError: see `ablated`.
    """
    pool = [k for k in others if k not in set(filters)]
    if draws and len(others) and len(pool) < len(filters):
        raise ArgumentError(
            f"{len(filters)} filters cannot be compared with as many others that fire: there are "
            f"{len(pool)}; ablate fewer"
        )
    dice = torch.Generator("cpu").manual_seed(seed)
    drawn = [_drawn(pool, len(filters), dice) for _ in range(draws if pool else 0)]
    with untouched(model, inputs.device), torch.no_grad():
        score = _score(model, inputs, target)
        losses = []
        for chosen in (list(filters), *drawn):
            with ablated(model, layer, chosen, inputs):
                losses.append(score - _score(model, inputs, target))
    return Ablation(list(filters), score, losses[0], losses[1:])


def _drawn(pool: Sequence[int], count: int, dice: torch.Generator) -> list[int]:
    order = torch.randperm(len(pool), generator=dice, device="cpu")
    return [pool[place] for place in order[:count].tolist()]


def _score(model: nn.Module, inputs: Tensor, target: int) -> float:
    return float(model(clones(inputs))[:, target].mean())


class _Silencer:
    """Counts the calls of a module in its model's forward, and then silences filters in the last."""

    def __init__(self, filters: Sequence[int]) -> None:
        self._filters = list(filters)
        self._calls = 0
        self._last: int | None = None
        self._channel_dim = 1
        self._output: Any = None

    def restart(self) -> None:
        """The model is about to run."""
        self._calls = 0

    def spoken(self, _name: str, output: Any) -> Any:
        """What takes the place of an output; None to leave it."""
        self._calls += 1
        if self._last is None:
            self._output = output
            return None
        if self._calls != self._last:
            return None
        index = torch.tensor(self._filters, dtype=torch.long, device=output.device)
        return output.index_fill(self._channel_dim, index, 0)

    def arm(self, inputs: Tensor, name: str) -> None:
        """From now on filters are silenced."""
        code, self._output = self._output, None
        if not isinstance(code, Tensor):
            raise ArgumentError(
                f"layer {name!r} did not run or puts out {type(code).__name__}, not a tensor"
            )
        self._channel_dim = channel_dim_of(code, inputs, name)
        channels = code.shape[self._channel_dim]
        wrong = [k for k in self._filters if not -channels <= k < channels]
        if wrong:
            raise FilterError(f"layer {name!r} has filters 0 to {channels - 1}, not {wrong}")
        self._filters = [k % channels for k in self._filters]
        self._last = self._calls
