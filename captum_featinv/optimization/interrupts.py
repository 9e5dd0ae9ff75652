"""Whether Ctrl-C ends a run with what there is, or passes through it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_PASS: ContextVar[bool] = ContextVar("passing_interrupts", default=False)


def pass_through() -> bool:
    """Whether a run may not keep what it has found when Ctrl-C comes."""
    return _PASS.get()


@contextmanager
def passing_interrupts() -> Iterator[None]:
    """Where pictures are parts of something larger, half-found ones would look like results."""
    token = _PASS.set(True)
    try:
        yield
    finally:
        _PASS.reset(token)
