"""A progress bar, where one is asked for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm


@contextmanager
def progress(total: int, title: str | None) -> Iterator[Callable[[], Any]]:
    """A block in which the function that comes back moves a bar on by a step.

    Args:
        total: how many steps.
        title: of the bar, or None for none: one that is made and not shown leaves tqdm's thread behind.
    """
    if title is None:
        yield _nothing
        return
    with tqdm(total=total, desc=title) as bar:
        yield bar.update


def _nothing() -> None:
    pass
