"""Which photos can be computed in which way: the fastest one that keeps their codes."""

from collections.abc import Iterator

import torch
from torch import Tensor

from captum_featinv.network.inputs import Inputs
from captum_featinv.network.reading import Codes, Reader
from captum_featinv.optimization.loop import arithmetics
from captum_featinv.optimization.precision import Arithmetic, agreeing, name_of
from captum_featinv.optimization.recipe import Recipe


def look(reader: Reader, inputs: Inputs, way: Arithmetic, *, own: bool = False) -> Codes:
    """The codes for some inputs, computed in a way; gradients flow. See `Reader` for `own`."""
    images = tuple(image.contiguous(memory_format=way.format_of(image)) for image in inputs.images)
    with way.active(images[0].device):
        return reader(Inputs(images, inputs.extra), own=own)


def ways(
    recipe: Recipe,
    reader: Reader,
    inputs: Inputs,
    codes: Codes,
    examples: Tensor,
    rows_at_once: int,
) -> Iterator[tuple[Arithmetic, Tensor]]:
    """Rows in order, those together that are computed in one way.

    A row's way depends on its own photo and on the model, not on who else is in the batch.

    Args:
        recipe: by whose precision ways are chosen.
        reader: of the layers in question.
        inputs: the photos.
        codes: of them, in the model's own precision.
        examples: the photo of each row, (rows,).
        rows_at_once: images in one forward.
    """
    *faster, always = arithmetics(recipe, inputs.images)
    left = torch.arange(len(examples), device=examples.device)
    for way in faster:
        agrees = _agreeing(reader, inputs, codes, way, rows_at_once)[examples[left]]
        if bool(agrees.any()):
            yield way, left[agrees]
        left = left[~agrees]
        if not len(left):
            return
    yield always, left


def precision_of(
    recipe: Recipe, reader: Reader, inputs: Inputs, codes: Codes, rows_at_once: int
) -> str:
    """The precision in which steps for these photos are computed, in words; see `ways`."""
    if not arithmetics(recipe, inputs.images)[0].half:  # only what may differ is tried
        return name_of("float32", inputs.images)
    chosen = ways(recipe, reader, inputs, codes, inputs.examples, rows_at_once)
    return ", ".join(sorted({"bfloat16" if way.half else "float32" for way, _ in chosen}))


def _agreeing(
    reader: Reader, inputs: Inputs, codes: Codes, way: Arithmetic, at_once: int
) -> Tensor:
    """Which photos have the same codes when they are computed in this way, (photos,)."""
    nobody = torch.zeros(len(inputs), dtype=torch.bool, device=inputs.images[0].device)
    try:
        with torch.no_grad():
            found = [look(reader, chunk, way) for chunk in inputs.chunks(at_once)]
        _try_a_step(reader, inputs.rows(inputs.examples[:1]), way)
    except Exception:  # whatever a model says that cannot compute so, it is computed as it is
        return nobody
    return torch.stack(
        [
            agreeing(torch.cat([part[layer] for part in found]), code)
            for layer, code in codes.items()
        ]
    ).all(0)


def _try_a_step(reader: Reader, inputs: Inputs, way: Arithmetic) -> None:
    """One photo there and back: a layer's own backward may not know the precision."""
    images = tuple(image.detach().clone().requires_grad_() for image in inputs.images)
    codes = look(reader, Inputs(images, inputs.extra), way)
    total = torch.stack([code.sum() for code in codes.values()]).sum()
    if total.requires_grad:  # else the search will say so
        torch.autograd.grad(total, images, allow_unused=True)
