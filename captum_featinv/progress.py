"""How far a piece of work is, as one number from 0 to 1, however deep it is nested.

Work is cut into stages, a stage into steps or stages of its own. Whoever opened `watching` is told
each time one begins or ends; where nobody watches nothing is told, and nothing computed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")

Watcher = Callable[[float, str], None]
"""Is told how much of the work is done, from 0 to 1, and the name of what is being done."""


@dataclass
class _Part:
    """A part of the work that is being done: where in the whole it begins, and how much of it it is."""

    watcher: Watcher
    start: float = 0.0
    width: float = 1.0
    name: str = ""

    def tell(self, done: float) -> None:
        """So much of the part is done, from 0 to 1."""
        self.watcher(self.start + self.width * done, self.name)

    def within(self, start: float, width: float, name: str = "") -> "_Part":
        """A part of this part."""
        names = [one for one in (self.name, name) if one]
        return _Part(
            self.watcher, self.start + self.width * start, self.width * width, ", ".join(names)
        )


_NOW: ContextVar[_Part | None] = ContextVar("work", default=None)


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Tell `watcher` of all work in the block; it is the whole.

    Example:
        >>> told = []
        >>> with watching(lambda done, name: told.append((done, name))):
        ...     for photo in each(["cat", "dog"]):
        ...         with steps(2) as step:
        ...             step()
        ...             step()
        >>> told[:4]
        [(0.0, 'cat'), (0.25, 'cat'), (0.5, 'cat'), (0.5, 'dog')]
        >>> told[4:]
        [(0.75, 'dog'), (1.0, 'dog'), (1.0, '')]
    """
    token = _NOW.set(_Part(watcher))
    try:
        yield
    finally:
        _NOW.reset(token)


@contextmanager
def bar(*, shown: bool = True) -> Iterator[None]:
    """One progress bar for all work in the block, unless somebody watches it already."""
    if not shown or _NOW.get() is not None:
        yield
        return
    with tqdm(
        total=1.0, bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining}"
    ) as one:

        def move(done: float, name: str) -> None:
            one.update(done - one.n)
            if name != one.desc:
                one.set_description_str(name)

        with watching(move):
            yield


@contextmanager
def stages(weights: Mapping[str, float]) -> Iterator[Callable[[str], None]]:
    """Work in named stages.

    Args:
        weights: how much work each stage is, beside the others, in their order.

    Yields:
        A function to call with a stage's name when it begins.
    """
    places = {name: number for number, name in enumerate(weights)}
    with _cut(list(weights.values())) as begin:
        yield lambda name: begin(places[name], name)


def each(
    items: Sequence[T], name: Callable[[T], str] = str, weight: Callable[[T], float] = lambda _: 1.0
) -> Iterator[T]:
    """Items of work, one after the other.

    Args:
        items: what is handed out.
        name: what one of them is called.
        weight: how much work one of them is, beside the others.
    """
    with _cut(list(map(weight, items))) as begin:
        for number, item in enumerate(items):
            begin(number, name(item))
            yield item


@contextmanager
def steps(total: int, title: str | None = None) -> Iterator[Callable[[], object]]:
    """Many small steps, all alike.

    Args:
        total: how many.
        title: of a progress bar for whoever runs this alone, or None for none: one that is made and
            not shown leaves tqdm's thread behind.

    Yields:
        A function to call after every step.
    """
    part, done = _NOW.get(), 0

    def step() -> None:
        nonlocal done
        done += 1
        if part is not None:
            part.tell(min(1.0, done / total))
        shown.update()

    with tqdm(total=total, desc=title) if title is not None else _no_bar() as shown:
        yield step


@contextmanager
def _cut(weights: Sequence[float]) -> Iterator[Callable[[int, str], None]]:
    """The work at hand in parts; call what comes back with the number and the name of each."""
    whole = _NOW.get()
    if whole is None:
        yield _nothing
        return
    total = sum(weights) or 1.0
    starts = [0.0, *accumulate(weights)]

    now = whole

    def begin(number: int, name: str) -> None:
        nonlocal now
        now = whole.within(starts[number] / total, weights[number] / total, name)
        _NOW.set(now)
        now.tell(0.0)

    try:
        yield begin
    finally:
        # A generator that an error left open is closed at any time, when this may be long over.
        if _NOW.get() is now:
            _NOW.set(whole)
    whole.tell(1.0)


class _NoBar:
    def update(self) -> None:
        pass


@contextmanager
def _no_bar() -> Iterator[_NoBar]:
    yield _NoBar()


def _nothing(_number: int, _name: str) -> None:
    pass
