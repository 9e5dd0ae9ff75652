"""captum-featinv invert: textures of filters, or other inversions, as a contact sheet."""

import argparse
import sys
from pathlib import Path
from typing import get_args

from captum_featinv.cli.options import add_model, add_output, positive, require_folder, write_sheet
from captum_featinv.codes import (
    Draw,
    Energy,
    Rewrite,
    live_filters,
    mix,
    original,
    reallocate_randomly,
)
from captum_featinv.errors import ArgumentError
from captum_featinv.images.files import load_photo
from captum_featinv.models import load_model
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.studies.rewrites import rewrite_sheet
from captum_featinv.studies.sheet import Chosen, texture_sheet

_FILTERS = "0:5"
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
        help="0:5 (a range), 0,3,7 (a list) or live:5 (a seeded draw of filters that fire); "
        f"default {_FILTERS}",
    )
    parser.add_argument("--energy", choices=get_args(Energy), default="layer")
    parser.add_argument(
        "--rewrite",
        metavar="HOW",
        help="invert whole codes instead of showing filters: random (energy redrawn, one column a "
        "seed), random:paper (the authors' draw), mix:3=2,17=1 (filters by weight) or original",
    )
    parser.add_argument("--recipe", choices=tuple(_RECIPES), default="default")
    parser.add_argument("--steps", type=int, metavar="N", help="overrides the recipe's")
    add_output(parser, "textures.png", many_seeds=True)


def _run(options: argparse.Namespace) -> None:
    rewrites = _rewrites(options) if options.rewrite is not None else {}
    filters = _FILTERS if options.filters is None else options.filters
    choose = None if rewrites else _chosen(filters, _only_seed(options))
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
    show = sys.stderr.isatty()
    if choose is None:
        sheet = rewrite_sheet(
            loaded, photos, options.layer, rewrites, recipe=recipe, show_progress=show
        )
    else:
        sheet = texture_sheet(
            loaded,
            photos,
            options.layer,
            choose,
            energy=options.energy,
            recipe=recipe,
            seed=options.seed[0],
            show_progress=show,
        )
    write_sheet(sheet, options)


def _only_seed(options: argparse.Namespace) -> int:
    if len(options.seed) > 1:
        raise ArgumentError(
            f"--seed has {len(options.seed)} seeds, but only --rewrite random takes several"
        )
    seed: int = options.seed[0]
    return seed


def _rewrites(options: argparse.Namespace) -> dict[str, Rewrite]:
    """What `--rewrite` says, by the names of their columns."""
    if options.filters is not None:
        raise ArgumentError("--filters and --rewrite exclude one another")
    kind, _, how = options.rewrite.partition(":")
    if kind == "random" and how in ("", *get_args(Draw)):
        draw: Draw = "paper" if how == "paper" else "dirichlet"
        return {f"seed {seed}": reallocate_randomly(seed, draw) for seed in options.seed}
    _only_seed(options)
    if options.rewrite == "original":
        return {"original": original}
    try:
        if kind == "mix":
            parts = [part.partition("=") for part in how.split(",")]
            weights = {int(name): float(weight or 1) for name, _, weight in parts}
            return {"mix " + how: mix(weights)}
    except ValueError as error:
        if isinstance(error, ArgumentError):
            raise
    raise ArgumentError(
        f"--rewrite {options.rewrite!r} is none of random, random:paper, original and "
        "mix:3=2,17=1 (a weight for each filter)"
    )


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
