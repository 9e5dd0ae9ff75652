"""What a long study keeps when Ctrl-C comes: all that is finished, and nothing by halves."""

from collections.abc import Iterable
from typing import TypeVar

from captum_featinv.errors import warn
from captum_featinv.optimization.interrupts import passing_interrupts

T = TypeVar("T")


def finished(parts: Iterable[T], count: int, what: str) -> list[T]:
    """The parts of a study; after Ctrl-C those that were made until then, with a warning.

    Args:
        parts: makes them, one after the other.
        count: how many they are.
        what: they are, in the plural.

    Raises:
        KeyboardInterrupt: none was finished.
    """
    made: list[T] = []
    try:
        with passing_interrupts():
            for part in parts:
                made.append(part)  # noqa: PERF402
    except KeyboardInterrupt:
        if not made:
            raise
        warn(f"interrupted: {len(made)} of {count} {what} are finished")
    return made
