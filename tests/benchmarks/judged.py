"""Where methods are judged: filters of a layer, photos, and each method's pictures kept on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import NamedTuple

import skimage.data
import torch
from PIL import Image
from torch import Tensor

from captum_featinv import Recipe
from captum_featinv.images.files import central_square, from_picture
from captum_featinv.models import LoadedModel, load_model
from captum_featinv.network.reading import read_code
from tests.benchmarks.figures import FLOOR
from tests.benchmarks.methods import METHODS, SMOOTH, measured
from tests.benchmarks.pictures import Made
from tests.benchmarks.transfer import accuracy

# Pictures are made from the first. Queries are patches of all: a picture is not asked about its photo.
PHOTOS = ("astronaut", "coffee", "chelsea")
OTHERS = ("rocket", "hubble_deep_field", "immunohistochemistry", "retina", "stereo_motorcycle")
QUERY_SIZE = 320


@cache
def network(name: str) -> LoadedModel:
    weights = ("hed", "average") if name == "vgg16" else ()
    return load_model("efficientnet_lite0" if name == "lite0" else name, *weights)


def photographs(names: Sequence[str], size: int) -> Tensor:
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


class Shares(NamedTuple):
    """What filters have of the layer in their pictures: logarithms, means over photos, (filters,)."""

    share: Tensor
    robust: Tensor
    blur: Tensor
    """after a blur of 2 pixels"""
    rank: float
    """the median of all pictures"""


@dataclass(frozen=True, eq=False)
class Place:
    """Filters of a layer, by a number of their draw, and displayable photos, (photos, 3, H, W)."""

    network: str
    layer: str
    """the module's dotted name"""
    draw: int
    filters: tuple[int, ...]
    photos: Tensor

    @property
    def loaded(self) -> LoadedModel:
        return network(self.network)

    @property
    def is_smooth(self) -> bool:
        """Whether ours is "ours, smooth" here, because the layer has a large stride."""
        code = read_code(
            self.loaded.model, self.layer, self.loaded.normalization.to_model(self.photos)
        )
        stride = self.photos.shape[-1] / code.shape[-1]
        return Recipe.default().suited(stride) == SMOOTH.suited(stride)

    def made(self, out: Path, method: str, seconds: float | None) -> Made:
        """A method's pictures, from disk if they were made before with as many seconds."""
        path = out / f"{self._key(method, seconds)}.pt"
        if path.exists():
            kept = torch.load(path, weights_only=True)
            return Made(kept["images"].float() / 255, kept["seconds"], kept["steps"])
        made = METHODS[method].pictures(
            self.loaded, self.layer, self.filters, self.photos, seconds=seconds, seed=0
        )
        kept = made._asdict() | {"images": (255 * made.images).round().byte()}
        torch.save(kept, path)
        return made

    def _key(self, method: str, seconds: float | None) -> str:
        counts = f"{len(self.filters)}of{len(self.photos)}"
        budget = "own" if seconds is None else f"{seconds:.4g}s"
        words = (self.network, self.layer, self.photos.shape[-1], self.draw, counts, method, budget)
        return "-".join(str(word).replace(" ", "_") for word in words)

    def shares(self, images: Tensor) -> Shares:
        report = measured(self.loaded, self.layer, self.filters, self.photos, images)
        by_photo = len(self.photos), len(self.filters)

        def logs(values: list[float]) -> Tensor:
            return torch.tensor(values).clamp(min=FLOOR).log().reshape(by_photo).mean(0)

        return Shares(
            logs([one.share for one in report]),
            logs([one.robust_share for one in report]),
            logs([one.share_blur_2 for one in report]),
            median(one.rank for one in report),
        )

    def transfer(self, images: Tensor) -> float:
        """See `transfer.accuracy`; of no meaning with a single photo."""
        if len(self.photos) < 2:
            return float("nan")
        judge = "efficientnet_lite2" if self.network == "lite0" else "efficientnet_lite0"
        return accuracy(images.transpose(0, 1), judge)
