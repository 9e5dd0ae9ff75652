"""Solve all rows of an inversion, some at a time, and say which of them came to nothing."""

from collections.abc import Sequence
from dataclasses import replace
from math import log2, sqrt

import torch
from torch import Tensor

from captum_featinv.errors import warn
from captum_featinv.inversion.rows import Question, Solution, SomeRows
from captum_featinv.inversion.targets import Targets
from captum_featinv.network.reading import Codes, batch_size
from captum_featinv.optimization.loop import runs_alone
from captum_featinv.optimization.precision import Arithmetic
from captum_featinv.optimization.ways import ways
from captum_featinv.progress import steps

# By how much a second attempt must be better: rounding is not to decide which of two is kept.
_CLEARLY = 0.01


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
    question = replace(question, recipe=question.recipe.suited(_stride(question, codes)))
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
    with steps(total, title) as advance:
        interrupted = False
        for way, rows in chunks:
            some = SomeRows(question, targets.examples[rows], targets[rows], way)
            solution, stopped = (some.unsolved(), True) if interrupted else some.solve(advance)
            solutions.append(solution)
            interrupted = interrupted or stopped
    solution = _joined(solutions, [rows for _, rows in chunks])
    if not interrupted:
        solution, interrupted = _once_more(question, targets, chunks, solution)
    if interrupted:
        warn("interrupted: the pictures are as far as they came")
    return solution


def _once_more(
    question: Question, targets: Targets, chunks: list[tuple[Arithmetic, Tensor]], first: Solution
) -> tuple[Solution, bool]:
    """What came to little is looked for again with smaller steps, and the better of the two is kept.

    Steps that serve nearly all filters bury one that answers to plain areas alone, or hardly ever.
    """
    slower = question.recipe.retry
    if slower is None or first.poor.device.type == "meta" or not bool(first.poor.any()):
        return first, False
    question = replace(question, recipe=question.recipe.slowed(slower))
    kept, stopped = first, False
    for way, rows in chunks:
        poor = rows[first.poor[rows]]
        if len(poor) and not stopped:
            some = SomeRows(question, targets.examples[poor], targets[poor], way)
            second, stopped = some.solve(lambda: None)
            failed, before = first.failed[poor], first.merit[poor]
            better = ~second.failed & (failed | (second.merit > before + _CLEARLY * before.abs()))
            kept = _with(kept, poor[better], second, better)
    return kept, stopped


def _with(solution: Solution, rows: Tensor, other: Solution, chosen: Tensor) -> Solution:
    """A solution in which some rows are those chosen of another."""

    def changed(mine: Tensor, theirs: Tensor) -> Tensor:
        return mine.index_copy(0, rows, theirs[chosen])

    images = map(changed, solution.images, other.images)
    return Solution(tuple(images), *map(changed, solution[1:], other[1:]))


def _stride(question: Question, codes: Codes) -> float:
    """How many pixels each way one place of the codes stands for, of several layers the fewest.

    A power of two: padded, a photo of 225 pixels has 29 places 8 pixels apart, and a class token is
    one place more, and neither is to change the form. 1 for what cannot be written down as
    frequencies: an input without height and width, or without a displayable range.
    """
    images = question.inputs.images
    if any(image.dim() < 4 for image in images) or not all(question.bounded):
        return 1.0
    fewest = min(_apart(image, code) for image in images for code in codes.values())
    return float(2 ** round(log2(fewest)))


def _apart(image: Tensor, code: Tensor) -> float:
    """How many pixels each way there are for a place; a line of tokens is a grid's."""
    pixels, places = image.shape[-2:], code.shape[2:]
    if len(places) > 1:
        return max(pixels) / max(places[-2:])
    return sqrt(pixels.numel() / places.numel())


def _joined(solutions: list[Solution], rows: list[Tensor]) -> Solution:
    """In the order of the rows."""
    order = torch.cat(rows).argsort()
    images = zip(*(solution.images for solution in solutions), strict=True)
    others = zip(*(solution[1:] for solution in solutions), strict=True)
    return Solution(
        tuple(torch.cat(i)[order] for i in images), *(torch.cat(o)[order] for o in others)
    )


def warn_of(solution: Solution, targets: Targets, layers: Sequence[str]) -> None:
    """Name the rows that came to nothing, and those that ran away."""
    if solution.failed.device.type == "meta":
        return
    where = ", ".join(layers)
    if bool(solution.failed.any()):
        warn(
            f"{_named(targets, solution.failed)} of layer {where}: nothing to show, the start "
            "image is returned. The filter never fired, or the code asks for nothing; try "
            'another photo, energy="layer", or more steps'
        )
    diverged = solution.diverged & ~solution.failed
    if bool(diverged.any()):
        warn(
            f"{_named(targets, diverged)} of layer {where}: the run diverged, and the picture is "
            "no nearer to its code than the start image; try more steps or a smaller learning rate"
        )


def _named(targets: Targets, rows: Tensor) -> str:
    """Which filters or photos some rows are, in words."""
    what, values = targets.named(rows.nonzero().flatten())
    listed = ", ".join(map(str, values[:12])) + (", ..." if len(values) > 12 else "")
    return f"{what}{'s' if len(values) > 1 else ''} {listed}"
