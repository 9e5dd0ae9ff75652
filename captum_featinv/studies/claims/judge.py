"""Who says how alike two textures are: somebody who did not make them.

A picture is made for one layer, so that layer would find what it put there, even if nobody else
could see it. A judge describes pictures by the Gram matrices of something else, each scaled to length
1; the distance of two pictures is that of their descriptions.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from captum_featinv.errors import ArgumentError
from captum_featinv.models import LoadedModel
from captum_featinv.network.reading import read_code

_FILTERS = 64
_WINDOW = 7
_SCALES = 4
_ROWS_AT_ONCE = 8


class Judge(Protocol):
    """From displayable images (rows, 3, H, W) to descriptions (rows, features)."""

    @property
    def description(self) -> str:
        """Who it is, in words."""
        ...

    def describe(self, images: Tensor) -> Tensor:
        """The descriptions, each of about length 1.

        Args:
            images: displayable, (rows, 3, H, W).

        Returns:
            (rows, features).
        """
        ...


@dataclass(frozen=True)
class RandomJudge:
    """A layer of random filters that looks at four scales; it was trained for nothing.

    Gram matrices of one layer of random filters of several sizes are good textures
    (Ustyuzhaninov et al. 2016, arXiv 1606.00021); here the filters are 7 x 7 and the image is halved.
    It is the same for every network, layer and seed, so that figures can be compared.

    Args:
        description: who it is, in words.
    """

    description: str = "random filters at four scales, the same for every network"

    def describe(self, images: Tensor) -> Tensor:
        """One Gram matrix a scale, as far as the image is large enough.

        Args:
            images: displayable, (rows, 3, H, W), of 7 pixels or more a side.

        Returns:
            (rows, features), of length 1.

        Raises:
            ArgumentError: the images are smaller.
        """
        dice = torch.Generator("cpu").manual_seed(0)
        shape = (_FILTERS, 3, _WINDOW, _WINDOW)
        filters = torch.randn(shape, generator=dice, device="cpu").to(images)
        parts: list[Tensor] = []
        image = images - 0.5
        while len(parts) < _SCALES and min(image.shape[-2:]) >= _WINDOW:
            parts.append(_gram(functional.conv2d(image, filters).relu()))
            image = functional.avg_pool2d(image, 2)
        if not parts:
            raise ArgumentError(
                f"the judge looks at {_WINDOW} x {_WINDOW} pixels, the pictures have only "
                f"{tuple(images.shape[2:])}; make larger ones"
            )
        described: Tensor = torch.cat(parts, dim=1) / math.sqrt(len(parts))
        return described


@dataclass(frozen=True)
class LayerJudge:
    """Another layer of the network at hand, or a layer of another network.

    Args:
        loaded: the network.
        layer: its name; none of those whose pictures are judged.
    """

    loaded: LoadedModel
    layer: str

    @property
    def description(self) -> str:
        """The layer and its network."""
        return f"layer {self.layer} of {self.loaded.description}"

    def describe(self, images: Tensor) -> Tensor:
        """The layer's Gram matrix.

        Args:
            images: displayable, (rows, 3, H, W).

        Returns:
            (rows, channel * channel), of length 1.
        """
        inputs = self.loaded.normalization.to_model(images)
        return _gram(read_code(self.loaded.model, self.layer, inputs))


def distances(judge: Judge, images: Tensor, others: Tensor | None = None) -> Tensor:
    """How different pictures are, for the measures of `captum_featinv.metrics.identity`.

    Args:
        judge: who says so.
        images: displayable, (filters, photos, 3, H, W).
        others: what they are compared with, likewise; themselves if None.

    Returns:
        `distances[k, a, j, b]`, (filters, photos, filters, photos).
    """
    ours = _described(judge, images)
    theirs = ours if others is None else _described(judge, others)
    # The faster mode finds pictures at some distance from themselves.
    exact = torch.cdist(ours, theirs, compute_mode="donot_use_mm_for_euclid_dist")
    other_shape = images.shape[:2] if others is None else others.shape[:2]
    return exact.reshape(*images.shape[:2], *other_shape)


@torch.no_grad()
def _described(judge: Judge, images: Tensor) -> Tensor:
    chunks = torch.split(images.flatten(0, 1), _ROWS_AT_ONCE)
    return torch.cat([judge.describe(rows) for rows in chunks])


def _gram(code: Tensor) -> Tensor:
    """A Gram matrix of length 1 a row, (rows, channel * channel); 0 where nothing fires."""
    maps = code.reshape(*code.shape[:2], -1)
    return functional.normalize((maps @ maps.transpose(1, 2)).flatten(1), dim=1)
