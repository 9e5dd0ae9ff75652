"""captum-featinv invert: textures of filters as a contact sheet."""

import argparse
import sys
from pathlib import Path
from typing import get_args

from captum_featinv.cli.options import add_model, add_output, positive, require_folder, write_sheet
from captum_featinv.codes import Energy
from captum_featinv.errors import ArgumentError
from captum_featinv.models import load_model
from captum_featinv.photos import load_photo
from captum_featinv.recipe import Recipe
from captum_featinv.studies.sheet import Chosen, live_filters, texture_sheet

_RECIPES = {"default": Recipe.default, "paper": Recipe.paper}


def add(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.set_defaults(command=_run)
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="picture files")
    add_model(parser)
    parser.add_argument(
        "--layer", action="append", required=True, metavar="NAME", help="a layer; may be repeated"
    )
    parser.add_argument(
        "--filters",
        default="0:5",
        help="0:5 (a range), 0,3,7 (a list) or live:5 (a seeded draw of filters that fire); "
        "default 0:5",
    )
    parser.add_argument("--energy", choices=get_args(Energy), default="layer")
    parser.add_argument("--recipe", choices=tuple(_RECIPES), default="default")
    parser.add_argument("--steps", type=int, metavar="N", help="overrides the recipe's")
    add_output(parser, "textures.png")


def _run(options: argparse.Namespace) -> None:
    choose = _chosen(options.filters, options.seed)
    require_folder(options)
    names = [Path(path).name for path in options.photos]
    if len(set(names)) < len(names):
        names = options.photos
    photos = {
        name: load_photo(path, options.size)
        for name, path in zip(names, options.photos, strict=True)
    }
    changes = {} if options.steps is None else {"n_steps": options.steps}
    recipe = _RECIPES[options.recipe](**changes)
    loaded = load_model(options.model, options.weights, options.pooling)
    sheet = texture_sheet(
        loaded,
        photos,
        options.layer,
        choose,
        energy=options.energy,
        recipe=recipe,
        seed=options.seed,
        show_progress=sys.stderr.isatty(),
    )
    write_sheet(sheet, options)


def _chosen(text: str, seed: int) -> Chosen:
    """What `--filters` says, as a choice among a layer's filters."""
    kind, _, count = text.partition(":")
    try:
        if kind == "live":
            number = positive(count)
            return lambda code: live_filters(code, number, seed)
        if ":" in text:
            first, last = int(kind or 0), int(count)
            filters = list(range(first, last))
        else:
            filters = [int(part) for part in text.split(",")]
    except ValueError:
        raise ArgumentError(
            f"--filters {text!r} is neither a range (0:5) nor a list (0,3,7) nor live:5"
        ) from None
    if not filters:
        raise ArgumentError(f"--filters {text!r} names no filter")
    return lambda _: filters
