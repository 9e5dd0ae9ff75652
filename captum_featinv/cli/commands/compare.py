"""captum-featinv compare: the same filters under every other method."""

import argparse
from dataclasses import replace
from pathlib import Path

from captum_featinv.cli.choosing import chosen
from captum_featinv.cli.model import model_of
from captum_featinv.cli.outputs import require_outputs, write_files
from captum_featinv.cli.parsing.compare import FILTERS, QUICK, SIZE
from captum_featinv.cli.parsing.filters import filters as parsed
from captum_featinv.cli.photos import as_taken, edge_of
from captum_featinv.cli.recipes import recipe_of
from captum_featinv.cli.record import record_of
from captum_featinv.errors import ArgumentError
from captum_featinv.images.files import open_picture
from captum_featinv.metrics.table import as_table
from captum_featinv.network.reading import read_code
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.studies.compare import METHODS, compare
from captum_featinv.studies.compare_sheet import comparison_sheet, pictures_of
from captum_featinv.studies.comparison import Comparison, Method


def run(options: argparse.Namespace) -> str:
    """Compare, and write the figure and the numbers."""
    methods = _methods(options)
    require_outputs(options)
    picture = open_picture(options.photo)
    loaded = model_of(options)
    edge = edge_of(loaded, options.size, SIZE)
    photo = as_taken(picture, loaded, edge, crop=options.crop)
    asked = parsed(FILTERS) if options.filters is None else options.filters
    code = read_code(loaded.model, options.layer, loaded.normalization.to_model(photo))
    filters = chosen(asked, [code], options.seed)
    if not filters:
        raise ArgumentError(f"no filter of layer {options.layer!r} fires on this photo")
    # Steps are every method's, not the recipe's alone.
    recipe = replace(recipe_of(options), n_steps=Recipe.default().n_steps)
    found = compare(
        loaded,
        photo,
        options.layer,
        filters,
        methods=methods,
        recipe=recipe,
        steps=options.steps or {**({} if options.full else QUICK)},
        seed=options.seed,
    )
    made = record_of(options, loaded, recipe, [options.photo])
    numbers = {"answers": found.to_dicts()}
    pictures = {
        f"{Path(options.photo).stem}-{options.layer}-{name}": picture
        for name, picture in pictures_of(found).items()
    }
    written = write_files(comparison_sheet(found), numbers, options, made, pictures=pictures)
    return f"{_table(found)}\n{written}"


def _methods(options: argparse.Namespace) -> dict[str, Method]:
    """Those that were named, if what else was asked for means anything to one of them."""
    missing = [name for name in options.method or () if name not in METHODS]
    if missing:
        raise ArgumentError(
            f"{' and '.join(missing)} cannot be asked here; installed are {', '.join(METHODS)} (Lucent "
            'comes with pip install "captum_featinv[lucent]", DreamLens with [dreamlens])'
        )
    methods = {name: METHODS[name] for name in options.method or METHODS}
    for name, given, fitting in (
        ("--steps", options.steps, "optimised"),
        ("--precision", options.precision, "inverted"),
    ):
        if given is not None and not any(getattr(m, fitting) for m in methods.values()):
            known = ", ".join(title for title, m in METHODS.items() if getattr(m, fitting))
            raise ArgumentError(f"{name} means nothing to {', '.join(methods)}, only to {known}")
    return methods


def _table(found: Comparison) -> str:
    columns = (
        "filter",
        "method",
        "share",
        "inner_share",
        "robust_share",
        "lift",
        "rank",
        "seconds",
    )
    rows = [[record[name] for name in columns] for record in found.to_dicts()]
    return as_table([name.removesuffix("_share") for name in columns], rows)
