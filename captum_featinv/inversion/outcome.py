"""Say what became of an inversion, where that is not a picture."""

from collections.abc import Sequence

from torch import Tensor

from captum_featinv.errors import warn
from captum_featinv.inversion.rows import Solution
from captum_featinv.inversion.targets import Targets


def warn_of(solution: Solution, targets: Targets, layers: Sequence[str]) -> None:
    """Name the rows that came to nothing, and those that ran away."""
    if solution.failed.device.type == "meta":
        return
    where = ", ".join(layers)
    if bool(solution.failed.any()):
        warn(
            f"{_named(targets, solution.failed)} of layer {where}: nothing to show, the start "
            "image is returned. The filter never fired, or the code asks for nothing; try "
            'another photo, energy="layer", or more steps'
        )
    diverged = solution.diverged & ~solution.failed
    if bool(diverged.any()):
        warn(
            f"{_named(targets, diverged)} of layer {where}: the run diverged, and the picture is "
            "no nearer to its code than the start image; try more steps or a smaller learning rate"
        )


def _named(targets: Targets, rows: Tensor) -> str:
    """Which filters or photos some rows are, in words."""
    what, values = targets.named(rows.nonzero().flatten())
    listed = ", ".join(map(str, values[:12])) + (", ..." if len(values) > 12 else "")
    return f"{what}{'s' if len(values) > 1 else ''} {listed}"
