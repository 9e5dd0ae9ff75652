"""captum-featinv explain: the filters behind a prediction, with their textures."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from captum_featinv.cli.model import add_model, model_of
from captum_featinv.cli.options import add_precision, at_least_one, recipe_of
from captum_featinv.cli.outputs import add_output, require_outputs, write_files
from captum_featinv.cli.photos import as_tested, edge_of
from captum_featinv.cli.telling import tell
from captum_featinv.errors import ArgumentError
from captum_featinv.images.files import open_picture
from captum_featinv.images.folder import picture_files, readable
from captum_featinv.models import LoadedModel
from captum_featinv.studies.explain import explain
from captum_featinv.studies.explain_sheet import explanation_sheet
from captum_featinv.studies.explanation import Explanation

_SIZE = 224


def add(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.set_defaults(command=_run)
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
    parser.add_argument("--steps", type=at_least_one, metavar="N", help="overrides the recipe's")
    add_precision(parser)
    parser.add_argument(
        "--size",
        type=int,
        metavar="PIXELS",
        help=f"the edge of that square; default what the model was trained on, or {_SIZE}",
    )
    add_output(parser, "explanation.png")


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


def _run(options: argparse.Namespace) -> None:
    require_outputs(options)
    picture = open_picture(options.photo)
    names = [] if options.exemplars is None else _pictures(options.exemplars)
    loaded = model_of(options)
    edge = edge_of(loaded, options.size, loaded.size or _SIZE)
    found = explain(
        loaded,
        as_tested(picture, loaded, edge),
        options.layer,
        target=None if options.target is None else _class(options.target, loaded),
        method=options.method,
        count=options.top,
        photos=_shown(names, loaded, edge),
        ablate=options.ablate,
        recipe=recipe_of(options),
        seed=options.seed,
        show_progress=sys.stderr.isatty(),
    )
    written = write_files(explanation_sheet(found), found.to_dict(), options)
    _tell(found)
    tell(f"wrote {written}")


def _class(text: str, loaded: LoadedModel) -> int:
    if text.isdecimal():
        return int(text)
    if text in loaded.categories:
        return loaded.categories.index(text)
    known = (
        "whose classes have no names" if not loaded.categories else f"e.g. {loaded.categories[0]!r}"
    )
    raise ArgumentError(f"--class {text!r} is neither a number nor a class of this model, {known}")


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ArgumentError(f"--exemplars {str(folder)!r} is no folder")
    found = picture_files(folder)
    if not found:
        raise ArgumentError(f"no pictures in --exemplars {str(folder)!r}")
    return found


def _shown(paths: list[Path], loaded: LoadedModel, edge: int) -> Iterator[tuple[str, Tensor]]:
    return ((name, as_tested(picture, loaded, edge)) for name, picture in readable(paths))


def _tell(found: Explanation) -> None:
    lines = [f"{found.category}: probability {found.probability:.3f}"]
    lines += [f"layer {found.layer}, {found.method}", str(found.report)]
    lines = [found.note, *lines] if found.note else lines
    if found.ablation is not None:
        removed = found.ablation
        draws = " ".join(f"{drop:.2f}" for drop in removed.random_drops)
        lines += [
            f"score {removed.score:.2f}; without these {len(found.filters)} filters "
            f"{removed.score - removed.drop:.2f}, a loss of {removed.drop:.2f}",
            f"without as many random filters a loss of {removed.mean_random_drop:.2f} ({draws})",
        ]
    tell("\n".join(lines))
