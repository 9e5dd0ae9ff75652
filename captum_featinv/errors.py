"""What can go wrong, each error inheriting the built-ins that Python's and Captum's callers catch."""


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
