"""Does an interval say that something is so? Yes, no, or that too little is known."""

from typing import Literal

from captum_featinv.metrics.interval import Estimate

Verdict = Literal["yes", "no", "undecided"]

FEWEST = 6
"""Units below which nothing is decided. An interval from resamples never reaches beyond its data, and
the whole range of five values covers their median in 94% of samples only; that of six in 97%."""


def above(estimate: Estimate, level: float, units: int) -> Verdict:
    """Whether a number lies above a level, by the side on which all of its interval does.

    Args:
        estimate: the number.
        level: what it is compared with.
        units: how many filters, photos or whatever was resampled the interval comes from.

    Returns:
        `"yes"`, `"no"`, or `"undecided"`.

    Example:
        >>> above(Estimate(0.6, 0.5, 0.7), 0.4, 12), above(Estimate(0.6, 0.3, 0.9), 0.4, 12)
        ('yes', 'undecided')
    """
    if units < FEWEST or estimate.low <= level < estimate.high:
        return "undecided"
    return "yes" if estimate.low > level else "no"


def all_of(*verdicts: Verdict) -> Verdict:
    """Whether several things are so: one no is enough for no, and yes takes all.

    Args:
        *verdicts: of the several things.

    Returns:
        `"yes"`, `"no"`, or `"undecided"`.
    """
    if "no" in verdicts:
        return "no"
    return "undecided" if "undecided" in verdicts else "yes"
