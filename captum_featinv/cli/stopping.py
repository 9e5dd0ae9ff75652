"""SIGINT and SIGTERM while a command works: what is finished is kept, and the exit code says so."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Which signal asked the command to end, if one did."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """A handler: the command ends as after Ctrl-C."""
        self.signal = number
        raise KeyboardInterrupt

    @property
    def exit_code(self) -> int:
        """As a shell tells it: 130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + (signal.SIGINT if self.signal is None else self.signal)


@contextmanager
def stopping() -> Iterator[Stop]:
    """Listen to both signals while the block is open, in the main thread; others get none."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
