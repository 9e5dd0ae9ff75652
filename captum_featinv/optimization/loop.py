"""The loop that follows a recipe: draw, distort, look, step, until the images are found."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from captum_featinv.errors import ArgumentError
from captum_featinv.images.denoise import total_variation_denoise
from captum_featinv.network.inputs import Images
from captum_featinv.optimization.descent import descend
from captum_featinv.optimization.form import Form
from captum_featinv.optimization.interrupts import pass_through
from captum_featinv.optimization.optimizers import couples_rows
from captum_featinv.optimization.precision import Arithmetic, candidates
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.optimization.record import LOOK_EVERY, Record
from captum_featinv.param.frequencies import frequencies
from captum_featinv.param.parameterization import Parameterization
from captum_featinv.param.pixel import clamped_pixels, free_pixels, sigmoid_pixels
from captum_featinv.transform import Lens

_BOUNDED = (clamped_pixels, sigmoid_pixels, frequencies)


class Phase(NamedTuple):
    """What changes in the losses as the steps go by.

    Whether gradients pass a silent ReLU, and how much the activation of other filters weighs.
    """

    redirect: bool
    leakage: float


Losses = Callable[[Images, Phase], Tensor]


class Found(NamedTuple):
    """The images that were found, which rows did not stay finite, and whether Ctrl-C came.

    `unreached` are the numbers of the inputs on which no loss depends: their images are the start's.
    """

    images: Images
    lost: Tensor
    interrupted: bool
    unreached: list[int]


def follow(
    recipe: Recipe,
    losses: Losses,
    starts: Images,
    greys: Images,
    *,
    bounded: Sequence[bool],
    seed: int,
    advance: Callable[[], Any],
) -> Found:
    """Look for images, in the displayable range.

    Args:
        recipe: how; what it leaves open is decided as for pixels, unless it is `suited` before.
        losses: from images and a phase to one loss a row.
        starts: the start images, each (rows, channel, *).
        greys: the mean colour of each of them, of the same shape.
        bounded: of each, whether there is a displayable range to stay in.
        seed: of the distortions.
        advance: called after every step.

    Returns:
        The images, after Ctrl-C as far as they came.
    """
    form = recipe.form()
    _check_denoising(recipe, starts)
    images = _written(form, starts, greys, bounded)
    parameters = [parameter for image in images for parameter in image.parameters]
    optimizer = form.optimizer(parameters)
    schedule = recipe.schedule(optimizer, recipe.n_steps) if recipe.schedule else None
    settling = recipe.n_steps * max(recipe.redirect, recipe.warmup)
    record = Record(starts, greys, recipe.tolerance, first=settling)
    interrupted = False
    try:
        for step in descend(
            parameters,
            _losses_at(recipe, losses, images, starts, seed),
            optimizer,
            n_steps=recipe.n_steps,
            schedule=schedule,
            clip=recipe.clip,
            asks=runs_alone(recipe),
        ):
            advance()
            if (step.number + 1) % LOOK_EVERY <= 1:
                record.note(step.number, _drawn(images))
                if record.all_settled(step.number):
                    break
    except KeyboardInterrupt:
        if pass_through():
            raise
        interrupted = True
    record.look(_drawn(images))
    finished = _finished(recipe, record.images, bounded)
    return Found(finished, record.lost, interrupted, [] if interrupted else _unreached(images))


def start_image(recipe: Recipe, grey: Tensor, generator: torch.Generator) -> Tensor:
    """The start image: noise that depends on the seed alone, the same in every row."""
    return grey + recipe.noise(grey.shape[1:], generator).to(grey)


def phase_of(recipe: Recipe, step: int) -> Phase:
    """What the losses are like in a step, counted from 0."""
    warm = recipe.warmup * recipe.n_steps
    return Phase(step < recipe.redirect * recipe.n_steps, min(1.0, step / warm) if warm else 1.0)


def runs_alone(recipe: Recipe) -> bool:
    """Whether every image has to be run by itself."""
    known = recipe.couples_rows
    return couples_rows(recipe.form().optimizer) if known is None else known


def arithmetics(recipe: Recipe, images: Images) -> list[Arithmetic]:
    """Ways to compute the steps for these images, the fastest first."""
    # A line search takes rounding for progress.
    whole = recipe.precision == "auto" and runs_alone(recipe)
    return candidates("float32" if whole else recipe.precision, images)


def _check_denoising(recipe: Recipe, images: Images) -> None:
    if recipe.denoise is not None and any(image.dim() < 4 for image in images):
        raise ArgumentError(
            f"denoise={recipe.denoise} is for images with height and width, and these have shape "
            f"{tuple(images[0].shape)}; pass Recipe.paper(denoise=None)"
        )


def _written(
    form: Form, starts: Images, greys: Images, bounded: Sequence[bool]
) -> list[Parameterization]:
    """The images as parameters; without a displayable range there are no bounds to stay in."""
    free = free_pixels if form.pixels in _BOUNDED else form.pixels
    return [
        (form.pixels if inside else free)(start, grey)
        for start, grey, inside in zip(starts, greys, bounded, strict=True)
    ]


def _unreached(images: Sequence[Parameterization]) -> list[int]:
    return [i for i, image in enumerate(images) if all(p.grad is None for p in image.parameters)]


def _drawn(images: Sequence[Parameterization]) -> Images:
    return tuple(image.draw().detach() for image in images)


def _losses_at(
    recipe: Recipe,
    losses: Losses,
    images: Sequence[Parameterization],
    starts: Images,
    seed: int,
) -> Callable[[int], Tensor]:
    """The losses in a step; what can be drawn or made beforehand is."""
    generator = torch.Generator("cpu").manual_seed(seed)
    ready = _Ready(starts)
    transforms = recipe.form().transforms
    lenses = [
        [ready(transform.draw(generator)) for transform in transforms]
        for _ in range(recipe.n_steps)
    ]
    phases = [phase_of(recipe, step) for step in range(recipe.n_steps)]

    def losses_at(step: int) -> Tensor:
        drawn = [image.draw() for image in images]
        for each in lenses[step]:
            drawn = [lens(image) for lens, image in zip(each, drawn, strict=True)]
        return losses(tuple(drawn), phases[step])

    return losses_at


class _Ready:
    """Makes lenses ready for images: what they need lies on the device before the first step."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._known: dict[Lens, list[Lens]] = {}

    def __call__(self, lens: Lens) -> list[Lens]:
        """One lens for every image."""
        prepare = getattr(lens, "ready_for", None)
        if prepare is None:
            return [lens] * len(self._images)
        if lens not in self._known:
            self._known[lens] = [prepare(image) for image in self._images]
        return self._known[lens]


def _finished(recipe: Recipe, images: Images, bounded: Sequence[bool]) -> Images:
    """What is done once to the final images."""
    if recipe.denoise is None:
        return images
    weight = recipe.denoise
    pairs = zip(images, bounded, strict=True)
    return tuple(
        total_variation_denoise(image.clamp(0, 1) if inside else image, weight)
        for image, inside in pairs
    )
