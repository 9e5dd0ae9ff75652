"""When a forward may stop early: once two complete runs agree, and not once two do not."""

from collections import Counter

import pytest

from captum_featinv.network.hooking.stopping import Schedule, Traits

ONCE, TWICE = Counter(layer=1), Counter(layer=2)
PLAIN: Traits = frozenset({("gradients", False)})
WITH_GRADIENTS: Traits = frozenset({("gradients", True)})


def after(*runs: Counter[str], traits: Traits = PLAIN) -> Schedule:
    schedule = Schedule()
    for counts in runs:
        schedule.learn(traits, counts)
    return schedule


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([], None),
        ([ONCE], None),
        ([ONCE, ONCE], ONCE),
        ([TWICE, TWICE, TWICE], TWICE),
        ([TWICE, ONCE], None),
        ([TWICE, ONCE, ONCE], ONCE),  # it warmed up
        ([ONCE, ONCE, TWICE], None),
        ([ONCE, ONCE, TWICE, TWICE], None),
        ([ONCE, TWICE, ONCE, ONCE], None),
    ],
)
def test_the_last_two_complete_runs_must_agree_and_only_the_first_may_differ(
    runs: list[Counter[str]], expected: Counter[str] | None
) -> None:
    schedule = after(*runs)
    assert schedule.calls(PLAIN) == expected
    assert schedule.begun == (len(runs) > 0)


def test_a_run_that_is_unlike_all_before_it_is_complete() -> None:
    schedule = after(ONCE, ONCE)
    assert schedule.calls(WITH_GRADIENTS) is None
    assert schedule.calls(PLAIN | WITH_GRADIENTS) is None
    schedule.learn(WITH_GRADIENTS, ONCE)
    assert schedule.calls(WITH_GRADIENTS) == schedule.calls(PLAIN | WITH_GRADIENTS) == ONCE


def test_what_was_distrusted_stays_so() -> None:
    schedule = after(ONCE, ONCE)
    schedule.distrust()
    assert schedule.calls(PLAIN) is None
    schedule.learn(PLAIN, ONCE)
    assert schedule.calls(PLAIN) is None
    assert schedule.begun
