"""What a class lost when filters were silenced, on a photo and on pictures like it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

AS_IT_IS = "as it is"

Range = tuple[float, float]


@dataclass(frozen=True)
class Loss:
    """What a class's score loses on one picture."""

    picture: str
    score: float
    """of the intact model: the class's output, before any softmax"""
    drop: float
    """how much lower it is without the filters"""
    random_drops: list[float]
    """how much lower it is without as many others, one number a draw"""
    rechosen: list[int] | None = None
    """the filters that would have been chosen on this picture"""
    rechosen_drop: float | None = None
    """how much lower the score is without those"""

    @property
    def mean_random_drop(self) -> float:
        """The mean over draws; 0 without any."""
        return fmean(self.random_drops) if self.random_drops else 0.0


@dataclass(frozen=True)
class Ablation:
    """What a class's score loses when filters are silenced, beside random draws of as many.

    Without an ending a figure is the photo's own; with `_range` it is the least and the most over the
    photo and whatever pictures were measured beside it.
    """

    filters: list[int]
    losses: list[Loss]
    """of the photo, and then of each picture beside it"""

    @property
    def score(self) -> float:
        """Of the intact model: the class's output, before any softmax."""
        return self.losses[0].score

    @property
    def drop(self) -> float:
        """How much lower it is without the filters."""
        return self.losses[0].drop

    @property
    def random_drops(self) -> list[float]:
        """How much lower it is without as many others, one number a draw."""
        return self.losses[0].random_drops

    @property
    def mean_random_drop(self) -> float:
        """The mean over draws; 0 without any."""
        return self.losses[0].mean_random_drop

    @property
    def score_range(self) -> Range:
        """Of the intact model."""
        return _range([loss.score for loss in self.losses])

    @property
    def drop_range(self) -> Range:
        """Without the filters."""
        return _range([loss.drop for loss in self.losses])

    @property
    def mean_random_drop_range(self) -> Range:
        """Without as many others, the mean over draws."""
        return _range([loss.mean_random_drop for loss in self.losses])

    @property
    def random_drop_range(self) -> Range:
        """Without as many others, over all draws too; 0 without any."""
        return _range([drop for loss in self.losses for drop in loss.random_drops])

    @property
    def rechosen_drop_range(self) -> Range | None:
        """Without the filters that would have been chosen on each picture; None if nobody asked."""
        found = [loss.rechosen_drop for loss in self.losses if loss.rechosen_drop is not None]
        return _range(found) if found else None

    @property
    def always_chosen(self) -> list[int]:
        """Which of the filters would have been chosen on every picture."""
        choices = [loss.rechosen for loss in self.losses if loss.rechosen is not None]
        return [k for k in self.filters if all(k in chosen for chosen in choices)]

    @property
    def overlaps(self) -> bool:
        """Whether some random draw costs as much on some picture as the filters do on another."""
        if not self.random_drops:
            return False
        (low, high), (random_low, random_high) = self.drop_range, self.random_drop_range
        return low <= random_high and random_low <= high

    @property
    def random_as_much(self) -> tuple[int, int]:
        """In how many trials, of how many, a draw costs as much as the filters on the same picture."""
        trials = [drop >= loss.drop for loss in self.losses for drop in loss.random_drops]
        return sum(trials), len(trials)

    def lines(self) -> list[str]:
        """What was found, in words: every figure with its range, and whether it is more than chance."""
        count = len(self.filters)
        these, others = ("this filter", "a random one") if count == 1 else _many(count)
        told = [
            f"score {self.score:.2f}{self._over(self.score_range)}",
            f"without {these} a loss of {self.drop:.2f}{self._over(self.drop_range)}",
        ]
        if self.random_drops:
            told += [
                f"without {others} a loss of {self.mean_random_drop:.2f}"
                f"{self._over(self.mean_random_drop_range)} on average; "
                f"single draws {_between(self.random_drop_range)}",
                self._verdict(),
            ]
        if self.rechosen_drop_range is not None:
            told.append(
                f"chosen anew on each picture, {count} cost "
                f"{_between(self.rechosen_drop_range)}; {_always(self.always_chosen)}"
            )
        if len(self.losses) > 1:
            told.append(
                f"in brackets: least and most over the photo and {len(self.losses) - 1} pictures that "
                f"nobody can tell from it ({', '.join(loss.picture for loss in self.losses[1:])})"
            )
        return told

    def to_dict(self) -> dict[str, Any]:
        """All numbers as plain values, as JSON wants them."""
        return {
            "score": self.score,
            "score_range": self.score_range,
            "drop": self.drop,
            "drop_range": self.drop_range,
            "random_drops": self.random_drops,
            "mean_random_drop": self.mean_random_drop,
            "mean_random_drop_range": self.mean_random_drop_range,
            "random_drop_range": self.random_drop_range,
            "overlaps": self.overlaps,
            "rechosen_drop_range": self.rechosen_drop_range,
            "always_chosen": self.always_chosen if self.rechosen_drop_range else None,
            "pictures": [vars(loss) for loss in self.losses],
        }

    def _over(self, found: Range) -> str:
        """A range in brackets; nothing where there was one picture."""
        return f" ({_between(found)})" if len(self.losses) > 1 else ""

    def _verdict(self) -> str:
        as_much, trials = self.random_as_much
        if self.overlaps:
            return (
                "these ranges overlap: random filters cost as much on the same picture in "
                f"{as_much} of {trials} trials"
            )
        if as_much:
            return "these ranges do not overlap: random filters cost more in every trial"
        return f"these ranges do not overlap: random filters cost less in all {trials} trials"


def _many(count: int) -> tuple[str, str]:
    return f"these {count} filters", f"{count} random ones"


def _range(values: Sequence[float]) -> Range:
    return (min(values), max(values)) if values else (0.0, 0.0)


def _between(found: Range) -> str:
    return f"{found[0]:.2f} to {found[1]:.2f}"


def _always(filters: Sequence[int]) -> str:
    if not filters:
        return "none is among them on every picture"
    names = ", ".join(map(str, filters))
    return f"{names} {'is' if len(filters) == 1 else 'are'} among them on every picture"
