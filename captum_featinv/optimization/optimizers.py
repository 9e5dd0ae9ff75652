"""Which of torch's optimizers fit an image, and which of them let images influence one another."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from captum_featinv.errors import ArgumentError, ArgumentTypeError

MakeOptimizer = Callable[[list[Tensor]], Optimizer]

# These treat every number by itself, so that images in one tensor stay problems of their own.
_ELEMENTWISE = (
    "ASGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop",
    "SGD",
)  # fmt: skip
_ADVICE = "torch.optim.Adam, SGD, RMSprop and LBFGS do"
# Of a shape that no optimizer takes for a matrix, as an image's is none.
_PROBE = (1, 1, 1, 1)


def checked_optimizer(make: MakeOptimizer, n_steps: int, schedule: Any) -> Optimizer:
    """What a recipe's functions make of a pixel, if that fits an image.

    Raises:
        ArgumentTypeError: they make no optimizer, or no schedule.
        ArgumentError: the optimizer is for matrices or sparse gradients, or the schedule waits for a
            metric.
    """
    try:
        optimizer: Any = make([torch.zeros(_PROBE, device="cpu", requires_grad=True)])
    except (ValueError, RuntimeError) as error:
        raise ArgumentError(f"optimizer does not take an image: {error}; {_ADVICE}") from error
    if not isinstance(optimizer, Optimizer):
        raise ArgumentTypeError(
            "optimizer must be a function from parameters to an optimizer, e.g. functools.partial("
            f"torch.optim.Adam, lr=0.1), but it returned {type(optimizer)}"
        )
    if type(optimizer).__name__ == "SparseAdam":
        raise ArgumentError(f"SparseAdam needs sparse gradients, which an image has not; {_ADVICE}")
    if schedule is not None:
        _check_schedule(schedule(optimizer, n_steps))
    return optimizer


def _check_schedule(made: Any) -> None:
    if isinstance(made, ReduceLROnPlateau):
        raise ArgumentError(
            "ReduceLROnPlateau waits for a metric, but a schedule here knows steps alone; "
            "torch.optim.lr_scheduler.CosineAnnealingLR or LambdaLR do"
        )
    if not callable(getattr(made, "step", None)):
        raise ArgumentTypeError(
            "schedule must be a function from an optimizer and the number of steps to a schedule of "
            f"torch.optim.lr_scheduler, but it returned {type(made)}"
        )


def couples_rows(make: MakeOptimizer) -> bool:
    """Whether an optimizer lets the images of a batch influence one another, as far as one can know.

    L-BFGS measures one length over all it is given, Adafactor one size; of an optimizer that is not
    torch's nothing is known, so its images are run alone.
    """
    kind = type(make([torch.zeros(_PROBE, device="cpu", requires_grad=True)]))
    return not (kind.__module__.startswith("torch.optim") and kind.__name__ in _ELEMENTWISE)
