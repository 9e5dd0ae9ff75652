"""Judge recipes by the pictures that they save: `python -m tests.benchmarks.recipes --help`.

Every cell of the grid (pooling, size, layer, photo, recipe) is written when it is done, so a run
that was stopped goes on where it was. At its end come a table and a contact sheet a size and pooling.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from statistics import fmean, geometric_mean, median
from time import perf_counter
from typing import Any

import numpy as np
import skimage.data
import torch
from PIL import Image
from torch import Tensor
from torch.optim import Optimizer

from captum_featinv import FeatureMapInversion, Recipe
from captum_featinv.codes import live_filters
from captum_featinv.images.display import to_picture
from captum_featinv.images.files import from_picture
from captum_featinv.images.sheet import contact_sheet
from captum_featinv.models import LoadedModel, load_model
from tests.benchmarks.recipe_book import BOOK
from tests.benchmarks.transfer import accuracy

LAYERS = {"relu1_2": 3, "relu2_2": 8, "relu3_2": 13, "relu4_2": 20, "relu5_2": 27}
PHOTOS = {
    "astronaut": 0,
    "coffee": 60,
    "chelsea": 100,
}  # and where the square begins, from the left
FLOOR = 1e-6  # of a geometric mean: a share of 0 counts as this
BLANK_COVERAGE, BLANK_CONTRAST = 0.05, 0.02


@dataclass(frozen=True)
class Setting:
    """Where recipes are compared."""

    pooling: str
    size: int
    layer: str
    photos: tuple[str, ...]
    filters: int


@cache
def network(pooling: str) -> LoadedModel:
    return load_model("vgg16", "hed", pooling)  # type: ignore[arg-type]


@cache
def photo(name: str, size: int) -> Tensor:
    """A square photo, displayable, (1, 3, size, size)."""
    picture = Image.fromarray(getattr(skimage.data, name)())
    side, left = min(picture.size), PHOTOS[name]
    return from_picture(picture.crop((left, 0, left + side, side)), size)


@cache
def chosen(setting: Setting) -> list[int]:
    """Seeded random filters that are live on every photo."""
    loaded = network(setting.pooling)
    inputs = torch.cat([photo(name, setting.size) for name in setting.photos])
    with torch.no_grad():
        code = loaded.model.features[: LAYERS[setting.layer] + 1](
            loaded.normalization.to_model(inputs)
        )
    return live_filters(code, setting.filters)


def counted(recipe: Recipe) -> tuple[Recipe, list[int]]:
    """The recipe, and how many steps each batch took as it runs."""
    steps: list[int] = []

    def optimizer(parameters: list[Tensor]) -> Optimizer:
        made = recipe.optimizer(parameters)
        if parameters[0].dim() < 2:  # only asked what kind it is
            return made
        steps.append(0)

        def count(*_: Any) -> None:
            steps[-1] += 1

        made.register_step_post_hook(count)
        return made

    return replace(recipe, optimizer=optimizer), steps


def run(setting: Setting, photo_name: str, recipe: Recipe) -> tuple[dict[str, Any], Image.Image]:
    """One cell: its figures, and its pictures side by side."""
    loaded, filters = network(setting.pooling), chosen(setting)
    inputs = loaded.normalization.to_model(photo(photo_name, setting.size))
    recipe, steps = counted(recipe)
    module = loaded.model.features[LAYERS[setting.layer]]
    fmi = FeatureMapInversion(loaded.model, module, recipe=recipe)
    begin = perf_counter()
    textures = fmi.attribute(inputs, filters)
    seconds = perf_counter() - begin
    records = fmi.report(textures, inputs, filters).to_dicts()
    strip = to_picture(np.concatenate(list(fmi.to_image(textures[0])), axis=1))
    return {"records": records, "seconds": seconds, "steps": fmean(steps)}, strip


def cell(
    out: Path, setting: Setting, photo_name: str, name: str
) -> tuple[dict[str, Any], Image.Image]:
    """One cell, from disk if it was run before."""
    words = (
        setting.pooling,
        setting.size,
        setting.layer,
        f"{setting.filters}of{len(setting.photos)}",
    )
    stem = "-".join(map(str, (*words, photo_name, name.replace(" ", "_"))))
    figures, picture = out / f"{stem}.json", out / f"{stem}.png"
    if not figures.exists():
        result, strip = run(setting, photo_name, BOOK[name]())
        strip.save(picture)
        figures.write_text(json.dumps(result))
    with Image.open(picture) as strip:
        return json.loads(figures.read_text()), strip.copy()


def is_blank(coverage: float, contrast: float) -> bool:
    """Whether the filter fires next to nowhere, or all pixels of its picture are next to alike."""
    return coverage < BLANK_COVERAGE or contrast < BLANK_CONTRAST


def mean(values: Sequence[float]) -> float:
    return geometric_mean(max(value, FLOOR) for value in values)


def summary(cells: Sequence[dict[str, Any]], pictures: Tensor) -> dict[str, float]:
    """The figures of a recipe at a layer, every filter and photo counted."""
    records = [record for one in cells for record in one["records"]]
    column = {key: [record[key] for record in records] for key in records[0]}
    blank = map(is_blank, column["coverage"], column["contrast"])
    return {
        "robust": mean(column["robust_share"]),
        "share": mean(column["share"]),
        "attained": mean(column["attained"]),
        "lift": median(float("inf") if v is None else v for v in column["lift"]),
        "rank": median(column["rank"]),
        "coverage": median(column["coverage"]),
        "contrast": fmean(column["contrast"]),
        "colours": median(column["colours"]),
        "blank": sum(blank),
        "transfer": accuracy(pictures) if len(pictures) > 1 else float("nan"),
        "seconds": sum(one["seconds"] for one in cells),
        "steps": fmean(one["steps"] for one in cells),
    }


FORMATS = {
    "robust": "9.4f", "share": "9.4f", "attained": "9.4f", "lift": "8.1f", "rank": "6.1f",
    "coverage": "9.2f", "contrast": "9.2f", "colours": "8.1f", "blank": "6.0f",
    "transfer": "9.2f", "seconds": "9.1f", "steps": "7.0f",
}  # fmt: skip


def tables(found: dict[tuple[str, str], dict[str, float]], names: Sequence[str]) -> Iterator[str]:
    """Figures, and then each recipe beside the first of them."""
    layers = list(dict.fromkeys(layer for layer, _ in found))
    width = max(map(len, names)) + 2
    yield f"{'':9}{'':{width}}" + "".join(f"{key:>{_width(f)}}" for key, f in FORMATS.items())
    for layer in layers:
        for name in names:
            figures = found[layer, name]
            cells = "".join(f"{figures[key]:{form}}" for key, form in FORMATS.items())
            yield f"{layer:9}{name:{width}}{cells}"
    against = "paper" if "paper" in names else names[0]
    yield f"\nratios to {against!r}: robust share | attained | share | seconds, and over all layers"
    for name in names:
        ratios = {
            key: [found[layer, name][key] / found[layer, against][key] for layer in layers]
            for key in ("robust", "attained", "share", "seconds")
        }
        parts = [
            " ".join(f"{r:6.2f}" for r in values) + f" ={geometric_mean(values):6.2f}"
            for values in ratios.values()
        ]
        yield f"{name:{width}}" + " | ".join(parts)


def _width(form: str) -> int:
    return int(form.split(".", maxsplit=1)[0])


def split(strip: Image.Image) -> Tensor:
    """The pictures of a strip, (filters, 3, size, size)."""
    array = torch.from_numpy(np.asarray(strip).copy()).permute(2, 0, 1) / 255
    return torch.stack(array.split(array.shape[1], dim=2))


def judge(options: argparse.Namespace) -> None:
    """Fill the grid, print its tables, draw its sheets."""
    options.out.mkdir(parents=True, exist_ok=True)
    photos = tuple(list(PHOTOS)[: options.photos])
    for pooling, size in product(options.poolings, options.sizes):
        found, strips = {}, {}
        for layer, name in product(options.layers, options.recipes):
            setting = Setting(pooling, size, layer, photos, options.filters)
            cells, pictures = zip(
                *(cell(options.out, setting, one, name) for one in photos), strict=True
            )
            found[layer, name] = summary(cells, torch.stack([split(p) for p in pictures]))
            strips[layer, name] = pictures[0]
            print(f"{layer} {name}: {found[layer, name]['seconds']:.1f} s", flush=True)
        print(
            f"\n{pooling} pooling, {size} px, {len(photos)} photos, {options.filters} filters a layer"
        )
        print(*tables(found, options.recipes), sep="\n", flush=True)
        sheet = contact_sheet(
            [
                [to_picture(one.permute(1, 2, 0).numpy()) for one in split(s)]
                for s in strips.values()
            ],
            [f"{layer}\n{name}" for layer, name in strips],
            [],
        )
        sheet.save(options.out / f"sheet-{pooling}-{size}.png")


def main() -> None:
    parser = argparse.ArgumentParser(prog="recipes", description=__doc__)
    parser.add_argument(
        "--full", action="store_true", help="12 filters, 3 photos, 2 sizes, 2 poolings"
    )
    parser.add_argument(
        "--recipes", nargs="+", default=["default", "paper"], choices=BOOK, metavar="R"
    )
    parser.add_argument("--layers", nargs="+", default=list(LAYERS), choices=LAYERS)
    parser.add_argument("--photos", type=int, default=1, choices=(1, 2, 3))
    parser.add_argument("--filters", type=int, default=6)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128])
    parser.add_argument("--poolings", nargs="+", default=["average"], choices=("average", "max"))
    parser.add_argument("--out", type=Path, default=Path(".benchmarks/recipes"))
    options = parser.parse_args()
    if options.full:
        options.photos, options.filters = 3, 12
        options.sizes, options.poolings = [128, 224], ["average", "max"]
    if "paper" not in options.recipes:
        options.recipes.append("paper")
    judge(options)


if __name__ == "__main__":
    main()
