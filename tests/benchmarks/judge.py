"""Judge methods by what their pictures tell about a filter: `python -m tests.benchmarks.judge --help`.

Two-choice trials (`captum_featinv.studies.claims.telling`) with natural patches, none of a
photo that the picture at hand was made from. The pictures of every cell (size, layer, method)
are written when they are done, so a run that was stopped goes on where it was.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from statistics import geometric_mean, median
from time import perf_counter

import skimage.data
import torch
from PIL import Image
from torch import Tensor

from captum_featinv import FeatureMapInversion
from captum_featinv.codes import live_filters
from captum_featinv.images.display import as_saved
from captum_featinv.images.files import central_square, from_picture
from captum_featinv.metrics.table import as_table
from captum_featinv.models import LoadedModel, load_model
from captum_featinv.network.reading import read_code
from captum_featinv.studies.claims.similarity import another_network
from captum_featinv.studies.claims.telling import CANNOT_TELL, Queries, Telling

LAYERS = {
    "vgg16": {"relu2_2": "features.8", "relu3_2": "features.13", "relu4_2": "features.20"},
    "lite0": {name: name for name in ("_blocks.2", "_blocks.4", "_blocks.7")},
}
# Pictures are made from the first. Queries are patches of all: a picture is not asked about its photo.
PHOTOS = ("astronaut", "coffee", "chelsea")
OTHERS = ("rocket", "hubble_deep_field", "immunohistochemistry", "retina", "stereo_motorcycle")
QUERY_SIZE = 320
FLOOR = 1e-6  # of a geometric mean: a share of 0 counts as this


@dataclass(frozen=True)
class Made:
    """Pictures of a method as an 8-bit file keeps them, (filters, photos, 3, H, W)."""

    images: Tensor
    seconds: float
    """a picture"""


@dataclass(frozen=True)
class Method:
    """How a method makes its pictures."""

    make: Callable[[LoadedModel, str, list[int], Tensor, int], Tensor]

    def pictures(
        self,
        loaded: LoadedModel,
        layer: str,
        filters: list[int],
        photos: Tensor,
        *,
        seconds: float | None,
        seed: int,
    ) -> Made:
        """Of each filter from each photo, displayable.

        `seconds` is a budget a picture, None the method's own default; this one takes no budget.
        """
        if seconds is not None:
            raise ValueError("this method takes no budget; leave --seconds out")
        begin = perf_counter()
        images = self.make(loaded, layer, filters, photos, seed)
        return Made(images, (perf_counter() - begin) / images.shape[:2].numel())


def inversion(
    loaded: LoadedModel, layer: str, filters: list[int], photos: Tensor, seed: int
) -> Tensor:
    """Feature map inversion, from every photo with a seed of its own."""
    normalization = loaded.normalization
    fmi = FeatureMapInversion(loaded.model, layer, mean=normalization.mean, std=normalization.std)
    inputs = normalization.to_model(photos)
    rows = [fmi.attribute(one[None], filters, seed=seed + i)[0] for i, one in enumerate(inputs)]
    shown = as_saved(normalization.to_display(torch.cat(rows)))
    return shown.reshape(len(photos), len(filters), *photos.shape[1:]).transpose(0, 1)


METHODS: dict[str, Method] = {"inversion": Method(inversion)}


@cache
def network(name: str) -> LoadedModel:
    return (
        load_model("vgg16", "hed", "average")
        if name == "vgg16"
        else load_model("efficientnet_lite0")
    )


def photographs(names: tuple[str, ...], size: int) -> Tensor:
    """Central squares of scikit-image's photos, displayable, (photos, 3, size, size)."""
    found = [getattr(skimage.data, name)() for name in names]
    arrays = [one[0] if isinstance(one, tuple) else one for one in found]  # a pair for two eyes
    squares = [central_square(Image.fromarray(array)) for array in arrays]
    return torch.cat([from_picture(square, size) for square in squares])


def queries_from() -> Tensor:
    """The photos of the queries: scikit-image's, and what others bring along where installed.

    The first are those that pictures are made from.
    """
    photos = [photographs((*PHOTOS, *OTHERS), QUERY_SIZE)]
    for package, read in (("sklearn", _of_sklearn), ("matplotlib", _of_matplotlib)):
        if find_spec(package):
            squares = [central_square(picture) for picture in read()]
            photos += [from_picture(square, QUERY_SIZE) for square in squares]
    return torch.cat(photos)


def _of_sklearn() -> list[Image.Image]:
    from sklearn.datasets import load_sample_images

    return [Image.fromarray(array) for array in load_sample_images().images]


def _of_matplotlib() -> list[Image.Image]:
    from matplotlib.cbook import get_sample_data

    with get_sample_data("grace_hopper.jpg") as file:
        return [Image.open(file).convert("RGB")]


