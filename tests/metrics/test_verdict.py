import pytest

from captum_featinv.metrics.interval import Estimate
from captum_featinv.metrics.verdict import Verdict, above, all_of


@pytest.mark.parametrize(
    ("low", "high", "units", "verdict"),
    [
        (0.6, 0.9, 6, "yes"),
        (0.6, 0.9, 5, "undecided"),  # too few
        (0.5, 0.9, 6, "undecided"),  # its end lies on the level, not above
        (0.1, 0.9, 60, "undecided"),
        (0.1, 0.5, 6, "no"),
        (0.1, 0.4, 6, "no"),
        (0.1, 0.4, 5, "undecided"),
        (0.5, 0.5, 6, "no"),
        (0.0, 1.0, 1000, "undecided"),
    ],
)
def test_only_a_whole_interval_of_enough_units_decides(
    low: float, high: float, units: int, verdict: Verdict
) -> None:
    assert above(Estimate((low + high) / 2, low, high), 0.5, units) == verdict


@pytest.mark.parametrize(
    ("verdicts", "verdict"),
    [
        (["yes", "yes"], "yes"),
        (["yes", "undecided"], "undecided"),
        (["undecided", "no", "yes"], "no"),
        (["no", "no"], "no"),
    ],
)
def test_one_no_settles_a_conjunction_and_yes_takes_all(
    verdicts: list[Verdict], verdict: Verdict
) -> None:
    assert all_of(*verdicts) == verdict
