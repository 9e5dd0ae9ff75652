"""The contact sheet: layers in rows, filters in columns, each picture with its numbers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from torch import Tensor

from captum_featinv.codes import Energy
from captum_featinv.errors import ArgumentError
from captum_featinv.images.display import to_image
from captum_featinv.inversion import FeatureMapInversion
from captum_featinv.inversion.report import FilterRecord, Report
from captum_featinv.models import LoadedModel
from captum_featinv.network.layers import find_layer
from captum_featinv.network.reading import read_code
from captum_featinv.network.views import view_for
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.progress import bar, each
from captum_featinv.studies.finished import finished
from captum_featinv.studies.sheet_row import SheetRow, labels_of, sheet_of

# From a layer's codes, (1, channel, *positions) a photo, to the filters to show on all of them.
Choice = Callable[[Iterable[Tensor]], list[int]]


@dataclass(frozen=True)
class TextureSheet:
    """A contact sheet, the records behind it as plain numbers, and tables of them to be printed."""

    picture: Image.Image
    records: list[dict[str, Any]]
    reports: Mapping[str, Report | str]
    pictures: Mapping[str, Image.Image] = field(default_factory=dict)
    """each alone, by photo, layer and filter or rewrite"""


def texture_sheet(
    loaded: LoadedModel,
    photos: Mapping[str, Tensor],
    layers: Sequence[str],
    choose: Choice,
    *,
    energy: Energy = "layer",
    recipe: Recipe | None = None,
    seed: int = 0,
    show_progress: bool = False,
) -> TextureSheet:
    """Textures of some filters of some layers, from every photo.

    Args:
        loaded: the model.
        photos: displayable images, (1, C, H, W), by name.
        layers: their names.
        choose: from a layer's codes, one a photo, to the filters to show.
        energy: see `FeatureMapInversion.attribute`.
        recipe: see `FeatureMapInversion`.
        seed: see `FeatureMapInversion.attribute`.
        show_progress: show a progress bar.

    Returns:
        The sheet, a record a picture, and a report a row.

    Raises:
        ArgumentError: there are no photos or layers, or no filter was chosen.
    """
    if not photos or not layers:
        raise ArgumentError("a sheet needs at least one photo and one layer")
    recipe = Recipe.default() if recipe is None else recipe
    names = dict.fromkeys(find_layer(loaded.model, layer)[0] for layer in layers)
    chosen = {layer: _chosen(loaded, photos, layer, choose) for layer in names}
    textures = _Textures(loaded, energy, recipe, seed)
    asked = [(name, layer) for name in photos for layer in names]
    with bar(shown=show_progress):
        made = finished(
            (
                textures.of(name, photos[name], layer, chosen[layer])
                for name, layer in each(asked, ", ".join, lambda row: len(chosen[row[1]]))
            ),
            len(asked),
            "rows",
        )
    rows = [row for row, _ in made]
    reports = dict(zip(labels_of(rows), (report for _, report in made), strict=True))
    records = [record for row in rows for record in row.records]
    pictures = dict(pair for row in rows for pair in row.pictures("filter"))
    return TextureSheet(sheet_of(rows, [], loaded.description), records, reports, pictures)


def _chosen(
    loaded: LoadedModel, photos: Mapping[str, Tensor], layer: str, choose: Choice
) -> list[int]:
    """The same filters for all photos, so that they can be compared."""
    view = view_for(layer, loaded.view)
    inputs = map(loaded.normalization.to_model, photos.values())
    filters = choose(read_code(loaded.model, layer, one, view=view) for one in inputs)
    if not filters:
        where = "photo" if len(photos) == 1 else "each of the photos"
        raise ArgumentError(
            f"no filter of layer {layer!r} fires on {where} {', '.join(map(repr, photos))}"
        )
    return filters


@dataclass(frozen=True)
class _Textures:
    """How the rows of a sheet are made."""

    loaded: LoadedModel
    energy: Energy
    recipe: Recipe
    seed: int

    def of(
        self, photo_name: str, photo: Tensor, layer: str, filters: list[int]
    ) -> tuple[SheetRow, Report]:
        model, space = self.loaded.model, self.loaded.normalization
        inputs = space.to_model(photo)
        view = view_for(layer, self.loaded.view)
        fmi = FeatureMapInversion(
            model, layer, mean=space.mean, std=space.std, recipe=self.recipe, view=view
        )
        textures = fmi.attribute(inputs, filters, energy=self.energy, seed=self.seed)
        report = fmi.report(textures, inputs, filters, energy=self.energy)
        images = [to_image(photo[0], mean=None), *fmi.to_image(textures[0])]
        captions = ["photo", *map(_caption, report)]
        told = {"photo": photo_name, "layer": layer}
        records = [{**record, **told} for record in report.to_dicts()]
        return SheetRow(photo_name, layer, images, captions, records), report


def _caption(record: FilterRecord) -> str:
    if record.silent:
        return f"{record.filter}: never fires"
    return f"{record.filter}: share {_percent(record.share)}, rank {record.rank}"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.095 else f"{share:.1%}"
