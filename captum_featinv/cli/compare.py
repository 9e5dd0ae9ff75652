"""captum-featinv compare: the same filters under every other method."""

import argparse
from dataclasses import replace

from captum_featinv.cli.model import add_model, model_of
from captum_featinv.cli.options import add_precision, at_least_one, recipe_of
from captum_featinv.cli.outputs import add_output, require_outputs, write_files
from captum_featinv.cli.photos import add_crop, add_size, as_taken, edge_of
from captum_featinv.cli.telling import tell
from captum_featinv.codes import live_filters
from captum_featinv.errors import ArgumentError
from captum_featinv.images.files import open_picture
from captum_featinv.metrics.table import as_table
from captum_featinv.network.reading import read_code
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.studies.compare import METHODS, compare
from captum_featinv.studies.compare_sheet import comparison_sheet
from captum_featinv.studies.comparison import Comparison, Method

_DRAWN = 3
_SIZE = 128


def add(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.set_defaults(command=_run)
    parser.add_argument("photo", metavar="PHOTO", help="a picture file")
    add_model(parser)
    parser.add_argument("--layer", required=True, metavar="NAME")
    parser.add_argument(
        "--filter",
        action="append",
        type=int,
        metavar="K",
        help=f"may be repeated; by default {_DRAWN} drawn among those that fire",
    )
    parser.add_argument(
        "--method",
        action="append",
        choices=tuple(METHODS),
        help="a column; may be repeated; by default all",
    )
    parser.add_argument(
        "--steps",
        type=at_least_one,
        metavar="N",
        help="of all that is optimised; by default each method's own number",
    )
    add_precision(parser)
    add_size(parser, _SIZE)
    add_crop(parser)
    add_output(parser, "comparison.png")


def _run(options: argparse.Namespace) -> None:
    methods = _methods(options)
    require_outputs(options)
    picture = open_picture(options.photo)
    loaded = model_of(options)
    edge = edge_of(loaded, options.size, _SIZE)
    photo = as_taken(picture, loaded, edge, crop=options.crop)
    filters = options.filter
    if filters is None:
        inputs = loaded.normalization.to_model(photo)
        filters = live_filters(read_code(loaded.model, options.layer, inputs), _DRAWN, options.seed)
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
        steps=options.steps,
        seed=options.seed,
    )
    written = write_files(comparison_sheet(found), found.to_dicts(), options)
    tell(_table(found))
    tell(f"wrote {written}")


def _methods(options: argparse.Namespace) -> dict[str, Method]:
    """Those that were named, if what else was asked for means anything to one of them."""
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
