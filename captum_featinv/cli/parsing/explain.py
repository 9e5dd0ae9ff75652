"""What captum-featinv explain takes."""

import argparse
from pathlib import Path

from captum_featinv.cli.parsing.options import (
    add_model,
    add_output,
    add_pictures,
    add_precision,
    add_seed,
    add_steps,
    at_least_one,
)

SIZE = 224


def add(parser: argparse.ArgumentParser) -> None:
    """A photo, a classifier, and which of its decisions to explain."""
    parser.add_argument("photo", metavar="PHOTO", help="a picture file; its middle square is used")
    add_model(parser)
    _add_question(parser)
    parser.add_argument(
        "--exemplars", type=Path, metavar="FOLDER", help="photos to take natural patches from"
    )
    parser.add_argument(
        "--ablate",
        action="store_true",
        help="also silence these filters, and as many random ones, and say what the class loses",
    )
    add_steps(parser)
    add_precision(parser)
    parser.add_argument(
        "--size",
        type=at_least_one,
        metavar="PIXELS",
        help=f"the edge of that square; default what the model was trained on, or {SIZE}",
    )
    add_seed(parser)
    add_output(parser, "explanation.png")
    add_pictures(parser)


def _add_question(parser: argparse.ArgumentParser) -> None:
    """Which class, asked how and where."""
    parser.add_argument(
        "--layer",
        metavar="NAME",
        help="by default the last block or ReLU with maps of 8 x 8 or more places",
    )
    parser.add_argument(
        "--class",
        dest="target",
        metavar="CLASS",
        help="a number or a name; by default the predicted one",
    )
    parser.add_argument(
        "--method",
        default="LayerGradientXActivation",
        metavar="NAME",
        help="which of Captum's layer attributions; default LayerGradientXActivation",
    )
    parser.add_argument(
        "--top", type=at_least_one, default=6, metavar="N", help="how many filters; default 6"
    )
