"""captum-featinv invert: textures of filters, or other inversions, as a contact sheet."""

import argparse
from collections.abc import Callable
from functools import partial
from typing import get_args

from captum_featinv.cli.choosing import chosen
from captum_featinv.cli.model import model_of
from captum_featinv.cli.outputs import require_outputs, write_sheet
from captum_featinv.cli.parsing.filters import filters as parsed
from captum_featinv.cli.parsing.invert import FILTERS, SIZE
from captum_featinv.cli.photos import as_taken, edge_of, opened
from captum_featinv.cli.recipes import recipe_of
from captum_featinv.cli.record import record_of
from captum_featinv.codes import Draw, Energy, Rewrite, mix, original, reallocate_randomly
from captum_featinv.errors import ArgumentError
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.studies.rewrites import rewrite_sheet
from captum_featinv.studies.sheet import TextureSheet, texture_sheet

Sheet = Callable[..., TextureSheet]

_RECIPES = {
    "default": Recipe.default,
    "smooth": Recipe.smooth,
    "fine": Recipe.fine,
    "paper": Recipe.paper,
}


def run(options: argparse.Namespace) -> str:
    """Look for the pictures and write them."""
    make = _filters(options) if options.rewrite is None else _rewrites(options)
    require_outputs(options)
    pictures = opened(options.photos)
    recipe = recipe_of(options, _RECIPES[options.recipe])
    loaded = model_of(options)
    edge = edge_of(loaded, options.size, SIZE)
    photos = {name: as_taken(p, loaded, edge, crop=options.crop) for name, p in pictures}
    sheet = make(loaded, photos, options.layer, recipe=recipe)
    return write_sheet(sheet, options, record_of(options, loaded, recipe, options.photos))


def _filters(options: argparse.Namespace) -> Sheet:
    """The sheet of `--filters`."""
    seed = _only_seed(options)
    asked = parsed(FILTERS) if options.filters is None else options.filters
    energy: Energy = "layer" if options.energy is None else options.energy
    return partial(
        texture_sheet, choose=lambda codes: chosen(asked, codes, seed), energy=energy, seed=seed
    )


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
