"""What a terminal shows while a command works: what is being done, how far it is, and the time left."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from captum_featinv.cli.telling import say
from captum_featinv.progress import watching

# After so many seconds it can be said how long the rest will take, and is where that is long.
_LOOK_AFTER = 5.0
_LONG = 60.0


@contextmanager
def shown(*, quiet: bool) -> Iterator[None]:
    """One bar for all work in the block on a terminal; anywhere a word if it takes long."""
    if quiet:
        yield
        return
    estimate = _Estimate(time.monotonic)
    if not sys.stderr.isatty():
        with watching(estimate):
            yield
        return
    # A terminal is worth the tenth of a second that this takes to import.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
    )
    with bar:
        task = bar.add_task("starting", total=None, left="")

        def move(done: float, name: str) -> None:
            estimate(done, name)
            left = estimate.left
            text = "" if left is None else f"{_clock(left)} left"
            bar.update(task, total=1.0, completed=done, description=name or "finishing", left=text)

        with watching(move):
            yield


class _Estimate:
    """How long the rest takes, by what was done so far; said once if the whole is long."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._start = clock, clock()
        self._begun: float | None = None
        self._said = False
        self.left: float | None = None
        """in seconds; None until that can be told"""

    def __call__(self, done: float, _name: str) -> None:
        now = self._clock()
        # What comes before the first stage, such as a download, says nothing of the rest.
        self._begun = now if self._begun is None else self._begun
        worked = now - self._begun
        if worked < 1 or done <= 0:
            return
        self.left = worked / done * (1 - done)
        if not self._said and worked > _LOOK_AFTER:
            self._said = True
            whole = worked + self.left
            if whole > _LONG:
                say(f"this takes about {_minutes(whole)}; Ctrl-C keeps what is finished")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _minutes(seconds: float) -> str:
    if seconds < 3600:
        minutes = max(1, round(seconds / 60))
        return "a minute" if minutes == 1 else f"{minutes} minutes"
    return f"{seconds / 3600:.1f} hours"
