"""captum-featinv invert: textures of filters, or other inversions, as a contact sheet."""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import get_args

from PIL import Image

from captum_featinv.cli.model import add_model, model_of
from captum_featinv.cli.options import add_precision, positive, recipe_of
from captum_featinv.cli.outputs import add_output, require_outputs, write_sheet
from captum_featinv.cli.photos import add_crop, add_size, as_taken, edge_of
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
from captum_featinv.images.files import open_picture
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.studies.rewrites import rewrite_sheet
from captum_featinv.studies.sheet import Choice, TextureSheet, texture_sheet

Sheet = Callable[..., TextureSheet]

_FILTERS = "0:5"
_SIZE = 128
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
    parser.add_argument(
        "--energy",
        choices=get_args(Energy),
        help="what a filter is asked for: the whole layer's energy, its own, or its own map with the "
        "layer's energy; default layer",
    )
    parser.add_argument(
        "--rewrite",
        metavar="HOW",
        help="invert whole codes instead of showing filters: random (energy redrawn, one column a "
        "seed), random:paper (the authors' draw), mix:3=2,17=1 (filters by weight) or original",
    )
    parser.add_argument("--recipe", choices=tuple(_RECIPES), default="default")
    parser.add_argument("--steps", type=int, metavar="N", help="overrides the recipe's")
    add_precision(parser)
    add_size(parser, _SIZE)
    add_crop(parser)
    add_output(parser, "textures.png", many_seeds=True)


def _run(options: argparse.Namespace) -> None:
    make = _filters(options) if options.rewrite is None else _rewrites(options)
    require_outputs(options)
    pictures = _pictures(options.photos)
    recipe = recipe_of(options, _RECIPES[options.recipe])
    loaded = model_of(options)
    edge = edge_of(loaded, options.size, _SIZE)
    photos = {name: as_taken(p, loaded, edge, crop=options.crop) for name, p in pictures.items()}
    show = sys.stderr.isatty()
    sheet = make(loaded, photos, options.layer, recipe=recipe, show_progress=show)
    write_sheet(sheet, options)


def _pictures(paths: list[str]) -> dict[str, Image.Image]:
    """By their files' names, or where two are called the same by their paths."""
    names = [Path(path).name for path in paths]
    if len(set(names)) < len(names):
        names = paths
    return {name: open_picture(path) for name, path in zip(names, paths, strict=True)}


def _filters(options: argparse.Namespace) -> Sheet:
    """The sheet of `--filters`."""
    seed = _only_seed(options)
    choose = _chosen(_FILTERS if options.filters is None else options.filters, seed)
    energy: Energy = "layer" if options.energy is None else options.energy
    return partial(texture_sheet, choose=choose, energy=energy, seed=seed)


def _only_seed(options: argparse.Namespace) -> int:
    if len(options.seed) > 1:
        raise ArgumentError(
            f"--seed has {len(options.seed)} seeds, but only --rewrite random takes several"
        )
    seed: int = options.seed[0]
    return seed


def _rewrites(options: argparse.Namespace) -> Sheet:
    """The sheet of `--rewrite`."""
    for name, given in (("--filters", options.filters), ("--energy", options.energy)):
        if given is not None:
            raise ArgumentError(
                f"{name} and --rewrite exclude one another: a rewrite says itself where energy goes"
            )
    kind, _, how = options.rewrite.partition(":")
    if kind == "random" and how in ("", *get_args(Draw)):
        draw: Draw = "paper" if how == "paper" else "dirichlet"
        # The start noise is the same for all, so that a seed gives one picture, alone or not.
        drawn = {f"seed {seed}": reallocate_randomly(seed, draw) for seed in options.seed}
        return partial(rewrite_sheet, rewrites=drawn)
    seed = _only_seed(options)
    return partial(rewrite_sheet, rewrites=_rewrite(options.rewrite), seed=seed)


def _rewrite(text: str) -> dict[str, Rewrite]:
    """What `--rewrite` says where nothing is drawn, by the name of its column."""
    if text == "original":
        return {"original": original}
    kind, _, how = text.partition(":")
    try:
        if kind == "mix":
            parts = [part.partition("=") for part in how.split(",")]
            weights = {int(name): float(weight or 1) for name, _, weight in parts}
            return {"mix " + how: mix(weights)}
    except ValueError as error:
        if isinstance(error, ArgumentError):
            raise
    raise ArgumentError(
        f"--rewrite {text!r} is none of random, random:paper, original and "
        "mix:3=2,17=1 (a weight for each filter)"
    )


def _chosen(text: str, seed: int) -> Choice:
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
