"""Which filters: all of a layer, the strongest, a draw of live ones, a range or a list."""

import argparse
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Filters:
    """What `--filters` says; of which filters of a layer, only its codes can tell."""

    kind: Literal["all", "top", "live", "these"]
    count: int = 0
    """of `top` and `live`"""
    numbers: tuple[int, ...] = ()
    """of `these`"""


def add_filters(parser: argparse.ArgumentParser, default: str) -> None:
    """Which filters, the same for all photos."""
    parser.add_argument(
        "--filters",
        type=filters,
        metavar="WHICH",
        help="top:5 (with the largest share of the layer's energy on the photos), live:5 (a seeded "
        "draw of those that fire on each of them), 0:5 (a range without its end), 7,30 (a list) or "
        f"all; default {default}",
    )


def filters(text: str) -> Filters:
    """`all`, `top:5`, `live:5`, `0:5` or `7,30`."""
    kind, colon, rest = text.partition(":")
    try:
        if text == "all":
            return Filters("all")
        if kind in ("top", "live") and int(rest) > 0:
            return Filters("top" if kind == "top" else "live", int(rest))
        numbers = (
            tuple(range(int(kind or 0), int(rest))) if colon else tuple(map(int, text.split(",")))
        )
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is none of all, top:5, live:5, a range (0:5) and a list (7,30)"
        ) from None
    if not numbers:
        raise argparse.ArgumentTypeError(f"{text!r} names no filter")
    return Filters("these", numbers=numbers)
