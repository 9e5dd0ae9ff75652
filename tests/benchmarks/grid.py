"""The cells in which recipes are compared: a network, a layer, a photo, filters, a recipe."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from statistics import fmean
from time import process_time
from typing import Any

import numpy as np
import skimage.data
import torch
from PIL import Image
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from captum_featinv import FeatureMapInversion, Recipe
from captum_featinv.images.denoise import total_variation_denoise
from captum_featinv.images.display import to_picture
from captum_featinv.images.files import from_picture
from captum_featinv.models import LoadedModel, load_model
from captum_featinv.network import read_code
from tests.benchmarks.recipe_book import BOOK
from tests.benchmarks.strata import draw

PAPER, NOT_DENOISED = "paper", "paper, not denoised"
AUTHORS = (NOT_DENOISED, PAPER)  # one run, two rows
PHOTOS = {"astronaut": 0, "coffee": 60, "chelsea": 100}  # where the square begins, from the left


@dataclass(frozen=True)
class Network:
    """A network with weights, its layers by what they are called, and who else judges its pictures.

    The deepest layers leave room for two places at every edge of the code of an image of 144 pixels.
    """

    load: Callable[[str], LoadedModel]
    layers: dict[str, str]
    judge: str = "efficientnet_lite0"
    poolings: tuple[str, ...] = ("none",)
    size: int = 144


def _blocks(*numbers: int) -> dict[str, str]:
    return {f"_blocks.{number}": f"_blocks.{number}" for number in numbers}


_CONVOLUTIONS = {"relu1_2": 3, "relu2_2": 8, "relu3_2": 13, "relu4_2": 20, "relu5_2": 27}
NETWORKS = {
    "vgg16": Network(
        lambda pooling: load_model("vgg16", "hed", pooling),  # type: ignore[arg-type]
        {name: f"features.{number}" for name, number in _CONVOLUTIONS.items()},
        poolings=("average", "max"),
        size=128,
    ),
    "lite0": Network(
        lambda _: load_model("efficientnet_lite0"), _blocks(2, 6, 10), judge="efficientnet_lite2"
    ),
    "lite2": Network(lambda _: load_model("efficientnet_lite2"), _blocks(3, 9, 14)),
}
LAYERS = NETWORKS["vgg16"].layers


@dataclass(frozen=True)
class Setting:
    """Where recipes are compared."""

    network: str
    pooling: str
    size: int
    layer: str
    photos: tuple[str, ...]
    filters: int
    stratum: str = "any"
    draw: int = 0

    @property
    def loaded(self) -> LoadedModel:
        return loaded(self.network, self.pooling)

    @property
    def module(self) -> str:
        """The layer's dotted name."""
        return NETWORKS[self.network].layers[self.layer]

    @property
    def key(self) -> str:
        """All that the draw of filters and the pictures depend on, but for photo and recipe."""
        words = (self.network, self.pooling, self.size, self.layer, f"{len(self.photos)}_photos")
        drawn = f"{self.filters}_{self.stratum}", f"draw_{self.draw}"
        return "-".join(map(str, (*words, *drawn)))


@cache
def loaded(network: str, pooling: str) -> LoadedModel:
    return NETWORKS[network].load(pooling)


@cache
def photo(name: str, size: int) -> Tensor:
    """A square photo, displayable, (1, 3, size, size)."""
    picture = Image.fromarray(getattr(skimage.data, name)())
    side, left = min(picture.size), PHOTOS[name]
    return from_picture(picture.crop((left, 0, left + side, side)), size)


@cache
def chosen(setting: Setting, photo_name: str) -> list[int]:
    """The filters of a cell; fewer than it asks for where there are not more.

    Any filters are the same for all photos; which are faint, a photo says for itself: in low layers
    hardly one is so in several.
    """
    names = (photo_name,) if setting.stratum == "faint" else setting.photos
    inputs = torch.cat([photo(name, setting.size) for name in names])
    model, space = setting.loaded.model, setting.loaded.normalization
    code = read_code(model, setting.module, space.to_model(inputs))
    return draw(code, setting.stratum, setting.filters, setting.draw)


