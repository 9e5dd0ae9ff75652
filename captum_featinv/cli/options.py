"""Options that several commands have, and what they all do with their files."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from PIL import Image

from captum_featinv.errors import ArgumentError, warn
from captum_featinv.optimization.precision import Precision
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.studies.sheet import TextureSheet

_JPEG_QUALITY = 85  # where the sheet is one


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


def add_output(parser: argparse.ArgumentParser, out: str, *, many_seeds: bool = False) -> None:
    """With which dice and where to; `out` is the file's name by default."""
    add_seed(parser, many_seeds=many_seeds)
    parser.add_argument("--out", type=Path, default=Path(out), help=f"the sheet; default {out}")
    parser.add_argument("--report", type=Path, help="also write the numbers, as JSON")


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


def require_folder(options: argparse.Namespace) -> None:
    """Better now than after minutes of work."""
    for path in (options.out, options.report):
        if path is not None and not path.parent.is_dir():
            raise ArgumentError(f"no folder {str(path.parent)!r} to write {path.name!r} in")
        if path is not None and path.is_dir():
            raise ArgumentError(f"{str(path)!r} is a folder; name a file in it")
    if options.report is not None and options.report.resolve() == options.out.resolve():
        raise ArgumentError(f"--out and --report are one file, {str(options.out)!r}; name two")
    if options.out.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise ArgumentError(f"--out {str(options.out)!r} must end in .png, .jpg or .webp")


def write_sheet(sheet: TextureSheet, options: argparse.Namespace) -> None:
    """The picture, the numbers, and the numbers once more for the reader."""
    written = write_files(sheet.picture, sheet.records, options)
    for label, report in sheet.reports.items():
        print(f"{label}\n{report}\n")  # noqa: T201
    print(f"wrote {written}")  # noqa: T201


def write_files(
    picture: Image.Image,
    records: Any,
    options: argparse.Namespace,
    *,
    quality: int = _JPEG_QUALITY,
) -> Path:
    """The picture, and the numbers if they were asked for; where the picture is now."""
    # Numbers that are no JSON are found out before anything is overwritten.
    text = json.dumps(records, indent=1, allow_nan=False)
    if options.report is not None:
        options.report.write_text(text + "\n")
    return _saved(picture, options.out, quality)


def _saved(picture: Image.Image, path: Path, quality: int) -> Path:
    """As PNG where the format that was asked for cannot hold it: WebP ends at 16,383 pixels a side."""
    try:
        picture.save(path, quality=quality)
    except (OSError, ValueError) as error:
        if path.suffix.lower() == ".png":
            raise
        other = path.with_suffix(".png")
        picture.save(other)
        warn(f"the picture does not go into {path.name} ({error}); it is in {other.name}")
        return other
    return path
