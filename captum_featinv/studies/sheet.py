"""The contact sheet: layers in rows, filters in columns, each picture with its numbers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor

from captum_featinv.codes import Energy
from captum_featinv.errors import ArgumentError
from captum_featinv.images.display import to_image, to_picture
from captum_featinv.images.sheet import contact_sheet
from captum_featinv.inversion import FeatureMapInversion
from captum_featinv.inversion.report import Report
from captum_featinv.models import LoadedModel
from captum_featinv.network.layers import find_layer
from captum_featinv.network.reading import read_code
from captum_featinv.optimization.recipe import Recipe

Chosen = Callable[[Tensor], list[int]]


@dataclass(frozen=True)
class TextureSheet:
    """A contact sheet, the records behind it as plain numbers, and tables of them to be printed."""

    picture: Image.Image
    records: list[dict[str, Any]]
    reports: Mapping[str, Report | str]


def texture_sheet(
    loaded: LoadedModel,
    photos: Mapping[str, Tensor],
    layers: Sequence[str],
    choose: Chosen,
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
        choose: from a layer's code for a photo to the filters to show.
        energy: see `FeatureMapInversion.attribute`.
        recipe: see `FeatureMapInversion`.
        seed: see `FeatureMapInversion.attribute`.
        show_progress: show a progress bar a row.
    """
    if not photos or not layers:
        raise ArgumentError("a sheet needs at least one photo and one layer")
    normalization = loaded.normalization
    found = dict(find_layer(loaded.model, layer) for layer in layers)
    rows, captions, labels = [], [], []
    reports: dict[str, Report | str] = {}
    records: list[dict[str, Any]] = []
    for photo_name, photo in photos.items():
        inputs = normalization.to_model(photo)
        for name, module in found.items():
            fmi = FeatureMapInversion(
                loaded.model, module, mean=normalization.mean, std=normalization.std, recipe=recipe
            )
            filters = choose(read_code(loaded.model, module, inputs))
            if not filters:
                raise ArgumentError(f"no filter of layer {name!r} fires on photo {photo_name!r}")
            textures = fmi.attribute(
                inputs, filters, energy=energy, seed=seed, show_progress=show_progress
            )
            report = fmi.report(textures, inputs, filters, energy=energy)
            shown = [to_image(photo[0], mean=None), *fmi.to_image(textures[0])]
            rows.append([to_picture(image) for image in shown])
            captions.append(["photo", *(_caption(record) for record in report)])
            labels.append(name if len(photos) == 1 else f"{name}\n{photo_name}")
            reports[labels[-1]] = report
            plain = report.to_dicts()
            records += [{**r, "photo": photo_name, "layer": name} for r in plain]
    picture = contact_sheet(rows, labels, [], captions, title=loaded.description, cell=_CELL)
    return TextureSheet(picture, records, reports)


# Captions need this many pixels.
_CELL = 128


def _caption(record: Any) -> str:
    if record.silent:
        return f"{record.filter}: never fires"
    return f"{record.filter}: share {_percent(record.share)}, rank {record.rank}"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.095 else f"{share:.1%}"
