"""What captum-featinv invert takes."""

import argparse

from captum_featinv.cli.parsing.filters import add_filters
from captum_featinv.cli.parsing.options import (
    STEPS,
    add_crop,
    add_model,
    add_output,
    add_pictures,
    add_precision,
    add_seed,
    add_size,
    add_steps,
)

SIZE = 128
FILTERS = "top:5"
ENERGIES = ("layer", "own", "rescaled")
RECIPES = ("default", "smooth", "fine", "paper")


def add(parser: argparse.ArgumentParser) -> None:
    """Photos, a network, layers, filters, and how to look for their textures."""
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="pictures, or folders of them")
    add_model(parser)
    parser.add_argument(
        "--layer", action="append", required=True, metavar="NAME", help="a layer; may be repeated"
    )
    add_filters(parser, FILTERS)
    parser.add_argument(
        "--energy",
        choices=ENERGIES,
        help="what a filter is asked for: the whole layer's energy, its own, or its own map with the "
        "layer's energy; default layer",
    )
    parser.add_argument(
        "--rewrite",
        metavar="HOW",
        help="invert whole codes instead of showing filters: random (energy redrawn, one column a "
        "seed), random:paper (the authors' draw), mix:3=2,17=1 (filters by weight) or original",
    )
    parser.add_argument(
        "--recipe",
        choices=RECIPES,
        default="default",
        help="how images are looked for: smooth has more form, fine more detail, paper is the "
        "authors'; default default, which chooses by the layer's stride",
    )
    add_steps(parser, f"the recipe's: {STEPS}, the paper's 1000")
    add_precision(parser)
    add_size(parser, SIZE)
    add_crop(parser)
    add_seed(parser, many_seeds=True)
    add_output(parser, "textures.png")
    add_pictures(parser)
