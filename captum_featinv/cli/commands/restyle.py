"""captum-featinv restyle: a photo with the energies of another picture."""

import argparse
import math
from dataclasses import replace
from functools import partial

from torch import Tensor

from captum_featinv.cli.model import model_of
from captum_featinv.cli.outputs import require_outputs, write_files
from captum_featinv.cli.parsing.restyle import SIZE
from captum_featinv.cli.photos import as_taken, edge_of
from captum_featinv.cli.recipes import recipe_of
from captum_featinv.cli.record import record_of
from captum_featinv.errors import ArgumentError
from captum_featinv.images.display import to_image, to_picture
from captum_featinv.images.files import open_picture
from captum_featinv.metrics.table import as_table
from captum_featinv.models import LoadedModel
from captum_featinv.optimization.precision import name_of
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.style import RECIPES, Restyled, restyle

_JPEG_QUALITY = 92


def run(options: argparse.Namespace) -> str:
    """Restyle, and write the picture and its distances."""
    require_outputs(options)
    pictures = [open_picture(path) for path in (options.content, options.style)]
    recipe = recipe_of(options, partial(replace, RECIPES[options.match]))
    loaded = model_of(options)
    edge = edge_of(loaded, options.size, SIZE)
    edges = edge, edge_of(loaded, options.style_size, edge, "--style-size")
    content, style = (
        as_taken(picture, loaded, edge, crop=options.crop)
        for picture, edge in zip(pictures, edges, strict=True)
    )
    found = _restyled(options, loaded, content, style, recipe)
    space = loaded.normalization
    picture = to_picture(to_image(found.images, space.mean, space.std)[0])
    numbers = _distances(found)
    told = {**numbers, "precision": name_of(recipe.precision, [content])}
    made = record_of(options, loaded, recipe, [options.content, options.style])
    written = write_files(picture, told, options, made, quality=_JPEG_QUALITY)
    rows = [[name, *map(_three_digits, pair.values())] for name, pair in numbers.items()]
    table = as_table(["distance", "before", "after"], rows, words=1)
    return f"{table}\n{written}"


def _restyled(
    options: argparse.Namespace, loaded: LoadedModel, content: Tensor, style: Tensor, recipe: Recipe
) -> Restyled:
    given = {
        "style_layers": options.layer,
        "content_layer": options.content_layer,
        "content_weight": options.content_weight,
    }
    space = loaded.normalization
    return restyle(
        loaded.model,
        space.to_model(content),
        space.to_model(style),
        match=options.match,
        recipe=recipe,
        scales=_scales(options.scales),
        seed=options.seed,
        mean=space.mean,
        std=space.std,
        return_distances=True,
        **{name: value for name, value in given.items() if value is not None},
    )


def _scales(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ArgumentError(f"--scales {text!r} is no list of numbers such as 0.5,1") from None


def _distances(found: Restyled) -> dict[str, dict[str, float | None]]:
    """Before and after; what is not finite is None, as JSON wants it."""
    pairs = zip(found.before._fields, found.before, found.after, strict=True)
    return {name: {"before": _finite(b), "after": _finite(a)} for name, b, a in pairs}


def _finite(number: Tensor) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None


def _three_digits(number: float | None) -> str | None:
    return None if number is None else f"{number:.3f}"
