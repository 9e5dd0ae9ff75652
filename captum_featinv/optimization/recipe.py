"""How an image is looked for: everything that is not what is looked for, as values."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from captum_featinv.errors import ArgumentError, ArgumentTypeError
from captum_featinv.optimization.form import FINE, SMOOTH, Form, form_for
from captum_featinv.optimization.optimizers import checked_optimizer
from captum_featinv.optimization.precision import Precision, checked
from captum_featinv.optimization.schedules import a_tenth_off, rise_and_fall
from captum_featinv.param.noise import natural_noise, uniform_noise
from captum_featinv.param.parameterization import Parameterization
from captum_featinv.param.pixel import byte_pixels
from captum_featinv.transform import Transform

_LEFT = "as suits the layer"


@dataclass(frozen=True, kw_only=True, eq=False)
class Recipe:
    """How an image with a given code is looked for. The defaults are the default recipe.

    A recipe holds values and nothing else: it can be printed, compared, and pickled and read back equal
    (as long as the functions in it can be).

    Args:
        n_steps: how many steps at most.
        optimizer: from parameters to one of torch's optimizers for dense numbers; not Muon, which is
            for matrices, nor SparseAdam. If None, Adam with the rate that fits `pixels`.
        couples_rows: whether the optimizer lets the images of a batch influence one another, so that
            each is run alone; by default True for all but those of torch's that are known not to.
        schedule: from the optimizer and the number of steps to a schedule of its learning rate, one
            that needs no metric.
        pixels: how the image is written down; see `captum_featinv.param.pixel`. If None, as pixels
            for layers of a stride of less than 8 pixels, whose textures are fine, and else as
            `frequencies`, which take on form; see `suited`.
        noise: from the shape of one example and a generator to what is added to the mean colour at
            the start, in the displayable range [0, 1]; see `captum_featinv.param.noise`.
        transforms: small distortions, drawn anew for every step, that keep an image's size. If None,
            a blur in half of the steps, wider where the image is written down as frequencies.
        normalize_loss: divide each row's loss by that of an all-silent code, so that a step means
            the same at every layer.
        redirect: for this share of the steps gradients pass a ReLU that is silent.
        warmup: over this share of the steps the weight of all filters but the one of interest grows
            from 0 to 1, so that a filter that is silent at the start is not drowned first.
        outweigh: a filter of interest is asked for at least this many times what outweighs all that
            the layer does, so that a faint one shows; or None: for what the paper asks. See
            `captum_featinv.objectives.code.FeatureMapMatch`.
        retry: a picture in which a filter has less of its layer than in the photo, or that is no
            nearer to its code than the start image, is looked for once more with this share of the
            learning rate, and the better one kept; or None: never.
        clip: limit of the size of every gradient entry.
        tolerance: a row has settled when a step changes it by less than this share of its distance
            from the mean colour; looked at every tenth step, once `redirect` and `warmup` are over.
        denoise: weight of one total-variation denoising of the final picture.
        precision: of the model's computations in the steps, for float32 images: `"float32"`;
            `"bfloat16"`, under autocast, for photos whose code then stays the same but for rounding;
            or `"auto"`: float32 on a CPU, bfloat16 on a GPU that has it. The model is not converted,
            and pictures are always judged in its own precision.

    Raises:
        ArgumentError, ArgumentTypeError: a value is out of its range or of another kind.
    """

    n_steps: int = 32
    optimizer: Callable[[list[Tensor]], Optimizer] | None = None
    couples_rows: bool | None = None
    schedule: Callable[[Optimizer, int], LRScheduler] | None = rise_and_fall
    pixels: Callable[[Tensor, Tensor], Parameterization] | None = None
    noise: Callable[[torch.Size, torch.Generator], Tensor] = partial(natural_noise, amplitude=0.05)
    transforms: tuple[Transform, ...] | None = None
    normalize_loss: bool = True
    redirect: float = 0.2
    warmup: float = 0.2
    outweigh: float | None = 1.0
    retry: float | None = 0.3
    clip: float | None = None
    tolerance: float | None = 1e-4
    denoise: float | None = None
    precision: Precision = "auto"

    @classmethod
    def default(cls, **changes: Any) -> "Recipe":
        """The recipe that is used when none is given, with `changes` to its fields.

        Args:
            **changes: values of fields, by name.

        Returns:
            The recipe.

        Raises:
            ArgumentError, ArgumentTypeError: see `Recipe`.
        """
        return cls(**changes)

    @classmethod
    def paper(cls, **changes: Any) -> "Recipe":
        """The authors' procedure (Xia et al. 2016, their published code).

        Values of 0..255 minus the mean colour, without bounds; start U(-0.1, 0.1); squared error,
        summed; momentum SGD with weight decay and clipped gradients, rate x 0.9 every 10 steps;
        at most 1000 steps, until one changes the image by less than 0.5%; one denoising at the end.
        The authors also swap max for average pooling: see `models.average_pooling`.

        Args:
            **changes: values of fields, by name.

        Returns:
            The recipe.

        Raises:
            ArgumentError, ArgumentTypeError: see `Recipe`.
        """
        authors: dict[str, Any] = {
            "n_steps": 1000,
            "optimizer": partial(SGD, lr=0.1, momentum=0.9, weight_decay=0.0005),
            "schedule": a_tenth_off,
            "pixels": byte_pixels,
            "noise": partial(uniform_noise, amplitude=0.1 / 255),
            "transforms": (),
            "normalize_loss": False,
            "redirect": 0.0,
            "warmup": 0.0,
            "outweigh": None,
            "retry": None,
            "clip": 10.0,
            "tolerance": 0.005,
            "denoise": 0.2,
            "precision": "float32",
        }
        return cls(**(authors | changes))

    @classmethod
    def smooth(cls, **changes: Any) -> "Recipe":
        """The default in its large form at every layer: the image is written down as frequencies.

        Args:
            **changes: values of fields, by name.

        Returns:
            The recipe.

        Raises:
            ArgumentError, ArgumentTypeError: see `Recipe`.
        """
        return cls(**(SMOOTH._asdict() | changes))

    @classmethod
    def fine(cls, **changes: Any) -> "Recipe":
        """The default in its fine form at every layer: the image is written down as pixels.

        Args:
            **changes: values of fields, by name.

        Returns:
            The recipe.

        Raises:
            ArgumentError, ArgumentTypeError: see `Recipe`.
        """
        return cls(**(FINE._asdict() | changes))

    def suited(self, stride: float = 1) -> "Recipe":
        """The recipe with what it leaves open decided, for a layer of this stride in pixels.

        Args:
            stride: of the layer, in pixels of the image.

        Returns:
            A recipe whose `pixels`, `optimizer` and `transforms` are not None.
        """
        return replace(self, **self.form(stride)._asdict())

    def form(self, stride: float = 1) -> Form:
        """What it says of the form, and what it leaves open as suits this stride and its pixels.

        Args:
            stride: of the layer, in pixels of the image.

        Returns:
            `pixels`, `optimizer` and `transforms`, none of them None.
        """
        suits = form_for(stride)
        if self.pixels is not None:
            suits = SMOOTH if self.pixels is SMOOTH.pixels else FINE
        return Form(
            suits.pixels if self.pixels is None else self.pixels,
            suits.optimizer if self.optimizer is None else self.optimizer,
            suits.transforms if self.transforms is None else self.transforms,
        )

    def slowed(self, share: float) -> "Recipe":
        """The same with so much of its optimizer's learning rate, as suits its pixels.

        Args:
            share: of the rate, above 0.

        Returns:
            A recipe with an optimizer of its own.
        """
        return replace(self, optimizer=partial(_slowed, self.form().optimizer, share))

    def __post_init__(self) -> None:
        _check_numbers(self)
        _check_transforms(() if self.transforms is None else self.transforms)
        checked(self.precision)
        checked_optimizer(self.form().optimizer, self.n_steps, self.schedule)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash(_values(self))

    def __str__(self) -> str:
        """A line a value."""
        said = self.to_dict()
        width = max(map(len, said))
        return "\n".join(f"{name:<{width}}  {text}" for name, text in said.items())

    def to_dict(self) -> dict[str, str]:
        """Its values in words."""
        said = {field.name: _said(getattr(self, field.name)) for field in fields(self)}
        left = {name: _LEFT for name in Form._fields if getattr(self, name) is None}
        return said | left


def _slowed(
    make: Callable[[list[Tensor]], Optimizer], share: float, parameters: list[Tensor]
) -> Optimizer:
    optimizer = make(parameters)
    for group in optimizer.param_groups:
        group["lr"] = share * group["lr"]
    return optimizer


def _check_numbers(recipe: Recipe) -> None:
    steps: Any = recipe.n_steps
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ArgumentError(f"The number of steps must be a positive integer. Given: {steps}")
    for name in ("redirect", "warmup"):
        share = getattr(recipe, name)
        if not 0 <= share <= 1:
            raise ArgumentError(f"{name} is a share of the steps, from 0 to 1. Given: {share}")
    for name in ("outweigh", "retry", "clip", "tolerance", "denoise"):
        limit = getattr(recipe, name)
        if limit is not None and not 0 < limit < float("inf"):
            raise ArgumentError(f"{name} must be positive, or None for none. Given: {limit}")


def _check_transforms(transforms: Any) -> None:
    given = transforms if isinstance(transforms, tuple | list) else (transforms,)
    wrong = next((one for one in given if not hasattr(one, "draw")), None)
    if wrong is not None or not isinstance(transforms, tuple | list):
        found = wrong if wrong is not None else transforms
        raise ArgumentTypeError(
            f"transforms must be a tuple of transforms with a `draw` but found: {found!r}; "
            "RandomBlur() and transform.jitter(2) are such; transform.pad changes the size, so that "
            "the code is no longer the photo's (standard_transforms are for render_vis)"
        )


def _values(recipe: Recipe) -> tuple[Any, ...]:
    return tuple(_comparable(getattr(recipe, field.name)) for field in fields(recipe))


def _comparable(value: Any) -> Any:
    """A partial function by what it is made of: Python takes two that are made alike for different."""
    if isinstance(value, partial):
        keywords = tuple((name, _comparable(v)) for name, v in sorted(value.keywords.items()))
        return (_comparable(value.func), _comparable(value.args), keywords)
    return tuple(map(_comparable, value)) if isinstance(value, tuple | list) else value


def _said(value: Any) -> str:
    if isinstance(value, partial):
        words = [*map(repr, value.args), *(f"{k}={v!r}" for k, v in value.keywords.items())]
        return f"{value.func.__name__}({', '.join(words)})"
    if isinstance(value, tuple):
        return ", ".join(map(_said, value)) or "none"
    return str(getattr(value, "__name__", value))