def counted(recipe: Recipe) -> tuple[Recipe, list[int]]:
    """The recipe, and how many steps each batch took as it runs."""
    steps: list[int] = []

    def schedule(optimizer: Optimizer, n_steps: int) -> LRScheduler:
        steps.append(0)

        def count(*_: Any) -> None:
            steps[-1] += 1

        optimizer.register_step_post_hook(count)
        made = recipe.schedule or (lambda one, _: LambdaLR(one, lambda _: 1.0))
        return made(optimizer, n_steps)

    return replace(recipe, schedule=schedule), steps


@dataclass(frozen=True)
class Cell:
    """What a recipe made of a photo: displayable pictures, (filters, 3, size, size), and figures."""

    pictures: Tensor
    records: list[dict[str, Any]] = field(repr=False)
    seconds: float
    steps: float


def run(setting: Setting, photo_name: str, recipe: Recipe) -> Cell:
    """One cell, not yet on disk."""
    space, filters = setting.loaded.normalization, chosen(setting, photo_name)
    inputs = space.to_model(photo(photo_name, setting.size))
    recipe, steps = counted(recipe)
    fmi = FeatureMapInversion(setting.loaded.model, setting.module, recipe=recipe)
    begin = process_time()  # the processor's, so that other work on the machine hardly counts
    textures = fmi.attribute(inputs, filters)
    seconds = (process_time() - begin) / torch.get_num_threads()
    taken = fmean(filter(None, steps))  # an optimizer that takes none was only looked at
    return _measured(setting, photo_name, space.to_display(textures[0]), seconds, taken)


def authors(setting: Setting, photo_name: str, **changes: Any) -> dict[str, Cell]:
    """The paper's recipe before and after its last step, of one run.

    It is what `Recipe.paper` gives, but for a picture in which the last step leaves the filter
    silent: this is shown as it is, and not as a start image.
    """
    before = run(setting, photo_name, Recipe.paper(denoise=None, **changes))
    weight = Recipe.paper(**changes).denoise
    assert weight is not None
    pictures = total_variation_denoise(before.pictures.clamp(0, 1), weight)
    after = _measured(setting, photo_name, pictures, before.seconds, before.steps)
    return dict(zip(AUTHORS, (before, after), strict=True))


def _measured(
    setting: Setting, photo_name: str, pictures: Tensor, seconds: float, steps: float
) -> Cell:
    space = setting.loaded.normalization
    inputs, shown = (space.to_model(x) for x in (photo(photo_name, setting.size), pictures))
    fmi = FeatureMapInversion(setting.loaded.model, setting.module)
    records = fmi.report(shown[None], inputs, chosen(setting, photo_name)).to_dicts()
    return Cell(pictures, records, seconds, steps)


def cell(out: Path, setting: Setting, photo_name: str, name: str) -> Cell:
    """One cell, from disk if it was run before."""
    if not _figures(out, setting, photo_name, name).exists():
        if name in AUTHORS:
            made = authors(setting, photo_name)
        else:
            made = {name: run(setting, photo_name, BOOK[name]())}
        for each, one in made.items():
            _write(one, _figures(out, setting, photo_name, each))
    return _read(_figures(out, setting, photo_name, name))


def _figures(out: Path, setting: Setting, photo_name: str, name: str) -> Path:
    return out / f"{setting.key}-{photo_name}-{name.replace(' ', '_')}.json"


def _write(one: Cell, path: Path) -> None:
    """The pictures side by side, and last, for it says that the cell is done, the figures."""
    array = one.pictures.clamp(0, 1).permute(0, 2, 3, 1).numpy()
    to_picture(np.concatenate(list(array), axis=1)).save(path.with_suffix(".png"))
    figures = {"records": one.records, "seconds": one.seconds, "steps": one.steps}
    path.write_text(json.dumps(figures))


def _read(path: Path) -> Cell:
    with Image.open(path.with_suffix(".png")) as strip:
        array = torch.from_numpy(np.asarray(strip).copy()).permute(2, 0, 1) / 255
    pictures = torch.stack(array.split(array.shape[1], dim=2))
    return Cell(pictures, **json.loads(path.read_text()))
