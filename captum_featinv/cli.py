"""The command line: captum-featinv invert | layers | demo."""

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import get_args

from torch import Tensor

from captum_featinv.anatomy import LayerAnatomy, anatomy
from captum_featinv.codes import Energy
from captum_featinv.errors import ArgumentError, FeatInvError, MissingExtraError
from captum_featinv.models import load_model
from captum_featinv.photos import from_picture, load_photo
from captum_featinv.recipe import Recipe
from captum_featinv.studies.sheet import Chosen, TextureSheet, live_filters, texture_sheet

# relu1_2 to relu5_2: the rows of the paper's figure.
_DEMO_LAYERS = ("features.3", "features.8", "features.13", "features.20", "features.27")
# Enough to see each texture; the default's 80 would take a third of the time longer.
_DEMO_STEPS = 60
_JPEG_QUALITY = 85  # where the sheet is one
# Height and width of the images on which `layers` looks at a model, small ones first.
_PROBED = ((768, 32), (768, 96), (224, 224))
_RECIPES = {"default": Recipe.default, "paper": Recipe.paper}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when all went well, 2 after an error, which is one line on stderr."""
    options = _parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: _say(f"warning: {message}")
        try:
            options.command(options)
        except (FeatInvError, OSError) as error:
            _say(f"error: {error}")
            return 2
        except Exception as error:
            if options.traceback:
                raise
            _say(f"error: {type(error).__name__}: {error} (--traceback shows where)")
            return 2
    return 0


def _say(text: str) -> None:
    """One line to the user, whatever the text's own line breaks."""
    print(f"captum-featinv: {' '.join(text.split())}", file=sys.stderr)  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="captum-featinv", description="What does this filter of this CNN extract?"
    )
    parser.add_argument("--traceback", action="store_true", help="show where an error came from")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_invert(commands.add_parser("invert", help="textures of filters as a contact sheet"))
    _add_layers(commands.add_parser("layers", help="a model's layers: channels, stride, field"))
    _add_demo(commands.add_parser("demo", help="the picture of the README, on a real network"))
    return parser


def _add_invert(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_invert)
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="picture files")
    _add_model(parser)
    parser.add_argument(
        "--layer", action="append", required=True, metavar="NAME", help="a layer; may be repeated"
    )
    parser.add_argument(
        "--filters",
        default="0:5",
        help="0:5 (a range), 0,3,7 (a list) or live:5 (a seeded draw of filters that fire); "
        "default 0:5",
    )
    parser.add_argument("--energy", choices=get_args(Energy), default="layer")
    parser.add_argument("--recipe", choices=tuple(_RECIPES), default="default")
    parser.add_argument("--steps", type=int, metavar="N", help="overrides the recipe's")
    _add_output(parser, "textures.png")


def _add_layers(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_layers)
    parser.add_argument("model", metavar="MODEL", help="any torchvision model, e.g. resnet50")


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_demo)
    _add_output(parser, "demo.png")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="vgg16", help="any torchvision model; default vgg16")
    parser.add_argument(
        "--weights",
        default="DEFAULT",
        help="a name of the model's weights, hed (vgg16 only), random, or a state dict's file; "
        "default DEFAULT, torchvision's own, downloaded on first use",
    )
    parser.add_argument(
        "--pooling", choices=("max", "average"), default="max", help="average as in the paper"
    )


def _add_output(parser: argparse.ArgumentParser, out: str) -> None:
    parser.add_argument("--size", type=int, default=128, metavar="PIXELS", help="the long edge")
    parser.add_argument("--seed", type=_seed, default=0)
    parser.add_argument("--out", type=Path, default=Path(out), help=f"the sheet; default {out}")
    parser.add_argument("--report", type=Path, help="also write the numbers, as JSON")


def _seed(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**63:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 2**63")
    return number


def _invert(options: argparse.Namespace) -> None:
    choose = _chosen(options.filters, options.seed)
    _require_folder(options)
    names = [Path(path).name for path in options.photos]
    if len(set(names)) < len(names):
        names = options.photos
    photos = {
        name: load_photo(path, options.size)
        for name, path in zip(names, options.photos, strict=True)
    }
    changes = {} if options.steps is None else {"n_steps": options.steps}
    recipe = _RECIPES[options.recipe](**changes)
    loaded = load_model(options.model, options.weights, options.pooling)
    sheet = texture_sheet(
        loaded,
        photos,
        options.layer,
        choose,
        energy=options.energy,
        recipe=recipe,
        seed=options.seed,
        show_progress=sys.stderr.isatty(),
    )
    _write(sheet, options)


def _demo(options: argparse.Namespace) -> None:
    _require_folder(options)
    loaded = load_model("vgg16", "hed", "average")
    sheet = texture_sheet(
        loaded,
        {"astronaut": _astronaut(options.size)},
        _DEMO_LAYERS,
        lambda code: live_filters(code, 5, options.seed),
        recipe=Recipe.default(n_steps=_DEMO_STEPS),
        seed=options.seed,
        show_progress=sys.stderr.isatty(),
    )
    _write(sheet, options)


def _astronaut(size: int) -> Tensor:
    try:
        import skimage.data
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError(
            'the demo needs an extra: pip install "captum_featinv[demo]"'
        ) from error
    return from_picture(Image.fromarray(skimage.data.astronaut()), size)  # type: ignore[no-untyped-call]


def _layers(options: argparse.Namespace) -> None:
    rows = [["layer", "type", "channels", "stride", "receptive field"]]
    for layer in _anatomy(options.model):
        numbers = (layer.channels, layer.stride, layer.receptive_field)
        rows.append([layer.name, layer.kind, *("-" if n is None else f"{n:g}" for n in numbers)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        words = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        figures = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        print("  ".join(words + figures))  # noqa: T201


def _anatomy(name: str) -> list[LayerAnatomy]:
    """Of a model, on the smallest of some images that it takes."""
    model = load_model(name, "random").model
    *smaller, largest = _PROBED
    for height, width in smaller:
        with suppress(Exception):  # whatever a model says to a size that it cannot take
            return anatomy(model, height=height, width=width)
    return anatomy(model, height=largest[0], width=largest[1])


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _chosen(text: str, seed: int) -> Chosen:
    """What `--filters` says, as a choice among a layer's filters."""
    kind, _, count = text.partition(":")
    try:
        if kind == "live":
            number = _positive(count)
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


def _require_folder(options: argparse.Namespace) -> None:
    """Better now than after minutes of work."""
    for path in (options.out, options.report):
        if path is not None and not path.parent.is_dir():
            raise ArgumentError(f"no folder {str(path.parent)!r} to write {path.name!r} in")
        if path is not None and path.is_dir():
            raise ArgumentError(f"{str(path)!r} is a folder; name a file in it")
    if options.out.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise ArgumentError(f"--out {str(options.out)!r} must end in .png, .jpg or .webp")


def _write(sheet: TextureSheet, options: argparse.Namespace) -> None:
    sheet.picture.save(options.out, quality=_JPEG_QUALITY)
    if options.report is not None:
        options.report.write_text(json.dumps(sheet.records, indent=1) + "\n")
    for label, report in sheet.reports.items():
        print(f"{label}\n{report}\n")  # noqa: T201
    print(f"wrote {options.out}")  # noqa: T201
