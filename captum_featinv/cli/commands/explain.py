"""captum-featinv explain: the filters behind a prediction, with their textures."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from captum_featinv.cli.model import model_of
from captum_featinv.cli.outputs import require_outputs, write_files
from captum_featinv.cli.parsing.explain import SIZE
from captum_featinv.cli.photos import as_tested, edge_of
from captum_featinv.cli.recipes import recipe_of
from captum_featinv.cli.record import record_of
from captum_featinv.errors import ArgumentError
from captum_featinv.images.display import to_image, to_picture
from captum_featinv.images.files import open_picture
from captum_featinv.images.folder import picture_files, readable
from captum_featinv.models import LoadedModel
from captum_featinv.studies.explain import explain
from captum_featinv.studies.explain_sheet import explanation_sheet
from captum_featinv.studies.explanation import Explanation


def run(options: argparse.Namespace) -> str:
    """Explain, and write the figure and the numbers."""
    require_outputs(options)
    picture = open_picture(options.photo)
    names = [] if options.exemplars is None else _pictures(options.exemplars)
    loaded = model_of(options)
    edge = edge_of(loaded, options.size, loaded.size or SIZE)
    recipe = recipe_of(options)
    found = explain(
        loaded,
        as_tested(picture, loaded, edge),
        options.layer,
        target=None if options.target is None else _class(options.target, loaded),
        method=options.method,
        count=options.top,
        photos=_shown(names, loaded, edge),
        ablate=options.ablate,
        recipe=recipe,
        seed=options.seed,
    )
    shown = [options.photo] if options.exemplars is None else [options.photo, options.exemplars]
    made = record_of(options, loaded, recipe, shown)
    images = to_image(found.textures[0], found.normalization.mean, found.normalization.std)
    stem = f"{Path(options.photo).stem}-{found.layer}"
    pictures = {
        f"{stem}-{k}": to_picture(image) for k, image in zip(found.filters, images, strict=True)
    }
    written = write_files(
        explanation_sheet(found), found.to_dict(), options, made, pictures=pictures
    )
    return f"{_told(found)}\n{written}"


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


def _told(found: Explanation) -> str:
    lines = [f"{found.category}: probability {found.probability:.3f}"]
    lines += [f"layer {found.layer}, {found.method}", str(found.report)]
    lines = [found.note, *lines] if found.note else lines
    if found.ablation is not None:
        lines += found.ablation.lines()
    return "\n".join(lines)
