"""The one optimisation loop of the library."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class Step(NamedTuple):
    """One finished step: its number, from 1, and the loss of each row before it, (rows,)."""

    number: int
    losses: Tensor


def descend(
    parameters: Sequence[Tensor],
    losses: Callable[[int], Tensor],
    optimizer: Optimizer,
    *,
    n_steps: int,
    schedule: LRScheduler | None = None,
    clip: float | None = None,
    asks: bool = True,
) -> Iterator[Step]:
    """Minimise the sum of `losses` and yield after every step.

    Stopping, snapshots and progress bars are the caller's: it may leave its `for` at any time. No
    step waits for the device, and only `parameters` get gradients, so the model's weights get none.

    Args:
        parameters: leaves that require grad and that `optimizer` steps; it is left without a gradient
            on which no loss depends.
        losses: the loss of every row, (rows,), in a step that is given by its number, from 0. It may
            be asked several times within a step (L-BFGS) and has to answer alike.
        optimizer: any of torch's.
        n_steps: how many steps at most.
        schedule: of the learning rate, stepped after every step.
        clip: limit of the size of each gradient entry.
        asks: whether the optimizer looks at the loss, as a line search does; others only hand it on.
    """
    ones: Tensor | None = None
    for number in range(n_steps):
        evaluated: list[Tensor] = []

        def closure(number: int = number, evaluated: list[Tensor] = evaluated) -> Tensor | None:
            nonlocal ones
            with torch.enable_grad():
                rows = losses(number)
            ones = torch.ones_like(rows) if ones is None else ones
            for parameter, gradient in zip(
                parameters, _gradients(rows, parameters, ones), strict=True
            ):
                parameter.grad = None if gradient is None else _ready(gradient, parameter, clip)
            evaluated.append(rows.detach())
            return evaluated[-1].sum() if asks else None

        optimizer.step(closure)  # type: ignore[arg-type]
        if schedule is not None:
            schedule.step()
        yield Step(number + 1, evaluated[0])


def _gradients(
    rows: Tensor, parameters: Sequence[Tensor], ones: Tensor
) -> tuple[Tensor | None, ...]:
    """Those of some parameters may be None, because the losses do not depend on them; not of all."""
    found = torch.autograd.grad(rows, parameters, ones, allow_unused=len(parameters) > 1)
    if all(gradient is None for gradient in found):
        raise RuntimeError(f"all {len(found)} parameters appear to not have been used in the graph")
    return found


def _ready(gradient: Tensor, parameter: Tensor, clip: float | None) -> Tensor:
    """Clipped, and as autograd itself would leave it.

    L-BFGS views it flat, and others are slow on mixed layouts.
    """
    clipped = gradient if clip is None else gradient.clamp(-clip, clip)
    if clipped.stride() == parameter.stride():
        return clipped
    return torch.empty_like(parameter).copy_(clipped)
