"""Lucent's front door: render an image that minimises an objective."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, Optimizer
from tqdm import tqdm

from captum_featinv.errors import ArgumentError, ArgumentTypeError, warn
from captum_featinv.network.untouched import untouched
from captum_featinv.objectives import as_objective
from captum_featinv.optimization.descent import Step, descend
from captum_featinv.optimization.interrupts import pass_through
from captum_featinv.param import as_param, image
from captum_featinv.render.features import Features
from captum_featinv.render.showing import Array, Showing, display, tensor_to_img_array
from captum_featinv.transform import (
    Lens,
    compose,
    normalize,
    preprocess_inceptionv1,
    standard_transforms,
)

# Lucent enlarges what is smaller: the size that torchvision's classifiers were trained on.
_SMALLEST = 224


@dataclass(frozen=True)
class RenderResult:
    """What `render_vis` found.

    Args:
        image: the final image, (batch, channel, height, width), detached.
        losses: one number a step, before the step.
        snapshots: the images at the thresholds, each (batch, height, width, channel).
        step: how many steps were done.
    """

    image: Tensor
    losses: list[float]
    snapshots: list[Array]
    step: int


def render_vis(  # noqa: PLR0913 - Lucent's signature, and its ways to show
    model: nn.Module,
    objective_f: Any,
    param_f: Any = None,
    optimizer: Callable[[list[Tensor]], Optimizer] | None = None,
    transforms: Iterable[Lens] | None = None,
    thresholds: Sequence[int] = (512,),
    verbose: bool = False,
    preprocess: bool = True,
    progress: bool = True,
    show_image: bool = True,
    save_image: bool = False,
    image_name: str | None = None,
    show_inline: bool = False,
    fixed_image_size: int | tuple[int, int] | None = None,
    *,
    return_result: bool = False,
) -> Any:
    """Render an image that minimises an objective, with Lucent's signature and return value.

    With the same seed and the same transforms the picture is Lucent's to the bit. Unlike Lucent it
    leaves the model as it was, hooks nothing that is not asked for, stops the forward at the last
    layer that is, gives the weights no gradients, and raises the model's errors.

    Args:
        model: the network, in eval mode.
        objective_f: an objective of ours or Lucent's, any callable of features, or "layer:channel".
        param_f: a function that returns parameters and a function that draws the image from them; or
            that pair; or a module; or a start image. `param.image(128)` if None.
        optimizer: from parameters to an optimizer; Adam with a rate of 0.05 if None.
        transforms: distortions; `transform.standard_transforms` if None, none if empty.
        thresholds: the steps after which a picture is kept; the last of them is the last step.
        verbose: print the losses at the start and at thresholds.
        preprocess: normalise as torchvision's models want it.
        progress: show a progress bar.
        show_image: open the picture in the system's viewer at the end.
        save_image: write the picture.
        image_name: where to, `image.jpg` if None.
        show_inline: show the picture in the notebook instead.
        fixed_image_size: resize the model's input to it; by default images under 224 px are enlarged.
        return_result: return a `RenderResult` instead of a list.

    Returns:
        One array a threshold, (batch, height, width, channel), float32. After Ctrl-C the last is the
        picture as it was then.

    Raises:
        ArgumentError: no thresholds, or one that is not positive; images that cannot be shown or saved
            although they are to be.
        ArgumentTypeError: an argument of another kind.
        LayerError: the objective asks for a layer that the model does not have.
    """
    steps = _steps(thresholds)
    objective = as_objective(objective_f)
    parameters, draw = as_param(image(128) if param_f is None else param_f)
    chosen = _optimizer(optimizer or _adam, parameters)
    first = draw().detach()
    show = Showing(show_image, show_inline, save_image, image_name)
    show.require(first)
    distort = standard_transforms if transforms is None else tuple(transforms)
    prepare = _preparation(model, first.shape, preprocess=preprocess, size=fixed_image_size)
    weight = next(model.parameters(), first)
    run = _Run(list(thresholds), verbose=verbose, show_inline=show_inline)
    with untouched(model, weight.device), Features(model, objective.relevant_layers) as features:

        def losses_of(distorted: Lens) -> Tensor:
            drawn = draw()
            inputs = prepare(distorted(drawn)).to(weight)
            return features.loss(objective, drawn, inputs).reshape(1)

        if verbose:
            with torch.no_grad():
                print(f"Initial loss: {losses_of(_drawn(distort)).item():.3f}")  # noqa: T201
        losses = _one_lens_a_step(losses_of, distort)
        loop = descend(parameters, losses, chosen, n_steps=steps)
        run.follow(tqdm(loop, total=steps) if progress else loop, draw)
    final = draw().detach()
    show(final)
    return run.result(final) if return_result else run.snapshots


def _one_lens_a_step(
    losses_of: Callable[[Lens], Tensor], transforms: Sequence[Any]
) -> Callable[[int], Tensor]:
    """The losses of a step, under distortions that are drawn once for it."""
    latest: tuple[int, Lens] = (-1, compose(()))

    def losses(step: int) -> Tensor:
        nonlocal latest
        if step != latest[0]:
            latest = step, _drawn(transforms)
        return losses_of(latest[1])

    return losses


class _Run:
    """What a run has come to so far."""

    def __init__(self, thresholds: list[int], *, verbose: bool, show_inline: bool) -> None:
        self._thresholds = set(thresholds)
        self._verbose, self._show_inline = verbose, show_inline
        self._losses: list[Tensor] = []
        self.snapshots: list[Array] = []
        self.step = 0

    def follow(self, loop: Iterable[Step], draw: Callable[[], Tensor]) -> None:
        """All steps, or as many as come before Ctrl-C."""
        try:
            for step in loop:
                self._add(step.number, step.losses, draw)
        except KeyboardInterrupt:
            if pass_through():
                raise
            last = max(self._thresholds)
            warn(f"interrupted after {self.step} of {last} steps: the picture is as far as it came")
            self.snapshots.append(tensor_to_img_array(draw()))

    def _add(self, step: int, losses: Tensor, draw: Callable[[], Tensor]) -> None:
        self.step = step
        self._losses.append(losses)
        if step not in self._thresholds:
            return
        if self._verbose:
            print(f"Loss at step {step}: {losses.item():.3f}")  # noqa: T201
            if self._show_inline:
                display(draw())
        self.snapshots.append(tensor_to_img_array(draw()))

    def result(self, final: Tensor) -> RenderResult:
        losses = torch.cat(self._losses).tolist() if self._losses else []
        return RenderResult(final, losses, self.snapshots, self.step)


def _adam(parameters: list[Tensor]) -> Optimizer:
    return Adam(parameters, lr=0.05)


def _optimizer(make: Callable[[list[Tensor]], Optimizer], parameters: list[Tensor]) -> Optimizer:
    made = make(parameters)
    if not isinstance(made, Optimizer):
        raise ArgumentTypeError(
            "optimizer must be a function from parameters to an optimizer, e.g. "
            f"lambda params: torch.optim.Adam(params, lr=0.05), but returned {type(made)}"
        )
    return made


def _steps(thresholds: Any) -> int:
    if isinstance(thresholds, int) or not all(isinstance(t, int) for t in thresholds):
        raise ArgumentTypeError(
            f"thresholds must be steps, e.g. (128, 512), but found: {thresholds!r}"
        )
    if not thresholds or min(thresholds) < 1:
        raise ArgumentError(
            f"thresholds must name at least one step from 1 on. Given: {thresholds}"
        )
    return int(max(thresholds))


def _drawn(transforms: Iterable[Any]) -> Lens:
    """The transforms with their dice thrown, where they are ours."""
    return compose(
        t.draw(getattr(t, "generator", None)) if hasattr(t, "draw") else t for t in transforms
    )


def _preparation(
    model: nn.Module, shape: torch.Size, *, preprocess: bool, size: int | tuple[int, int] | None
) -> Lens:
    """What Lucent does to an image before it shows it to the model."""
    steps: list[Lens] = []
    if preprocess:
        old = type(model).__name__ == "InceptionV1"
        steps.append(preprocess_inceptionv1() if old else normalize())
    if size is None and min(shape[2:]) < _SMALLEST:
        size = _SMALLEST
    if size is not None:
        to = (size, size) if isinstance(size, int) else tuple(size)
        steps.append(
            lambda image: functional.interpolate(image, to, mode="bilinear", align_corners=True)
        )
    # Convolutions differ in their last bits with the strides; Lucent's input is contiguous.
    return compose([*steps[:1], torch.Tensor.contiguous, *steps[1:]])
