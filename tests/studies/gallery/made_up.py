"""Atlases that no network made: small pictures whose colour says whose they are."""

import io
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
from PIL import Image

from captum_featinv.inversion.report import FilterRecord
from captum_featinv.studies.atlas import Folder, Plan, Row, Shard

HOSTILE = '"><script>alert(1)</script>'


def colour_of(layer: int, filter_: int) -> tuple[int, int, int]:
    return 40 * layer % 256, 7 * filter_ % 256, 255 - 5 * filter_ % 256


def png(layer: int, filter_: int, *, textured: bool = False) -> bytes:
    """In one colour, or with a pattern of its own for somebody to look at."""
    pixels = np.empty((20, 26, 3), dtype=np.uint8)
    pixels[:] = colour_of(layer, filter_)
    if textured:
        down, across = np.mgrid[:20, :26]
        waves = np.sin(down * (1 + filter_ % 5) / 4 + across * (layer + 1) / 3) * 60
        pixels = (pixels + waves[..., None]).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def row(layers: Sequence[str], layer: int, filter_: int, photo: str, *, textured: bool) -> Row:
    """Shares fall, colours rise with the filter; of the other figures each has a value."""
    figures = {field.name: 0.25 for field in fields(FilterRecord)}
    changed = {
        "share": 1 / (2 + filter_),
        "robust_share": (filter_ * 7 % 11) / 11,
        "colours": 2.0 + filter_,
        "lift": float("inf") if filter_ == 0 else 3.5,
        "rank": filter_ % 4,
        "twin": None if filter_ == 0 else 1,
        "silent": False,
    }
    known = {"layer": layers[layer], "filter": filter_, "photo": photo}
    made = {"image": png(layer, filter_, textured=textured), "map": map_png(filter_)}
    return {**figures, **changed, **known, **made, "edges": 0.1, "seconds": 1.5}


def map_png(filter_: int) -> bytes:
    """Bright in one of four by five places."""
    pixels = np.zeros((4, 5), dtype=np.uint8)
    pixels.flat[filter_ % 20] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def place(layer: str, filter_: int, photo: str) -> Row:
    """The middle of the place at which the map is bright; it sees 8 pixels."""
    down, across = divmod(filter_ % 20, 5)
    where = {"down": (down + 0.5) / 4, "across": (across + 0.5) / 5}
    return {
        "layer": layer,
        "filter": filter_,
        "photo": photo,
        "activation": 2.5,
        **where,
        "field": 8,
    }


def atlas_of(
    path: Path,
    layers: Sequence[str] = ("features.3", "features.13"),
    filters: int = 20,
    photos: Sequence[str] = ("cat", "dog"),
    *,
    model: str = "vgg16, ImageNet",
    textured: bool = False,
    pieces: int = 8,
    every_photo: bool = False,
) -> Folder:
    """An atlas of so many filters a layer; the pieces of one photo, in turn, or of every photo each."""
    shards = [
        Shard(layer, photo, tuple(range(start, min(start + pieces, filters))))
        for layer in layers
        for start in range(0, filters, pieces)
        for photo in (photos if every_photo else [photos[start // pieces % len(photos)]])
    ]
    settings = {
        "model": model,
        "weights": "0123456789abcdef",
        "layers": list(layers),
        "photos": dict.fromkeys(photos, "00"),
        "recipe": "n_steps    256\nschedule   rise_and_fall",
        "seed": 0,
    }
    silent = {layer: [filters, filters + 1, filters + 2, filters + 7] for layer in layers[:1]}
    folder = Folder(path)
    folder.open(Plan(settings, tuple(shards), silent))
    for shard in shards:
        number = layers.index(shard.layer)
        rows = [row(layers, number, k, shard.photo, textured=textured) for k in shard.filters]
        folder.keep(shard, rows, {})
    folder.keep_survey(
        [place(s.layer, k, photo) for s in shards for k in s.filters for photo in photos]
    )
    return folder
