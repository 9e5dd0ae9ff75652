"""Our method and its rivals behind one interface: `python -m tests.benchmarks.methods --help`."""

import argparse
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean

import torch
from PIL import Image
from torch import Tensor

from captum_featinv import CodeInversion, FeatureMapInversion, Recipe
from captum_featinv.codes import live_filters
from captum_featinv.images.denoise import total_variation_denoise
from captum_featinv.images.display import to_image, to_picture
from captum_featinv.images.sheet import contact_sheet
from captum_featinv.inversion.report import Report
from captum_featinv.models import LoadedModel, load_model
from captum_featinv.network.reading import read_code
from captum_featinv.studies.excitation import dreamlens, maximisation
from tests.benchmarks import figures, grid
from tests.benchmarks.pictures import Made, Maker, Method, Task
from tests.benchmarks.recipe_book import BOOK
from tests.benchmarks.rivals import accentuation, maco, one_by_one

SMOOTH = Recipe.smooth()
_AUTHORS = Recipe.paper(denoise=None)
_WEIGHT = Recipe.paper().denoise or 0.0
# Filters in one forward where the caller of an inversion names no number.
_BATCH = 8


def _textures(recipe: Recipe, task: Task, steps: int | None) -> Tensor:
    """Feature map inversion, (filters, photos, 3, H, W)."""
    normalization = task.loaded.normalization
    fmi = FeatureMapInversion(
        task.loaded.model,
        task.layer,
        mean=normalization.mean,
        std=normalization.std,
        recipe=recipe,
    )
    found = fmi.attribute(task.inputs, list(task.filters), n_steps=steps, seed=task.seed)
    return _shown(task, found.movedim(1, 0))


def _inverted(task: Task, steps: int | None) -> Tensor:
    """Plain code inversion, (1, photos, 3, H, W)."""
    normalization = task.loaded.normalization
    method = CodeInversion(
        task.loaded.model, task.layer, mean=normalization.mean, std=normalization.std
    )
    found: Tensor = method.attribute(task.inputs, n_steps=steps, seed=task.seed)
    return _shown(task, found[None])


def _shown(task: Task, found: Tensor) -> Tensor:
    return (
        task.loaded.normalization.to_display(found.flatten(0, 1)).clamp(0, 1).reshape(found.shape)
    )


def _inversion(recipe: Recipe) -> Maker:
    return Maker(partial(_textures, recipe), together=_BATCH)


def _methods() -> dict[str, Method]:
    authors = _inversion(_AUTHORS)
    methods = {
        "ours": Method(_inversion(Recipe.default())),
        "ours before": Method(_inversion(BOOK["before"]())),
        "ours, smooth": Method(_inversion(SMOOTH)),
        "authors": Method(authors, partial(total_variation_denoise, weight=_WEIGHT)),
        "authors, not denoised": Method(authors),
        "code inversion": Method(Maker(_inverted, per_filter=False)),
    }
    if find_spec("lucent"):
        methods["Lucent"] = Method(Maker(one_by_one(maximisation)))
    if find_spec("dreamlens"):
        methods["DreamLens maximise"] = Method(Maker(one_by_one(dreamlens)))
        methods["DreamLens MaCo"] = Method(Maker(one_by_one(maco)))
        methods["DreamLens accentuation"] = Method(Maker(one_by_one(accentuation, of_photo=True)))
    return methods


METHODS: dict[str, Method] = _methods()


def measured(
    loaded: LoadedModel, layer: str, filters: Sequence[int], photos: Tensor, images: Tensor
) -> Report:
    """A record a photo and filter, photos first, of pictures (filters, photos, 3, H, W)."""
    normalization = loaded.normalization
    fmi = FeatureMapInversion(loaded.model, layer, mean=normalization.mean, std=normalization.std)
    rows = images.movedim(0, 1)
    given = normalization.to_model(rows.flatten(0, 1)).reshape(rows.shape)
    return fmi.report(given, normalization.to_model(photos), list(filters))


# --- the command ---------------------------------------------------------------------------------


def _compare(options: argparse.Namespace) -> None:
    weights = ("hed", "average") if options.model == "vgg16" else ()
    loaded = load_model(options.model, *weights)
    layer = options.layer
    if options.model == "vgg16" and layer in grid.LAYERS:
        layer = grid.LAYERS[layer]
    photos = torch.cat(
        [grid.photo(name, options.size) for name in list(grid.PHOTOS)[: options.photos]]
    )
    code = read_code(loaded.model, layer, loaded.normalization.to_model(photos))
    filters = live_filters(code, options.filters)
    print(f"{loaded.description}, {layer}, {options.size} px, filters {filters}")
    columns, captions = {}, {}
    for name in options.methods:
        made = METHODS[name].pictures(
            loaded, layer, filters, photos, seconds=options.seconds, seed=options.seed
        )
        report = measured(loaded, layer, filters, photos, made.images)
        print(_line(name, made, report), flush=True)
        columns[name] = made.images[:, 0]
        captions[name] = [f"{one.share:.1%}, rank {one.rank}" for one in report[: len(filters)]]
    options.out.mkdir(parents=True, exist_ok=True)
    budget = "own" if options.seconds is None else f"{options.seconds:g}s"
    path = options.out / f"{options.model}-{options.layer}-{options.size}-{budget}.png"
    sheet(filters, columns, captions).save(path)
    print(f"wrote {path}")


def _line(name: str, made: Made, report: Report) -> str:
    share = figures.mean([one.share for one in report])
    robust = figures.mean([one.robust_share for one in report])
    rank = fmean(one.rank for one in report)
    steps = "own" if made.steps is None else made.steps
    return (
        f"{name:24} share {share:.4f}  robust {robust:.4f}  rank {rank:5.1f}  "
        f"{made.seconds:7.2f} s of a core a picture, {steps} steps"
    )


def sheet(
    filters: Sequence[int], columns: dict[str, Tensor], captions: dict[str, list[str]]
) -> Image.Image:
    """A row a filter, a column a method, of the first photo."""

    def row(number: int) -> Iterator[Image.Image]:
        return (to_picture(to_image(column[number], mean=None)) for column in columns.values())

    return contact_sheet(
        [list(row(number)) for number in range(len(filters))],
        [f"filter {k}" for k in filters],
        [name.replace(" ", "\n", 1) for name in columns],
        [list(texts) for texts in zip(*captions.values(), strict=True)],
        cell=120,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="methods", description=__doc__)
    parser.add_argument("--model", default="vgg16", choices=("vgg16", "efficientnet_lite0"))
    parser.add_argument("--layer", required=True, help="relu3_2 and the like, or a module's name")
    parser.add_argument("--filters", type=int, default=4)
    parser.add_argument("--photos", type=int, default=1, choices=(1, 2, 3))
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument(
        "--seconds", type=float, help="a picture; by default each method's own number of steps"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS, metavar="M")
    parser.add_argument("--out", type=Path, default=Path(".benchmarks/methods"))
    _compare(parser.parse_args())


if __name__ == "__main__":
    main()
