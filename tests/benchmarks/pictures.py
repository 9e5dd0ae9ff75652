"""A method makes pictures of filters, by its own defaults or within some seconds a picture.

Seconds are those of the processor, which other work on the machine hardly changes: by the clock on the
wall, one method may get twice the steps of another because the machine was idle meanwhile.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from time import process_time
from typing import NamedTuple

import torch
from torch import Tensor

from captum_featinv.images.display import as_saved
from captum_featinv.models import LoadedModel

# After a warm-up, what a step takes is seen from at least so many, and from a tenth of the seconds.
_TIMED, _PART = 3, 0.1
# Of its seconds a method gets at least this part; otherwise it is run once more with more steps.
_LEAST = 0.8


@dataclass(frozen=True, eq=False)
class Task:
    """Which pictures are asked for: of these filters, one for each photo."""

    loaded: LoadedModel
    layer: str
    filters: tuple[int, ...]
    photos: Tensor
    """displayable, (photos, 3, H, W)"""
    seed: int

    @property
    def inputs(self) -> Tensor:
        """The photos in the model's input space."""
        return self.loaded.normalization.to_model(self.photos)

    def is_same_as(self, other: "Task") -> bool:
        """Whether the very same is asked of the very same model."""
        values = [(one.layer, one.filters, one.seed) for one in (self, other)]
        same = self.loaded.model is other.loaded.model and self.photos is other.photos
        return same and values[0] == values[1]


class Made(NamedTuple):
    """Pictures as an 8-bit file keeps them, (filters, photos, 3, H, W), and what one took."""

    images: Tensor
    seconds: float
    """of one core, a picture; of what is the same for every filter, a photo"""
    steps: int | None
    """that were asked for; None: the method's own number"""


Make = Callable[[Task, int | None], Tensor]


class Maker:
    """Runs `make`, times it, and remembers what it made last, for methods that share a run.

    Args:
        make: from a task and a number of steps, None for its own, to displayable pictures
            (filters, photos, 3, H, W).
        per_filter: whether these differ from filter to filter; otherwise (1, photos, 3, H, W).
        together: filters that it makes at once, and that a step is timed with.
    """

    def __init__(self, make: Make, *, per_filter: bool = True, together: int = 1) -> None:
        self._make, self._per_filter, self._together = make, per_filter, together
        self._last: tuple[Task, float | None, Made] | None = None

    def __call__(self, task: Task, seconds: float | None) -> Made:
        if self._last and self._last[0].is_same_as(task) and self._last[1] == seconds:
            return self._last[2]
        steps = None if seconds is None else self._steps(task, seconds)
        images, took = self._timed(task, steps)
        if seconds is not None and steps is not None and took < _LEAST * seconds:
            # Steps looked longer than they are, as they do while other work fills the caches.
            steps = ceil(steps * seconds / took)
            images, took = self._timed(task, steps)
        made = Made(images.expand(len(task.filters), *images.shape[1:]), took, steps)
        self._last = task, seconds, made
        return made

    def _steps(self, task: Task, seconds: float) -> int:
        filters = task.filters[: self._together]
        few = replace(task, filters=filters, photos=task.photos[:1])
        return steps_within(seconds, lambda steps: self._timed(few, steps)[1])

    def _timed(self, task: Task, steps: int | None) -> tuple[Tensor, float]:
        begin = process_time()
        images = self._make(task, steps)
        pictures = len(task.photos) * (len(task.filters) if self._per_filter else 1)
        return images, (process_time() - begin) / pictures


def steps_within(seconds: float, timed: Callable[[int], float]) -> int:
    """How many steps take about so many seconds, but at least 1.

    Only steps count. What comes before them is for the most part a copy of the model, which keeps a
    method's hooks and gradients away from the others and would not be made by who uses it alone.

    Args:
        seconds: for the steps.
        timed: what so many steps take.
    """
    timed(1)
    one = timed(1)
    more = max(_TIMED, int(_PART * seconds / one))
    some = timed(1 + more)
    # A clock that says more steps took less was disturbed; then all of the time is the steps'.
    a_step = (some - one) / more if some > one else some / (1 + more)
    return max(1, round(seconds / a_step))


@dataclass(frozen=True)
class Method:
    """One way to show what a filter extracts.

    Args:
        maker: of the pictures.
        finish: what is done to them at the end, (rows, 3, H, W).
    """

    maker: Maker
    finish: Callable[[Tensor], Tensor] | None = None

    def pictures(
        self,
        loaded: LoadedModel,
        layer: str,
        filters: Sequence[int],
        photos: Tensor,
        *,
        seconds: float | None = None,
        seed: int = 0,
    ) -> Made:
        """One picture a filter and photo.

        Args:
            loaded: the model.
            layer: its name, of channels in dimension 1.
            filters: of that layer.
            photos: displayable, (photos, 3, H, W).
            seconds: about what the steps of one picture may take; the method's own number if None.
            seed: of the first photo's picture where the photo itself is not looked at, and of the
                others' one more each; otherwise of all.
        """
        made = self.maker(Task(loaded, layer, tuple(filters), photos, seed), seconds)
        images, took = made.images, made.seconds
        if self.finish is not None:
            begin = process_time()
            with torch.no_grad():
                images = self.finish(images.flatten(0, 1)).reshape(images.shape)
            took += (process_time() - begin) / images.shape[:2].numel()
        return made._replace(images=as_saved(images), seconds=took)
