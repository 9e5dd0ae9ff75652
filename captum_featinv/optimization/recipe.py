"""How an inversion is run: everything that is not what is looked for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import LBFGS, SGD, Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, StepLR

from captum_featinv.errors import ArgumentError
from captum_featinv.images.denoise import total_variation_denoise
from captum_featinv.optimization.descent import descend
from captum_featinv.optimization.precision import Numerics, Precision, candidates
from captum_featinv.param.noise import natural_noise, uniform_noise
from captum_featinv.param.parameterization import Parameterization
from captum_featinv.param.pixel import byte_pixels, clamped_pixels, free_pixels, sigmoid_pixels
from captum_featinv.transform import RandomBlur, Transform

Images = tuple[Tensor, ...]

# Steps between two looks at whether every row has settled: each look waits for the device.
_LOOK_EVERY = 10

_BOUNDED = (clamped_pixels, sigmoid_pixels)

# The share of the steps over which the default's learning rate rises. At full size from the first
# step, Adam's equal steps for every pixel bury what little of a deep filter is in the start image.
_RISE = 0.2


def rise_and_fall(optimizer: Optimizer, n_steps: int) -> LambdaLR:
    """A learning rate that rises over the first fifth of the steps and falls in a line all along."""
    return LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / (_RISE * n_steps)) * (1 - step / n_steps)
    )


class Phase(NamedTuple):
    """What changes in the losses as the steps go by.

    Whether gradients pass a silent ReLU, and how much the activation of other filters weighs.
    """

    redirect: bool
    leakage: float


Losses = Callable[[Images, Phase], Tensor]


class Progress(NamedTuple):
    """The images after a step, and which rows stopped being finite: those stay as they last were."""

    step: int
    images: Images
    lost: Tensor


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How an image with a given code is looked for. The defaults are the default recipe.

    Args:
        n_steps: how many steps at most.
        optimizer: from parameters to any of torch's optimizers. L-BFGS couples all it is given, so
            with it every image is run alone.
        schedule: from the optimizer and the number of steps to a schedule of its learning rate.
        pixels: how the image is written down; see `captum_featinv.param.pixel`.
        noise: from the shape of one example and a generator to what is added to the mean colour at
            the start, in the displayable range [0, 1]; see `captum_featinv.param.noise`.
        transforms: small distortions, drawn anew for every step.
        normalize_loss: divide each row's loss by that of an all-silent code, so that a step means
            the same at every layer.
        redirect: for this share of the steps gradients pass a ReLU that is silent.
        warmup: over this share of the steps the weight of all filters but the one of interest grows
            from 0 to 1, so that a filter that is silent at the start is not drowned first.
        clip: limit of the size of every gradient entry.
        tolerance: a row has settled when a step changes it by less than this share of its distance
            from the mean colour.
        denoise: weight of one total-variation denoising of the final picture.
        precision: of the model's computations in the steps, for float32 images: `"float32"`;
            `"bfloat16"`, under autocast, if the photos' code then stays the same but for rounding;
            or `"auto"`: that where this device convolves faster so. The model is not converted, and
            pictures are always judged in its own precision.
    """

    n_steps: int = 40
    optimizer: Callable[[list[Tensor]], Optimizer] = partial(Adam, lr=0.15)
    schedule: Callable[[Optimizer, int], LRScheduler] | None = rise_and_fall
    pixels: Callable[[Tensor, Tensor], Parameterization] = clamped_pixels
    noise: Callable[[torch.Size, torch.Generator], Tensor] = partial(natural_noise, amplitude=0.05)
    transforms: tuple[Transform, ...] = (RandomBlur(),)
    normalize_loss: bool = True
    redirect: float = 0.2
    warmup: float = 0.2
    clip: float | None = None
    tolerance: float | None = 1e-4
    denoise: float | None = None
    precision: Precision = "auto"

    @classmethod
    def default(cls, **changes: Any) -> "Recipe":
        """The recipe that is used when none is given, with `changes` to its fields."""
        return cls(**changes)

    @classmethod
    def paper(cls, **changes: Any) -> "Recipe":
        """The authors' procedure (Xia et al. 2016, their published code).

        Values of 0..255 minus the mean colour, without bounds; start U(-0.1, 0.1); squared error,
        summed; momentum SGD with weight decay and clipped gradients, rate x 0.9 every 10 steps;
        at most 1000 steps, until one changes the image by less than 0.5%; one denoising at the end.
        The authors also swap max for average pooling: see `models.average_pooling`.
        """
        authors: dict[str, Any] = {
            "n_steps": 1000,
            "optimizer": partial(SGD, lr=0.1, momentum=0.9, weight_decay=0.0005),
            "schedule": lambda optimizer, _: StepLR(optimizer, step_size=10, gamma=0.9),
            "pixels": byte_pixels,
            "noise": partial(uniform_noise, amplitude=0.1 / 255),
            "transforms": (),
            "normalize_loss": False,
            "redirect": 0.0,
            "warmup": 0.0,
            "clip": 10.0,
            "tolerance": 0.005,
            "denoise": 0.2,
            "precision": "float32",
        }
        return cls(**(authors | changes))

    def __post_init__(self) -> None:
        if self.n_steps < 1:
            raise ArgumentError(
                f"The number of steps must be a positive integer. Given: {self.n_steps}"
            )

    @property
    def couples_rows(self) -> bool:
        """Whether the optimizer lets the rows of a batch influence one another."""
        return isinstance(self.optimizer([torch.zeros(1, requires_grad=True)]), LBFGS)

    def numerics(self, images: Images) -> list[Numerics]:
        """Ways to compute the steps for these images, the fastest first."""
        # A line search takes rounding for progress.
        whole = self.precision == "auto" and self.couples_rows
        return candidates("float32" if whole else self.precision, images)

    def phase(self, step: int) -> Phase:
        """What the losses are like in a step, counted from 0."""
        warm = self.warmup * self.n_steps
        return Phase(step < self.redirect * self.n_steps, min(1.0, step / warm) if warm else 1.0)

    def start(self, grey: Tensor, generator: torch.Generator) -> Tensor:
        """The start image: noise that depends on the seed alone, the same in every row."""
        return grey + self.noise(grey.shape[1:], generator).to(grey)

    def run(
        self, losses: Losses, starts: Images, greys: Images, *, bounded: bool, seed: int
    ) -> Iterator[Progress]:
        """Look for the images, and yield them after every step.

        Args:
            losses: from images in the displayable range and a phase to one loss a row.
            starts: the start images, each (rows, channel, *).
            greys: the mean colour of each of them, of the same shape.
            bounded: whether there is a displayable range to stay in.
            seed: of the distortions.
        """
        # Without a displayable range there are no bounds to stay in.
        pixels = self.pixels if bounded or self.pixels not in _BOUNDED else free_pixels
        images = [pixels(start, grey) for start, grey in zip(starts, greys, strict=True)]
        parameters = [parameter for image in images for parameter in image.parameters]
        generator = torch.Generator().manual_seed(seed)
        views = [[t.draw(generator) for t in self.transforms] for _ in range(self.n_steps)]

        def losses_at(step: int) -> Tensor:
            drawn = [image.draw() for image in images]
            for view in views[step]:
                drawn = [view(image) for image in drawn]
            return losses(tuple(drawn), self.phase(step))

        optimizer = self.optimizer(parameters)
        schedule = self.schedule(optimizer, self.n_steps) if self.schedule else None
        record = _Record(starts, greys, self.tolerance)
        for step in descend(
            parameters,
            losses_at,
            optimizer,
            n_steps=self.n_steps,
            schedule=schedule,
            clip=self.clip,
        ):
            record.add(tuple(image.draw().detach() for image in images))
            yield Progress(step.number, record.images, record.lost)
            if step.number % _LOOK_EVERY == 0 and record.all_settled():
                return

    def finish(self, images: Images) -> Images:
        """What is done once to the final images, in the displayable range."""
        if self.denoise is None:
            return images
        weight = self.denoise
        return tuple(total_variation_denoise(image.clamp(0, 1), weight) for image in images)


class _Record:
    """The images so far: a row stays as it is once it has settled, or once it is no longer finite."""

    def __init__(self, starts: Images, greys: Images, tolerance: float | None) -> None:
        self.images = starts
        self._greys = greys
        self._tolerance = tolerance
        self._settled = torch.zeros(len(starts[0]), dtype=torch.bool, device=starts[0].device)
        self.lost = self._settled

    def add(self, images: Images) -> None:
        change, size = _distance(images, self.images), _distance(images, self._greys)
        self.lost = self.lost | ~torch.isfinite(size)
        closed = self._settled | self.lost
        self.images = tuple(
            torch.where(closed.reshape(-1, *[1] * (new.dim() - 1)), old, new)
            for new, old in zip(images, self.images, strict=True)
        )
        if self._tolerance is not None:
            self._settled = closed | (change < self._tolerance * size)

    def all_settled(self) -> bool:
        return self._tolerance is not None and bool(self._settled.all())


def _distance(images: Images, others: Images) -> Tensor:
    differences = [(a - b).flatten(1) for a, b in zip(images, others, strict=True)]
    distance: Tensor = torch.linalg.vector_norm(torch.cat(differences, dim=1), dim=1)
    return distance
