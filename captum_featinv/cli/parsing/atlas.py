"""What captum-featinv atlas takes."""

import argparse
from pathlib import Path

from captum_featinv.cli.parsing.options import (
    add_crop,
    add_model,
    add_precision,
    add_seed,
    add_size,
    add_steps,
    at_least_one,
)

SIZE = 128


def add(parser: argparse.ArgumentParser) -> None:
    """Photos, a network, layers, and who does the work."""
    parser.add_argument("photos", nargs="+", metavar="PHOTO", type=Path, help="pictures or folders")
    add_model(parser)
    parser.add_argument(
        "--layers",
        nargs="+",
        required=True,
        metavar="NAME",
        help="names or patterns: features.8, relu3_2, 'features.*'; a pattern means the activation "
        "functions that it fits",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("atlas"), metavar="DIR", help="a folder; default atlas"
    )
    parser.add_argument(
        "--photos-per-filter",
        type=at_least_one,
        default=1,
        metavar="N",
        help="from how many photos each filter is shown, those on which it has the largest share of "
        "its layer's energy; default 1",
    )
    add_steps(parser)
    add_precision(parser)
    add_size(parser, SIZE)
    add_crop(parser)
    add_seed(parser)
    _add_workers(parser)
    parser.add_argument(
        "--overwrite", action="store_true", help="the folder may lose another atlas"
    )


def _add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--shard",
        type=part,
        default=(1, 1),
        metavar="I/N",
        help="make every N-th piece alone, the I-th from 1 on, as in a Slurm array",
    )
    parser.add_argument(
        "--workers", type=at_least_one, metavar="N", help="processes on this machine, by Dask"
    )
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster, tcp://host:8786")


def part(text: str) -> tuple[int, int]:
    """`2/8`: the second of eight."""
    number, slash, of = text.partition("/")
    found = (int(number), int(of)) if number.isdecimal() and of.isdecimal() else (0, 0)
    if not slash or not 1 <= found[0] <= found[1]:
        raise argparse.ArgumentTypeError(f"{text!r} is no part such as 2/8, from 1/8 to 8/8")
    return found
