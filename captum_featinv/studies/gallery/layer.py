"""The pictures of a layer: their files, their thumbnails, and what the page says of each."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from captum_featinv.studies.gallery.figures import Value, values_of
from captum_featinv.studies.gallery.sprites import sheets, thumbnail

Entry = list[Value]
"""A picture: its filter, its photo's number, its figures."""


@dataclass(frozen=True)
class Layer:
    """What the page knows of a layer; entries and thumbnails are in the order of filters and photos."""

    name: str
    folder: str
    sheets: list[str]
    entries: list[Entry]


def layer_of(
    name: str,
    folder: str,
    rows: Iterable[Mapping[str, Any]],
    photo_number: Mapping[str, int],
    write: Callable[[str, bytes], None],
) -> Layer:
    """Write a layer's files.

    Args:
        name: of the layer.
        folder: a name for its files.
        rows: of the atlas, all of this layer.
        photo_number: by the photos' names.
        write: puts a file in its place.
    """
    found: dict[tuple[int, int], tuple[Entry, Image.Image]] = {}
    for row in rows:
        place = row["filter"], photo_number[row["photo"]]
        write(f"gallery/pictures/{folder}/{place[0]}-{place[1]}.png", row["image"])
        found[place] = [*place, *values_of(row)], thumbnail(row["image"])
    ordered = [found[place] for place in sorted(found)]
    files = []
    for number, sheet in enumerate(sheets([small for _, small in ordered])):
        files.append(f"gallery/thumbnails/{folder}-{number}.jpg")
        write(files[-1], sheet)
    return Layer(name, folder, files, [entry for entry, _ in ordered])
