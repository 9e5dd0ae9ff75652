"""captum-featinv compare: the same filters under every other method."""

import argparse

from captum_featinv.cli.options import (
    add_model,
    add_output,
    at_least_one,
    require_folder,
    write_files,
)
from captum_featinv.codes import live_filters
from captum_featinv.errors import ArgumentError
from captum_featinv.images.files import load_photo
from captum_featinv.metrics.table import as_table
from captum_featinv.models import load_model
from captum_featinv.network.reading import read_code
from captum_featinv.studies.compare import METHODS, compare
from captum_featinv.studies.compare_sheet import comparison_sheet
from captum_featinv.studies.comparison import Comparison

_DRAWN = 3


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
    add_output(parser, "comparison.png")


def _run(options: argparse.Namespace) -> None:
    require_folder(options)
    photo = load_photo(options.photo, options.size)
    loaded = load_model(options.model, options.weights, options.pooling)
    filters = options.filter
    if filters is None:
        inputs = loaded.normalization.to_model(photo)
        filters = live_filters(read_code(loaded.model, options.layer, inputs), _DRAWN, options.seed)
        if not filters:
            raise ArgumentError(f"no filter of layer {options.layer!r} fires on this photo")
    methods = {name: METHODS[name] for name in options.method or METHODS}
    found = compare(
        loaded,
        photo,
        options.layer,
        filters,
        methods=methods,
        steps=options.steps,
        seed=options.seed,
    )
    write_files(comparison_sheet(found), found.to_dicts(), options)
    print(_table(found))  # noqa: T201
    print(f"wrote {options.out}")  # noqa: T201


def _table(found: Comparison) -> str:
    columns = ("filter", "method", "share", "robust_share", "lift", "rank", "seconds")
    rows = [[record[name] for name in columns] for record in found.to_dicts()]
    return as_table([name.removesuffix("_share") for name in columns], rows)
