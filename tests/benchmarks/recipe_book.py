"""The recipes that `recipes.py` can judge, by name: the default with one ingredient changed."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import LBFGS, Adam, NAdam
from torch.optim.lr_scheduler import CosineAnnealingLR

from captum_featinv import Recipe, param
from captum_featinv.optimization.schedules import rise_and_fall
from captum_featinv.param.noise import natural_noise, uniform_noise
from captum_featinv.param.parameterization import Parameterization
from captum_featinv.param.pixel import clamped_pixels, sigmoid_pixels
from captum_featinv.transform import RandomBlur, jitter
from tests.benchmarks.penalties import Penalty, alpha_norm, total_variation


def correlated(start: Tensor, _grey: Tensor) -> Parameterization:
    """Frequencies of red, green and blue as they are."""
    height, width = start.shape[-2:]
    size = {"batch": len(start), "init": start.clamp(0.02, 0.98), "device": start.device}
    return param.image(width, height, decorrelate=False, **size)


def pyramid(start: Tensor, _grey: Tensor) -> Parameterization:
    """Coarse and fine at once: the image is a sum of images at full, half and quarter size."""
    height, width = start.shape[-2:]
    levels = [
        torch.zeros(*start.shape[:-2], max(1, height // part), max(1, width // part))
        .to(start)
        .requires_grad_()
        for part in (1, 2, 4)
    ]

    def draw() -> Tensor:
        sizes = {"size": (height, width), "mode": "bilinear", "align_corners": False}
        finer = [functional.interpolate(level, **sizes) for level in levels]
        return (start + sum(finer)).clamp(0, 1)

    return Parameterization(levels, draw)


def recipe(**changes: object) -> Callable[[], Recipe]:
    return partial(Recipe.default, **changes)


def slow(lr: float) -> dict[str, Any]:
    """The steps of the default before: Adam's usual averages, and more of them."""
    schedule = partial(rise_and_fall, rise=0.2)
    return {"optimizer": partial(Adam, lr=lr), "schedule": schedule, "n_steps": 40}


BOOK: dict[str, Callable[[], Recipe]] = {
    "default": Recipe.default,
    "paper": Recipe.paper,
    "paper, not denoised": partial(Recipe.paper, denoise=None),
    # Each ingredient left out.
    "no blur": recipe(transforms=()),
    "no redirected ReLU": recipe(redirect=0.0),
    "no warm-up": recipe(warmup=0.0),
    "neither of both": recipe(redirect=0.0, warmup=0.0),
    "no start noise": recipe(noise=lambda shape, _: torch.zeros(shape)),
    "constant rate": recipe(schedule=None),
    # Each ingredient in another way.
    "blur in every step": recipe(transforms=(RandomBlur(probability=1.0),)),
    "blur and a shift of 2": recipe(transforms=(RandomBlur(), jitter(2))),
    "redirected throughout": recipe(redirect=1.0),
    "uniform start noise": recipe(noise=partial(uniform_noise, amplitude=0.05)),
    "start noise of 0.2": recipe(noise=partial(natural_noise, amplitude=0.2)),
    "cosine schedule": recipe(schedule=CosineAnnealingLR),
    "cosine schedule, 0.05, 80 steps": recipe(
        schedule=CosineAnnealingLR, optimizer=partial(Adam, lr=0.05), n_steps=80
    ),
    "sigmoid": recipe(pixels=sigmoid_pixels, optimizer=partial(Adam, lr=0.6)),
    "smooth": Recipe.smooth,
    "pixels": recipe(pixels=clamped_pixels),
    # The default until it had a form; then until its steps were fewer, on pixels and on frequencies.
    "before": recipe(pixels=clamped_pixels, outweigh=None, **slow(0.15)),
    "Adam 0.15, 40 steps": recipe(**slow(0.15)),
    "Adam 0.35, 40 steps": recipe(**slow(0.35)),
    "does not outweigh": recipe(outweigh=None),
    **{f"outweighs {c} times": recipe(outweigh=c) for c in (0.7, 0.85, 1.2, 2.0)},
    "correlated colours": recipe(pixels=correlated),
    "pyramid": recipe(pixels=pyramid, optimizer=partial(Adam, lr=0.05)),
    **{
        f"{name} of {weight}": recipe(transforms=(Penalty(of, weight), RandomBlur()))
        for name, of in (("total variation", total_variation), ("alpha norm", alpha_norm))
        for weight in (0.0001, 0.001, 0.01)
    },
    "Adam 0.05": recipe(optimizer=partial(Adam, lr=0.05)),
    "Adam 0.3": recipe(optimizer=partial(Adam, lr=0.3)),
    "NAdam": recipe(optimizer=partial(NAdam, lr=0.15)),
    "L-BFGS": recipe(
        optimizer=partial(LBFGS, max_iter=4, line_search_fn="strong_wolfe"),
        schedule=None,
        transforms=(),
        n_steps=20,
    ),
    "bfloat16": recipe(precision="bfloat16"),
    "float32": recipe(precision="float32"),
    # More and fewer steps; the most are the ceiling.
    **{
        f"{steps} steps": recipe(n_steps=steps)
        for steps in (12, 20, 30, 60, 80, 100, 200, 400, 800)
    },
}
