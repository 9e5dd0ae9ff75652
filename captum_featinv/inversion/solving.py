"""Solve all rows of an inversion, some at a time, each in the fastest way that keeps its code."""

from collections.abc import Iterator

import torch
from torch import Tensor
from tqdm import tqdm

from captum_featinv.errors import warn
from captum_featinv.inversion.rows import Question, Solution, SomeRows
from captum_featinv.inversion.targets import Codes, Targets
from captum_featinv.network.inputs import Inputs
from captum_featinv.network.reading import ROWS_AT_ONCE
from captum_featinv.optimization.loop import arithmetics, runs_alone
from captum_featinv.optimization.precision import Arithmetic, agreeing


def solve(
    question: Question,
    codes: Codes,
    targets: Targets,
    *,
    rows_at_once: int | None,
    title: str | None = None,
) -> Solution:
    """Find an image for every row of `targets`.

    Ctrl-C warns and returns what there is: rows not yet begun are start images.

    Args:
        question: what is asked.
        codes: of the photos, by which it is seen how to compute.
        targets: what the codes have to become.
        rows_at_once: images in one forward; changes memory and time, not the results.
        title: of a progress bar, or None for none.
    """
    at_once = rows_at_once or ROWS_AT_ONCE
    together = 1 if runs_alone(question.recipe) else at_once
    chunks = [
        (way, chunk)
        for way, rows in _ways(question, codes, targets.examples, at_once)
        for chunk in torch.split(rows, together)
    ]
    solutions: list[Solution] = []
    total = question.recipe.n_steps * len(chunks)
    with tqdm(total=total, desc=title, disable=title is None) as bar:
        interrupted = False
        for way, rows in chunks:
            some = SomeRows(question, targets.examples[rows], targets[rows], way)
            solution, stopped = (some.unsolved(), True) if interrupted else some.solve(bar.update)
            solutions.append(solution)
            interrupted = interrupted or stopped
    if interrupted:
        warn("interrupted: the pictures are as far as they came")
    return _joined(solutions, [rows for _, rows in chunks])


def _ways(
    question: Question, codes: Codes, examples: Tensor, at_once: int
) -> Iterator[tuple[Arithmetic, Tensor]]:
    """The rows, those together that are computed in one way.

    A row's way depends on its own photo and on the model, not on who else is in the batch.
    """
    *faster, always = arithmetics(question.recipe, question.inputs.images)
    left = torch.arange(len(examples), device=examples.device)
    for way in faster:
        agrees = _agreeing(question, codes, way, at_once)[examples[left]]
        if bool(agrees.any()):
            yield way, left[agrees]
        left = left[~agrees]
        if not len(left):
            return
    yield always, left


def _agreeing(question: Question, codes: Codes, way: Arithmetic, at_once: int) -> Tensor:
    """Which photos have the same codes when they are computed in this way, (photos,)."""
    inputs = question.inputs
    nobody = torch.zeros(len(inputs), dtype=torch.bool, device=inputs.images[0].device)
    try:
        found = [_computed(question, chunk, way) for chunk in inputs.chunks(at_once)]
        _try_a_step(question, inputs.rows(inputs.examples[:1]), way)
    except Exception:  # whatever a model says that cannot compute so, it is computed as it is
        return nobody
    return torch.stack(
        [
            agreeing(torch.cat([part[layer] for part in found]), code)
            for layer, code in codes.items()
        ]
    ).all(0)


@torch.no_grad()
def _computed(question: Question, inputs: Inputs, way: Arithmetic) -> Codes:
    with way.active(inputs.images[0].device):
        return question.reader(Inputs(tuple(map(way.lay, inputs.images)), inputs.extra))


def _try_a_step(question: Question, inputs: Inputs, way: Arithmetic) -> None:
    """One photo there and back: a layer's own backward may not know the precision."""
    images = tuple(image.detach().clone().requires_grad_() for image in inputs.images)
    with way.active(images[0].device):
        codes = question.reader(Inputs(tuple(map(way.lay, images)), inputs.extra))
    total = torch.stack([code.sum() for code in codes.values()]).sum()
    if total.requires_grad:  # else the search will say so
        torch.autograd.grad(total, images, allow_unused=True)


def _joined(solutions: list[Solution], rows: list[Tensor]) -> Solution:
    """In the order of the rows."""
    order = torch.cat(rows).argsort()
    images = zip(*(solution.images for solution in solutions), strict=True)
    others = zip(*(solution[1:] for solution in solutions), strict=True)
    return Solution(
        tuple(torch.cat(i)[order] for i in images), *(torch.cat(o)[order] for o in others)
    )
