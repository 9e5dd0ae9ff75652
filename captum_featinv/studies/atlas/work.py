"""A piece of work: the pictures of some filters from a photo, with all that is known of each."""

import warnings
from dataclasses import asdict, dataclass
from threading import RLock
from time import perf_counter
from typing import Any

from torch import Tensor

from captum_featinv.errors import ArgumentError, FeatInvWarning
from captum_featinv.images.display import as_png
from captum_featinv.inversion import FeatureMapInversion
from captum_featinv.metrics.structure import edge_share
from captum_featinv.models import LoadedModel
from captum_featinv.network.reading import read_code
from captum_featinv.network.views import view_for
from captum_featinv.optimization.interrupts import passing_interrupts
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.studies.atlas.plan import Shard
from captum_featinv.studies.atlas.source import Source, loaded_from

# Warning filters are a process's; one piece is made at a time in each anyway.
_QUIET = RLock()

Row = dict[str, Any]
"""A picture and its figures, as plain values: the columns of a file."""


@dataclass(frozen=True)
class How:
    """How pictures are made, the same for all pieces of work."""

    recipe: Recipe
    seed: int
    rows_at_once: int | None = None
    """images in one forward; changes memory and time, not the pictures"""


def work(source: Source, photo: Tensor, shard: Shard, how: How) -> list[Row]:
    """The rows of a piece of work. Nothing but its arguments decides them, seconds aside.

    Args:
        source: the network.
        photo: displayable, (1, C, H, W).
        shard: which filters of which layer.
        how: how to make the pictures.

    Raises:
        ArgumentError: the pictures are not of one or three colours, so that no file holds them.
    """
    loaded = loaded_from(source)
    with _QUIET, passing_interrupts(), warnings.catch_warnings():
        # A picture that Ctrl-C leaves half-found would stay for good.
        # Of thousands of pictures some come to nothing: `silent` and `share` say which.
        warnings.simplefilter("ignore", FeatInvWarning)
        return _made(loaded, photo, shard, how)


def _made(loaded: LoadedModel, photo: Tensor, shard: Shard, how: How) -> list[Row]:
    begun = perf_counter()
    space, filters = loaded.normalization, list(shard.filters)
    if photo.shape[1] not in (1, 3) or not space.bounded:
        raise ArgumentError(
            "an atlas holds pictures of one or three colours in a displayable range"
        )
    inputs = space.to_model(photo.to(loaded.device))
    fmi = FeatureMapInversion(
        loaded.model,
        shard.layer,
        mean=space.mean,
        std=space.std,
        recipe=how.recipe,
        view=view_for(shard.layer, loaded.view),
    )
    at_once = how.rows_at_once
    code = read_code(loaded.model, shard.layer, inputs, view=loaded.view)[0]
    textures = fmi.attribute(inputs, filters, seed=how.seed, internal_batch_size=at_once)
    report = fmi.report(textures, inputs, filters, internal_batch_size=at_once)
    shown = space.to_display(textures[0]).clamp(0, 1)
    edges = edge_share(shown if shown.shape[1] == 3 else shown.expand(-1, 3, -1, -1))
    seconds = (perf_counter() - begun) / len(filters)
    return [
        {
            "layer": shard.layer,
            "filter": record.filter,
            "photo": shard.photo,
            "image": as_png(picture),
            "map": _map_of(code[record.filter]),
            **_figures(asdict(record)),
            "edges": float(edge),
            "seconds": seconds,
        }
        for record, picture, edge in zip(report, fmi.to_image(textures[0]), edges, strict=True)
    ]


def _map_of(own: Tensor) -> bytes:
    """Where a filter fires on the photo: a grey pixel a place, white where it does most."""
    positive = own.clamp(min=0).cpu()
    shown = positive / positive.max().clamp(min=1e-30)
    height, width = (1, 1, *shown.shape)[-2:]
    return as_png(shown.reshape(-1, height, width)[0][..., None].numpy())


def _figures(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in ("photo", "filter")}
