"""The contact sheet of modified code inversion: layers in rows, rewrites of their codes in columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from captum_featinv.codes import Rewrite
from captum_featinv.errors import ArgumentError
from captum_featinv.images.display import as_saved, to_image
from captum_featinv.inversion import CodeInversion
from captum_featinv.metrics import texture
from captum_featinv.metrics.table import as_table
from captum_featinv.models import LoadedModel
from captum_featinv.optimization.precision import name_of
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.progress import bar, each
from captum_featinv.studies.finished import finished
from captum_featinv.studies.sheet import TextureSheet
from captum_featinv.studies.sheet_row import SheetRow, sheet_of

_COLUMNS = ("photo", "layer", "rewrite", "error", "contrast", "colours")


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
        show_progress: show a progress bar.

    Returns:
        The sheet, a record a picture, and a table.

    Raises:
        ArgumentError: there are no photos, layers or rewrites.
    """
    if not photos or not layers or not rewrites:
        raise ArgumentError("a sheet needs at least one photo, one layer and one rewrite")
    recipe = Recipe.default() if recipe is None else recipe
    inversions = _Inversions(loaded, rewrites, recipe, seed)
    asked = [(name, layer) for name in photos for layer in layers]
    with bar(shown=show_progress):
        rows = finished(
            (inversions.of(name, photos[name], layer) for name, layer in each(asked, ", ".join)),
            len(asked),
            "rows",
        )
    records = [record for row in rows for record in row.records]
    table = as_table(_COLUMNS, [[record[name] for name in _COLUMNS] for record in records])
    picture = sheet_of(rows, ["", *rewrites], loaded.description)
    pictures = dict(pair for row in rows for pair in row.pictures("rewrite"))
    return TextureSheet(picture, records, {"modified code inversion": table}, pictures)


@dataclass(frozen=True)
class _Inversions:
    """How the rows of a sheet are made."""

    loaded: LoadedModel
    rewrites: Mapping[str, Rewrite]
    recipe: Recipe
    seed: int

    def of(self, photo_name: str, photo: Tensor, layer: str) -> SheetRow:
        space = self.loaded.normalization
        inversion = CodeInversion(
            self.loaded.model, layer, mean=space.mean, std=space.std, recipe=self.recipe
        )
        images, errors = inversion.attribute(
            space.to_model(photo).expand(len(self.rewrites), -1, -1, -1),
            _each(list(self.rewrites.values())),
            seed=self.seed,
            return_convergence_delta=True,
        )
        told = {"photo": photo_name, "layer": layer}
        records = [
            {**told, **record, "precision": name_of(self.recipe.precision, [photo])}
            for record in _records(images, errors, self.rewrites, inversion)
        ]
        shown = [to_image(photo[0], mean=None), *inversion.to_image(images)]
        captions = ["photo", *(f"error {record['error']:.2f}" for record in records)]
        return SheetRow(photo_name, layer, shown, captions, records)


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
