"""What captum-featinv claims takes."""

import argparse
from pathlib import Path

from captum_featinv.cli.parsing.options import (
    add_model,
    add_precision,
    add_seed,
    add_size,
    add_steps,
    at_least_one,
)

SIZE = 128


def add(parser: argparse.ArgumentParser) -> None:
    """A network, what of it is looked at, and who judges."""
    add_model(parser)
    _add_sample(parser)
    add_steps(parser)
    _add_judge(parser)
    add_precision(parser)
    add_size(parser, SIZE)
    add_seed(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="made if not there")


def _add_sample(parser: argparse.ArgumentParser) -> None:
    """What is looked at."""
    parser.add_argument(
        "--photos",
        type=Path,
        metavar="DIR",
        help="a folder of two pictures or more, whose central squares are taken; default: six of "
        "scikit-image's; with fewer than six claim 3 stays undecided, with fewer than three claim 4 "
        "is not asked",
    )
    parser.add_argument(
        "--layer",
        action="append",
        metavar="NAME",
        help="a layer; repeat it, low layers first; default: the last activation function at each "
        "size of the maps",
    )
    parser.add_argument(
        "--filters",
        type=at_least_one,
        default=12,
        metavar="N",
        help="a layer; default 12, six decide",
    )


def _add_judge(parser: argparse.ArgumentParser) -> None:
    """Who compares pictures."""
    parser.add_argument(
        "--judge",
        metavar="NAME",
        help="a layer that compares pictures, none of those looked at; default: random filters",
    )
    parser.add_argument(
        "--judge-model",
        metavar="MODEL",
        help="the trained network whose layer --judge is; default: the one looked at",
    )
