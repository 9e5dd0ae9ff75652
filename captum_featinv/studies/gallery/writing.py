"""Write a gallery into the folder of an atlas, from what is there."""

from pathlib import Path
from typing import Any

from PIL import Image

from captum_featinv.errors import ArgumentError
from captum_featinv.studies.atlas import Folder, Shard
from captum_featinv.studies.atlas.folder import PHOTOS
from captum_featinv.studies.gallery.layer import Layer, layer_of
from captum_featinv.studies.gallery.naming import folder_names, printable
from captum_featinv.studies.gallery.page import ASSETS, asset, data, page
from captum_featinv.studies.gallery.site import Site


def write_gallery(folder: str | Path, *, sheets: bool = False) -> Path:
    """Make `index.html` of an atlas, at any time: what is not made yet is not shown.

    The page needs its folder, and nothing else: no server, no network. The same atlas gives the same
    bytes. Files are written beside and renamed, so that a gallery which is open stays whole.

    Args:
        folder: of an atlas.
        sheets: whether to write each layer's textures on one sheet too, `gallery/sheets/LAYER.png`.

    Returns:
        Where the page is.

    Raises:
        ArgumentError: the folder holds no atlas.
        OSError: it cannot be written to.
    """
    atlas = Folder(folder)
    manifest = atlas.manifest()
    if manifest is None:
        raise ArgumentError(
            f"{str(folder)!r} holds no atlas (it has no manifest.json); name a folder that "
            "captum_featinv.studies.atlas wrote"
        )
    shards = atlas.shards()
    site = Site(atlas)
    layers = _layers(atlas, manifest, shards, site, sheets=sheets)
    settings, silent = manifest.get("settings", {}), manifest.get("silent", {})
    for name in ASSETS:
        site.write(f"gallery/{name}", asset(name))
    photos = [(printable(name), *_photo(atlas, n)) for n, name in enumerate(_photos(manifest))]
    site.write("gallery/data.js", data(layers, photos))
    planned = sum(len(shard.filters) for shard in shards)
    site.write("index.html", page(settings, layers, silent, photos=len(photos), planned=planned))
    site.tidy()
    if all(map(atlas.has, shards)):
        atlas.tidy()
    return atlas.path / "index.html"


def _layers(
    atlas: Folder, manifest: dict[str, Any], shards: list[Shard], site: Site, *, sheets: bool
) -> list[Layer]:
    """One after the other, so that no more than a layer is in memory."""
    number = {photo: n for n, photo in enumerate(_photos(manifest))}
    names = manifest.get("settings", {}).get("layers", [])
    folders = folder_names([*names, *(shard.layer for shard in shards)])
    places = atlas.survey()
    title = str(manifest.get("settings", {}).get("model", "a network")) if sheets else None
    return [
        layer_of(
            name,
            folder,
            atlas.rows(s for s in shards if s.layer == name),
            [place for place in places if place["layer"] == name],
            number,
            site.write,
            title=title,
        )
        for name, folder in folders.items()
    ]


def _photos(manifest: dict[str, Any]) -> list[str]:
    known = manifest.get("settings", {}).get("photos", {})
    return list(dict.fromkeys([*known, *(shard["photo"] for shard in manifest["shards"])]))


def _photo(atlas: Folder, number: int) -> tuple[str | None, int, int]:
    """Its file, if it has one, and its width and height."""
    name = f"{PHOTOS}/{number}.png"
    if not (atlas.path / name).is_file():
        return None, 0, 0
    with Image.open(atlas.path / name) as picture:
        return name, *picture.size