@dataclass(frozen=True)
class Cell:
    """Where methods are compared."""

    network: str
    layer: str
    filters: list[int]
    photos: Tensor

    @property
    def module(self) -> str:
        return LAYERS[self.network][self.layer]

    def made(self, out: Path, method: str, seconds: float | None) -> Made:
        """A method's pictures, from disk if they were made before."""
        size, count = self.photos.shape[-1], len(self.filters)
        words = (self.network, self.layer, size, f"{count}of{len(self.photos)}", method, seconds)
        path = out / f"{'-'.join(map(str, words))}.pt"
        if path.exists():
            kept = torch.load(path, weights_only=True)
            return Made(kept["images"].float() / 255, kept["seconds"])
        loaded = network(self.network)
        made = METHODS[method].pictures(
            loaded, self.module, self.filters, self.photos, seconds=seconds, seed=0
        )
        kept = {"images": (255 * made.images).round().byte(), "seconds": made.seconds}
        torch.save(kept, path)
        return made

    def shares(self, images: Tensor) -> tuple[float, float, float]:
        """Share, robust share and median rank of the filters in their pictures."""
        loaded = network(self.network)
        mean, std = loaded.normalization.mean, loaded.normalization.std
        fmi = FeatureMapInversion(loaded.model, self.module, mean=mean, std=std)
        inputs = loaded.normalization.to_model(self.photos)
        shown = loaded.normalization.to_model(images.transpose(0, 1).flatten(0, 1))
        textures = shown.reshape(images.transpose(0, 1).shape)
        records = fmi.report(textures, inputs, self.filters).to_dicts()
        share, robust = (
            geometric_mean(max(one[key], FLOOR) for one in records)
            for key in ("share", "robust_share")
        )
        return share, robust, median(one["rank"] for one in records)


HEAD = ("layer", "method", "told", "margin", "plain", "share", "robust", "rank", "seconds", "so?")


def figures_of(cell: Cell, name: str, made: Made, told: Telling) -> list[str]:
    """A method's line in the table."""
    share, robust, rank = cell.shares(made.images)
    figures = [f"{told.margin.value:.3f}", str(told.plain), f"{share:.4f}", f"{robust:.4f}"]
    last = [f"{rank:.1f}", f"{made.seconds:.2f}", told.verdict]
    return [cell.layer, name, str(told.accuracy), *figures, *last]


def controls_of(layer: str, told: dict[str, Telling]) -> Iterator[list[str]]:
    """What natural patches tell, and what another filter's pictures do."""
    yield [layer, "(natural patches)", str(next(iter(told.values())).natural), *["-"] * 7]
    for name, one in told.items():
        yield [layer, f"(another's, {name})", str(one.other), "-", str(one.plain_other), *["-"] * 5]


def compare(options: argparse.Namespace) -> None:
    """Make what is not yet there, ask, and print the table and who wins."""
    options.out.mkdir(parents=True, exist_ok=True)
    loaded, natural = network(options.network), queries_from()
    photos = photographs(PHOTOS[: options.photos], options.size)
    similarity = another_network(loaded)
    print(f"{loaded.description}, judged by {similarity.description}; {len(natural)} photos")
    table: list[list[str]] = []
    found: dict[str, dict[str, Telling]] = {}
    for layer in options.layers or LAYERS[options.network]:
        module = LAYERS[options.network][layer]
        seen = loaded.normalization.to_model(natural[: options.photos])
        filters = live_filters(read_code(loaded.model, module, seen), options.filters)
        cell = Cell(options.network, layer, filters, photos)
        queries = Queries(loaded, module, filters, natural, similarity, seed=0, size=options.size)
        found[layer] = {}
        for name in options.methods:
            made = cell.made(options.out, name, options.seconds)
            found[layer][name] = queries.ask(made.images, from_these_photos=True)
            table.append(figures_of(cell, name, made, found[layer][name]))
        table.extend(controls_of(layer, found[layer]))
        print(f"{layer}: {len(filters)} filters", flush=True)
    print(as_table(HEAD, table, words=2))
    print(*(f"{layer}: {winner(told)}" for layer, told in found.items()), sep="\n")
    kept = {
        layer: {name: asdict(one) for name, one in told.items()} for layer, told in found.items()
    }
    (options.out / f"{options.network}-{options.size}.json").write_text(json.dumps(kept, indent=1))


def winner(told: dict[str, Telling]) -> str:
    """Who is told most often; nobody where the judge cannot tell or intervals reach into each other."""
    asked = {name: one for name, one in told.items() if one.verdict != CANNOT_TELL}
    if not asked:
        return CANNOT_TELL
    first, *rest = sorted(asked.items(), key=lambda entry: -entry[1].accuracy.value)
    if rest and rest[0][1].accuracy.high >= first[1].accuracy.low:
        return f"{first[0]} is told most often, within the interval of {rest[0][0]}"
    return f"{first[0]} wins"


def main() -> None:
    parser = argparse.ArgumentParser(prog="judge", description=__doc__)
    parser.add_argument("--network", default="vgg16", choices=LAYERS)
    parser.add_argument("--layers", nargs="+", metavar="L", help="default: all of the network's")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--filters", type=int, default=12)
    parser.add_argument("--photos", type=int, default=2, choices=(1, 2, 3))
    parser.add_argument("--seconds", type=float, help="a picture; default: what each method takes")
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--out", type=Path, default=Path(".benchmarks/judge"))
    compare(parser.parse_args())


if __name__ == "__main__":
    main()
