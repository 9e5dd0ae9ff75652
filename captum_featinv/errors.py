"""What can go wrong, each error inheriting the built-ins that Python's and Captum's callers catch."""

import sys
import warnings
from types import FrameType

# Whose lines are not the caller's: ours, and those that stand between a caller and ours.
_BETWEEN = {"captum_featinv", "captum", "contextlib", "functools", "torch"}


class FeatInvError(Exception):
    """Every error that this library raises on purpose."""


class ArgumentError(FeatInvError, ValueError, AssertionError):
    """An argument has a wrong value. Captum raises AssertionError for these, Python ValueError."""


class ArgumentTypeError(FeatInvError, TypeError, AssertionError):
    """An argument has a wrong type."""


class LayerError(ArgumentError):
    """The layer is unknown, ambiguous, never ran, or puts out no feature maps."""


class FilterError(FeatInvError, IndexError):
    """The layer has no such filter."""


class ForwardError(FeatInvError, RuntimeError):
    """The model itself failed; its own error is the cause and its text part of the message."""


class MissingExtraError(FeatInvError, ImportError):
    """An optional package is needed; the message says how to install it."""


class FeatInvWarning(UserWarning):
    """Something the user should know about a picture that was made all the same."""


def first_line(error: BaseException) -> str:
    """What is fit for a terminal of a message that may be pages long.

    Args:
        error: any.

    Returns:
        The first sentence of its first line, at most 200 printable letters.
    """
    line = str(error).strip().split("\n")[0].split(". ")[0]
    return "".join(letter for letter in line if letter.isprintable())[:200]


def warn(message: str) -> None:
    """Warn at the caller's line, however deep inside the library something was noticed.

    Args:
        message: what the caller should know.
    """
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] in _BETWEEN:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, FeatInvWarning, stacklevel=level if frame is not None else 2)
