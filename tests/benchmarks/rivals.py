"""DreamLens' methods at the photo's size, and any method of `compare` for many filters."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from captum_featinv.network.untouched import untouched
from captum_featinv.studies.comparison import Question
from captum_featinv.studies.quiet import scratch_copy
from tests.benchmarks.pictures import Make, Task

# A step of MaCo sees 32 crops, one of accentuation 16 and as many of the photo. Within some seconds
# that would be a step or two, so fewer crops are taken then, as `crops` allows.
CROPS_IN_A_HURRY = 4

# Pixels of a crop: what a network of stride 32 needs.
LEAST = 32


def one_by_one(answer: Callable[[Question], Tensor], *, of_photo: bool = False) -> Make:
    """A method that is asked for one filter at a time, as `compare` asks.

    Args:
        answer: from a question to a displayable picture (1, 3, H, W).
        of_photo: whether it looks at the photo; otherwise each photo is another seed.
    """

    def make(task: Task, steps: int | None) -> Tensor:
        model = scratch_copy(task.loaded.model)

        def asked(k: int, number: int) -> Tensor:
            seed = task.seed if of_photo else task.seed + number
            photo = task.photos[number : number + 1]
            question = Question(
                model, task.layer, k, photo, task.loaded.normalization, None, steps, seed
            )
            with untouched(model, photo.device, seed), _numpys_dice(seed):
                return answer(question).detach()[0]

        rows = [[asked(k, number) for number in range(len(task.photos))] for k in task.filters]
        return torch.stack([torch.stack(row) for row in rows])

    return make


def maco(question: Question) -> Tensor:
    """DreamLens' MaCo: fixed magnitudes, optimised phases."""
    from dreamlens import FeatureTarget, MacoConfig

    target = FeatureTarget.for_channel(question.layer, question.filter)
    return _shown(_visualizer(question).maco(target, _at_size(MacoConfig, question)), question)


def accentuation(question: Question) -> Tensor:
    """DreamLens' accentuation of the photo, which keeps the features of the filter's own layer."""
    from dreamlens import FeatureAccentuationConfig, FeatureTarget

    target = FeatureTarget.for_channel(question.layer, question.filter)
    config = _at_size(FeatureAccentuationConfig, question, center_crop=False)
    found = _visualizer(question).accentuate(target, question.photo, question.layer, config)
    return _shown(found, question)


def _visualizer(question: Question) -> Any:
    from dreamlens import FeatureVisualizer

    return FeatureVisualizer(question.model, quiet=True, preprocess=question.normalization.to_model)


def _at_size(config: Any, question: Question, **changes: Any) -> Any:
    """DreamLens' defaults, but for the sizes and, where steps are given, the crops.

    By default a picture is of 512 px and the network sees crops in 224 px: crops keep this ratio, which
    also serves MaCo better than crops of the photo's size, as long as a network can see them.
    """
    height, width = question.photo.shape[-2:]
    seen = tuple(max(min(side, LEAST), round(side * 224 / 512)) for side in (height, width))
    made = config(width=width, height=height, input_shape=(3, *seen), **changes)
    if question.steps is None:
        return made
    return replace(made, steps=question.steps, crops=CROPS_IN_A_HURRY)


def _shown(found: Any, question: Question) -> Tensor:
    return torch.as_tensor(found.as_nchw()).to(question.photo).clamp(0, 1)


@contextmanager
def _numpys_dice(seed: int) -> Iterator[None]:
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
