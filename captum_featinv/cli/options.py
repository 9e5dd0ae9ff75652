"""Options that several commands have."""

import argparse
from collections.abc import Callable
from typing import get_args

from captum_featinv.optimization.precision import Precision
from captum_featinv.optimization.recipe import Recipe


def add_precision(parser: argparse.ArgumentParser) -> None:
    """In which precision images are looked for."""
    parser.add_argument(
        "--precision",
        choices=get_args(Precision),
        help="of the steps; default auto: bfloat16 on a GPU that has it, otherwise float32",
    )


def recipe_of(options: argparse.Namespace, make: Callable[..., Recipe] = Recipe.default) -> Recipe:
    """A recipe with the changes to it that were asked for, and no others."""
    asked = {"n_steps": getattr(options, "steps", None), "precision": options.precision}
    return make(**{name: value for name, value in asked.items() if value is not None})


def add_seed(parser: argparse.ArgumentParser, *, many_seeds: bool = False) -> None:
    """With which dice; with `many_seeds` the seed is a list of them."""
    if many_seeds:
        text = (
            "of the start noise, and of live:5; with --rewrite random of the draws instead, one or "
            "several: 0..3 or 0,3,7; default 0"
        )
        parser.add_argument("--seed", type=seeds, default=[0], help=text)
    else:
        parser.add_argument("--seed", type=seed, default=0, help="of all that is drawn; default 0")


def seed(text: str) -> int:
    """A number that torch takes as a seed."""
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not one seed; several (0..3) are for invert --rewrite random"
        ) from None
    if not 0 <= number < 2**63:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 2**63")
    return number


def seeds(text: str) -> list[int]:
    """`3`, `0,3,7` or `0..3`, which includes both ends."""
    first, dots, last = text.partition("..")
    try:
        numbers = [int(part) for part in (first, last)] if dots else list(map(int, text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a seed (3) nor a list (0,3,7) nor a range (0..3, both included)"
        ) from None
    numbers = list(range(numbers[0], numbers[1] + 1)) if dots else numbers
    if not numbers:
        raise argparse.ArgumentTypeError(f"{text!r} is an empty range")
    return [seed(str(number)) for number in numbers]


def positive(text: str) -> int:
    """A number from 1 on.

    Raises:
        ValueError: it is none.
    """
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def at_least_one(text: str) -> int:
    """A number from 1 on, for an option of the command line."""
    try:
        return positive(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on") from None
