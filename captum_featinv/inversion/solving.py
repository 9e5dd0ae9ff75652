"""Solve all rows of an inversion, some at a time, each in the fastest way that keeps its code."""

import torch
from torch import Tensor
from tqdm import tqdm

from captum_featinv.errors import warn
from captum_featinv.inversion.rows import Question, Solution, SomeRows
from captum_featinv.inversion.targets import Targets
from captum_featinv.network.reading import Codes, batch_size
from captum_featinv.optimization.loop import runs_alone
from captum_featinv.optimization.ways import ways


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
    at_once = batch_size(rows_at_once)
    together = 1 if runs_alone(question.recipe) else at_once
    chunks = [
        (way, chunk)
        for way, rows in ways(
            question.recipe, question.reader, question.inputs, codes, targets.examples, at_once
        )
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


def _joined(solutions: list[Solution], rows: list[Tensor]) -> Solution:
    """In the order of the rows."""
    order = torch.cat(rows).argsort()
    images = zip(*(solution.images for solution in solutions), strict=True)
    others = zip(*(solution[1:] for solution in solutions), strict=True)
    return Solution(
        tuple(torch.cat(i)[order] for i in images), *(torch.cat(o)[order] for o in others)
    )
