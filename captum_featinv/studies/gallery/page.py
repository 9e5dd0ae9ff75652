"""The page itself, and its data as a script: what is served from a file cannot be fetched."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

# No new requirement: PyTorch has it too.
from jinja2 import Environment, StrictUndefined, Template

from captum_featinv.studies.gallery.figures import FIGURES, SORTS
from captum_featinv.studies.gallery.layer import Layer
from captum_featinv.studies.gallery.naming import printable
from captum_featinv.studies.gallery.sprites import COLUMNS, IN_A_SHEET

ASSETS = ("gallery.css", "gallery.js")
# Characters by which a text could end a script; those beyond ASCII json escapes by itself.
_ESCAPED = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&"}


def asset(name: str) -> bytes:
    """A file that comes with the package."""
    return files(__package__).joinpath("assets", name).read_bytes()


def as_script(name: str, value: Any) -> bytes:
    """A plain value as JavaScript that names it, safe wherever a script may stand."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).translate(_ESCAPED)
    return f"const {name} = {text};\n".encode()


def data(layers: Sequence[Layer], photos: Sequence[tuple[str, str | None, int, int]]) -> bytes:
    """What the page's script shows.

    Args:
        layers: with their pictures.
        photos: each one's name, its file if there is one, and its width and height.
    """
    return as_script(
        "ATLAS",
        {
            "columns": COLUMNS,
            "in_a_sheet": IN_A_SHEET,
            "figures": [[f.key, f.title, f.kind, f.about] for f in FIGURES],
            "photos": photos,
            "layers": [
                {
                    "name": printable(layer.name),
                    "folder": layer.folder,
                    "sheets": layer.sheets,
                    "entries": layer.entries,
                    "field": layer.field,
                    "places": layer.places,
                    "paper": layer.paper,
                }
                for layer in layers
            ],
        },
    )


def page(
    settings: Mapping[str, Any],
    layers: Sequence[Layer],
    silent: Mapping[str, Sequence[int]],
    *,
    photos: int,
    planned: int,
) -> bytes:
    """The page around the wall.

    Args:
        settings: of the atlas, as its manifest has them.
        layers: with their pictures.
        silent: of each layer, the filters of which there are none.
        photos: how many.
        planned: how many pictures there will be.
    """
    titles = {figure.key: figure.title for figure in FIGURES}
    made = {name: settings[name] for name in _TOLD if settings.get(name) is not None}
    text = _template().render(
        model=printable(str(settings.get("model", "a network"))),
        made={_TOLD[name]: list(map(printable, str(v).split("\n"))) for name, v in made.items()},
        layers=[
            (printable(layer.name), len(layer.entries), spans(silent.get(layer.name, [])))
            for layer in layers
        ],
        pictures=sum(len(layer.entries) for layer in layers),
        silent=sum(map(len, silent.values())),
        sorts=[(key, titles[key]) for key in SORTS],
        photos=photos,
        planned=planned,
    )
    return text.encode()


_TOLD = {
    "recipe": "recipe",
    "device": "device",
    "precision": "precision",
    "seed": "seed",
    "view": "view",
    "weights": "weights (SHA-256)",
    "captum_featinv": "captum_featinv",
    "torch": "PyTorch",
}


def spans(numbers: Sequence[int]) -> str:
    """Numbers as text, neighbours together.

    >>> spans([1, 4, 5, 6, 9])
    '1, 4-6, 9'
    """
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][-1] + 1:
            found[-1][1:] = [number]
        else:
            found.append([number])
    return ", ".join("-".join(map(str, ends)) for ends in found)


def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(asset("page.html").decode())
