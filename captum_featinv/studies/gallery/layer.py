"""The pictures of a layer: their files, their thumbnails, and what the page says of each."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from captum_featinv.studies.gallery.figures import Value, values_of
from captum_featinv.studies.gallery.paper import Shown, contact_sheet_of
from captum_featinv.studies.gallery.sprites import sheets, thumbnail

Entry = list[Value]
"""A picture: its filter, its photo's number, its figures."""

Place = tuple[int, float, float, float]
"""Where a filter fires: the photo's number, the activation, shares of its height and width."""


@dataclass(frozen=True)
class Layer:
    """What the page knows of a layer; entries and thumbnails are in the order of filters and photos."""

    name: str
    folder: str
    sheets: list[str]
    entries: list[Entry]
    field: int
    """how many pixels of a photo's height a place sees"""
    places: dict[int, list[Place]]
    """where each filter fires most"""
    paper: str | None
    """the file of a contact sheet, if there is one"""


def layer_of(
    name: str,
    folder: str,
    rows: Iterable[Mapping[str, Any]],
    places: Sequence[Mapping[str, Any]],
    photo_number: Mapping[str, int],
    write: Callable[[str, bytes], None],
    *,
    title: str | None = None,
) -> Layer:
    """Write a layer's files.

    Args:
        name: of the layer.
        folder: a name for its files.
        rows: of the atlas, all of this layer.
        places: of the survey, likewise: where its filters fire most.
        photo_number: by the photos' names.
        write: puts a file in its place.
        title: of a contact sheet; there is none if None.
    """
    found: dict[tuple[int, int], tuple[Entry, Image.Image]] = {}
    paper: list[Shown] = []
    for row in rows:
        key = row["filter"], photo_number[row["photo"]]
        file = f"gallery/pictures/{folder}/{key[0]}-{key[1]}"
        write(f"{file}.png", row["image"])
        write(f"{file}-map.png", row["map"])
        found[key] = [*key, *values_of(row)], thumbnail(row["image"])
        if title is not None:
            paper.append((row["filter"], row["share"], row["image"]))
    ordered = [found[key] for key in sorted(found)]
    files = []
    for number, sheet in enumerate(sheets([small for _, small in ordered])):
        files.append(f"gallery/thumbnails/{folder}-{number}.jpg")
        write(files[-1], sheet)
    printed = f"gallery/sheets/{folder}.png" if paper else None
    if printed is not None:
        write(printed, contact_sheet_of(f"{title}\n{name}", sorted(paper)))
    field = max((place["field"] for place in places), default=0)
    entries = [entry for entry, _ in ordered]
    return Layer(name, folder, files, entries, field, _by_filter(places, photo_number), printed)


def _by_filter(
    places: Sequence[Mapping[str, Any]], photo_number: Mapping[str, int]
) -> dict[int, list[Place]]:
    found: dict[int, list[Place]] = {}
    for one in places:
        activation, down, across = (one[key] for key in ("activation", "down", "across"))
        found.setdefault(one["filter"], []).append(
            (
                photo_number[one["photo"]],
                float(f"{activation:.3g}"),
                round(down, 4),
                round(across, 4),
            )
        )
    return found
