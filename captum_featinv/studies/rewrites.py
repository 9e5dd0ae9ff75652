"""The contact sheet of modified code inversion: layers in rows, rewrites of their codes in columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from captum_featinv.codes import Rewrite
from captum_featinv.errors import ArgumentError
from captum_featinv.images.display import as_saved, to_image, to_picture
from captum_featinv.images.sheet import contact_sheet
from captum_featinv.inversion import CodeInversion
from captum_featinv.metrics import texture
from captum_featinv.models import LoadedModel
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.studies.sheet import TextureSheet

_CELL = 128  # pixels that a caption needs


def rewrite_sheet(
    loaded: LoadedModel,
    photos: Mapping[str, Tensor],
    layers: Sequence[str],
    rewrites: Mapping[str, Rewrite],
    *,
    recipe: Recipe | None = None,
    seed: int = 0,
    show_progress: bool = False,
) -> TextureSheet:
    """Inversions of a layer's rewritten codes, for every layer alone and every photo.

    Args:
        loaded: the model.
        photos: displayable images, (1, C, H, W), by name.
        layers: their names.
        rewrites: by the name of their column; see `captum_featinv.codes`.
        recipe: see `CodeInversion`.
        seed: see `CodeInversion.attribute`.
        show_progress: show a progress bar a row.
    """
    if not photos or not layers or not rewrites:
        raise ArgumentError("a sheet needs at least one photo, one layer and one rewrite")
    space = loaded.normalization
    rows, captions, labels, records = [], [], [], []
    for photo_name, photo in photos.items():
        inputs = space.to_model(photo).expand(len(rewrites), -1, -1, -1)
        for layer in layers:
            inversion = CodeInversion(
                loaded.model, layer, mean=space.mean, std=space.std, recipe=recipe
            )
            images, errors = inversion.attribute(
                inputs,
                _each(list(rewrites.values())),
                seed=seed,
                return_convergence_delta=True,
                show_progress=show_progress,
            )
            found = _records(images, errors, rewrites, inversion)
            records += [{"photo": photo_name, "layer": layer, **record} for record in found]
            shown = [to_image(photo[0], mean=None), *inversion.to_image(images)]
            rows.append([to_picture(image) for image in shown])
            captions.append(["photo", *(f"error {record['error']:.2f}" for record in found)])
            labels.append(layer if len(photos) == 1 else f"{layer}\n{photo_name}")
    columns = ["", *rewrites]
    picture = contact_sheet(rows, labels, columns, captions, title=loaded.description, cell=_CELL)
    return TextureSheet(picture, records, {"modified code inversion": _table(records)})


def _each(rewrites: Sequence[Rewrite]) -> Rewrite:
    """Row i of a code rewritten by the rewrite numbered i."""

    def rewrite(code: Tensor) -> Tensor:
        rows = zip(rewrites, code.split(1), strict=True)  # type: ignore[no-untyped-call]
        return torch.cat([one(row) for one, row in rows])

    return rewrite


def _records(
    images: Tensor, errors: Tensor, rewrites: Mapping[str, Rewrite], inversion: CodeInversion
) -> list[dict[str, Any]]:
    """How far each image is from its code, and what it looks like as an 8-bit file."""
    saved = as_saved(inversion.normalization.to_display(images))
    columns = [errors, texture.contrast(saved), texture.effective_colours(saved)]
    numbers = zip(*(column.tolist() for column in columns), strict=True)
    return [
        {"rewrite": name, "error": error, "contrast": contrast, "colours": colours}
        for name, (error, contrast, colours) in zip(rewrites, numbers, strict=True)
    ]


def _table(records: Sequence[Mapping[str, Any]]) -> str:
    lines = [list(records[0])]
    lines += [
        [v if isinstance(v, str) else f"{v:.3g}" for v in record.values()] for record in records
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )
