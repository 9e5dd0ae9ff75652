"""How the learning rate goes as the steps go by."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, StepLR


def rise_and_fall(optimizer: Optimizer, n_steps: int, rise: float = 0.3) -> LambdaLR:
    """A learning rate that rises over a share `rise` of the steps and falls in a line all along.

    At full size from the first step, Adam's equal steps for every pixel bury what little of a deep or
    faint filter is in the start image.
    """
    return LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / (rise * n_steps)) * (1 - step / n_steps)
    )


def a_tenth_off(optimizer: Optimizer, _n_steps: int) -> StepLR:
    """Xia et al.'s: the learning rate x 0.9 every 10 steps."""
    return StepLR(optimizer, step_size=10, gamma=0.9)
