"""What a model is given: images, one tensor an input, and whatever else it takes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from captum_featinv.errors import FeatInvError, ForwardError

Images = tuple[Tensor, ...]

_NOT_OF_INPUTS = (FeatInvError, NotImplementedError, RecursionError, torch.cuda.OutOfMemoryError)
_OF_INPUTS = (ValueError, TypeError, AssertionError)


@dataclass(frozen=True)
class Inputs:
    """Some examples as a model takes them.

    Args:
        images: one tensor an input, each (N, ...), in the model's input space.
        extra: what comes after them; tensors with N entries have one an example.
    """

    images: Images
    extra: tuple[Any, ...] = ()

    def __len__(self) -> int:
        return len(self.images[0])

    @property
    def examples(self) -> Tensor:
        """The numbers of the examples, (N,)."""
        return torch.arange(len(self), device=self.images[0].device)

    def rows(self, examples: Tensor) -> "Inputs":
        """Some of the examples, any of them as often as it is named."""
        images = tuple(image[examples] for image in self.images)
        return Inputs(images, self.extra_of(examples))

    def extra_of(self, examples: Tensor) -> tuple[Any, ...]:
        """What comes after the images, for some of the examples."""
        return tuple(_rows_of(argument, examples, len(self)) for argument in self.extra)

    def showing(self, images: Sequence[Tensor], examples: Tensor) -> "Inputs":
        """Other images, each in the place of an example, in the dtype of these."""
        pairs = zip(images, self.images, strict=True)
        return Inputs(tuple(new.to(old.dtype) for new, old in pairs), self.extra_of(examples))

    def chunks(self, size: int) -> list["Inputs"]:
        """All examples in order, some at a time."""
        return [self.rows(examples) for examples in torch.split(self.examples, size)]


def _rows_of(argument: Any, examples: Tensor, count: int) -> Any:
    """An extra argument for some examples."""
    if isinstance(argument, Tensor) and argument.dim() > 0 and len(argument) == count:
        return argument.detach()[examples.to(argument.device)]
    return argument


def clones(value: Any) -> Any:
    """A tensor's clone, in its graph; of tuples, lists and dictionaries the same with clones inside.

    A tensor that was made in inference mode becomes a normal one.
    """
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(clones(part) for part in value))
    if type(value) in (tuple, list):
        return type(value)(clones(part) for part in value)
    if type(value) is dict:
        return {key: clones(part) for key, part in value.items()}
    return value


@contextmanager
def shown_first(inputs: tuple[Any, ...]) -> Iterator[None]:
    """A block in which a model sees inputs for the first time: where it fails, it may be for them.

    Raises:
        ForwardError: the model failed, perhaps on these; the text says what to try.
    """
    try:
        yield
    except _NOT_OF_INPUTS:
        raise
    except RuntimeError as error:
        where, what_to_try = advice(inputs)
        raise ForwardError(f"{where}: {error}. {what_to_try}") from error
    except _OF_INPUTS as error:  # perhaps about something else, so it keeps its type
        if hasattr(error, "add_note"):  # Python 3.11
            error.add_note(". ".join(advice(inputs)))
        raise


def advice(inputs: tuple[Any, ...]) -> tuple[str, str]:
    """What a model failed on, and what to try."""
    shapes = ", ".join(str(tuple(i.shape)) for i in inputs if isinstance(i, Tensor))
    return f"the model failed on inputs of shape {shapes}", (
        "Does it take images of this size, number of channels and dtype? A photo that is too small "
        "can be enlarged, clips are (N, C, T, H, W), and whatever else the model takes goes into "
        "additional_forward_args"
    )
