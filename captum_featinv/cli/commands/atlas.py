"""captum-featinv atlas: the texture of every live filter, in a folder."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from captum_featinv.cli.parsing.atlas import SIZE
from captum_featinv.cli.photos import as_taken, edge_of, opened
from captum_featinv.cli.recipes import recipe_of
from captum_featinv.errors import ArgumentError
from captum_featinv.models import LoadedModel
from captum_featinv.network.patterns import layers_like
from captum_featinv.studies.atlas import Named, atlas, cluster
from captum_featinv.studies.gallery import write_gallery


def run(options: argparse.Namespace) -> str:
    """Make the atlas, or go on with it."""
    source = _source(options)
    loaded = source.load()
    edge = edge_of(loaded, options.size, SIZE)
    photos = {
        name: as_taken(picture, loaded, edge, crop=options.crop)
        for name, picture in _named(options.photos).items()
    }
    layers = _layers(loaded, photos, options.layers)
    with cluster(options.scheduler, options.workers) as executor:
        rows = atlas(
            source,
            photos,
            layers,
            out=options.out,
            photos_a_filter=options.photos_per_filter,
            recipe=recipe_of(options),
            seed=options.seed,
            part=options.shard,
            overwrite=options.overwrite,
            executor=executor,
        )
        silent = [bool(row["silent"]) for row in rows]
    told = (
        f"{len(silent)} pictures of {len(layers)} layers in {options.out}; in {sum(silent)} of them "
        "the filter never fires"
    )
    if options.shard != (1, 1):
        return told
    return f"{told}\nopen {write_gallery(options.out)} in a browser"


def _source(options: argparse.Namespace) -> Named:
    return Named(
        options.model,
        options.weights,
        options.pooling,
        options.mean,
        options.std,
        options.channels,
        options.device,
    )


def _layers(loaded: LoadedModel, photos: dict[str, Tensor], patterns: list[str]) -> list[str]:
    first = loaded.normalization.to_model(next(iter(photos.values())))
    return layers_like(loaded.model, first, patterns)


def _named(paths: Sequence[Path]) -> dict[str, Image.Image]:
    """Pictures by their files' names."""
    pictures = opened(paths)
    names = [Path(name).name for name, _ in pictures]
    for name in names:
        if names.count(name) > 1:
            raise ArgumentError(
                f"two photos are called {name!r}; an atlas names them by their files"
            )
    return dict(pictures)
