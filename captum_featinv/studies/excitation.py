"""What excites a filter most: activation maximisation, Lucent's or ours, DreamLens', and DeepDream."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from captum_featinv import objectives, param, transform
from captum_featinv.render import render_vis
from captum_featinv.studies.comparison import Question
from captum_featinv.studies.quiet import scratch_copy

# Lucent's own number, and for a photo few enough for it to stay recognisable.
_MAXIMISATION_STEPS = 512
_DREAM_STEPS = 40


def maximisation(question: Question) -> Tensor:
    """What excites the filter most: Lucent's picture where Lucent is installed, otherwise ours."""
    steps = question.steps or _MAXIMISATION_STEPS
    if find_spec("lucent") is None:
        return _rendered(question, _blank(question), transform.standard_transforms, steps)
    with _unheard():
        from lucent.optvis import objectives as lucents_objectives  # noqa: PLC0415
        from lucent.optvis import param as lucents_param  # noqa: PLC0415
        from lucent.optvis.render import render_vis as lucents_render_vis  # noqa: PLC0415
        from lucent.optvis.transform import (  # noqa: PLC0415
            standard_transforms as lucents_transforms,
        )

        height, width = question.photo.shape[-2:]
        (image,) = lucents_render_vis(
            # It leaves its hooks and gradients behind, and knows the CPU and CUDA only.
            scratch_copy(question.model).to(_lucents_device(question)),
            lucents_objectives.channel(question.layer.replace(".", "_"), question.filter),
            lambda: lucents_param.image(width, height),
            transforms=[*lucents_transforms, question.normalization.to_model],
            preprocess=False,
            thresholds=(steps,),
            fixed_image_size=(height, width),
            progress=False,
            show_image=False,
        )
    return torch.from_numpy(image).movedim(-1, 1).to(question.photo).clamp(0, 1)


def _lucents_device(question: Question) -> torch.device:
    """Where Lucent puts its images, whatever they are for."""
    device = question.photo.device
    return torch.device("cuda:0" if device.type == "cuda" else "cpu")


def dreamlens(question: Question) -> Tensor:
    """What excites the filter most by DreamLens: its `maximize`.

    All is as DreamLens has it by default, 120 steps with one image, turned and scaled, in each; but
    the image has the photo's size instead of 256 x 256, and the normalisation is the model's own.
    """
    with _unheard():
        from dreamlens import FeatureVisualizer, RenderConfig  # noqa: PLC0415

        height, width = question.photo.shape[-2:]
        config = RenderConfig(width=width, height=height)
        visualizer = FeatureVisualizer(
            scratch_copy(question.model),  # gradients of its weights are left behind
            quiet=True,
            preprocess=question.normalization.to_model,
        )
        found = visualizer.maximize_channel(
            question.layer,
            question.filter,
            replace(config, steps=question.steps or config.steps),
        )
    return torch.as_tensor(found.as_nchw()).to(question.photo)


def dream(question: Question) -> Tensor:
    """The photo, changed until it excites the filter more."""
    steps = question.steps or _DREAM_STEPS
    return _rendered(question, question.photo.clamp(0, 1), (transform.jitter(8),), steps)


def _blank(question: Question) -> Any:
    height, width = question.photo.shape[-2:]
    return lambda: param.image(width, height)


def _rendered(question: Question, start: Any, distortions: Sequence[Any], steps: int) -> Tensor:
    (image,) = render_vis(
        question.model,
        objectives.channel(question.layer.replace(".", "_"), question.filter),
        start,
        transforms=[*distortions, question.normalization.to_model],
        preprocess=False,
        thresholds=(steps,),
        fixed_image_size=(question.photo.shape[-2], question.photo.shape[-1]),
        progress=False,
        show_image=False,
    )
    return torch.from_numpy(image).movedim(-1, 1).to(question.photo).clamp(0, 1)


@contextmanager
def _unheard() -> Iterator[None]:
    """Lucent warns on import; both throw numpy's global dice, which are seeded and given back."""
    state = np.random.get_state()  # noqa: NPY002
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.random.seed(torch.initial_seed() % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002
