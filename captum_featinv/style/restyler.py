"""Look for images that have a style and a content, while activations are open."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from captum_featinv.codes import channel_dim_of
from captum_featinv.errors import warn
from captum_featinv.images.display import as_saved
from captum_featinv.images.normalization import Normalization
from captum_featinv.network.activations import Activations
from captum_featinv.optimization.recipe import Images, Phase, Recipe
from captum_featinv.style.recolour import recoloured
from captum_featinv.style.target import Codes, StyleDistances, Stylization


class Look:
    """The codes of images, channels in dimension 1, at least float32; gradients flow."""

    def __init__(self, activations: Activations, layers: tuple[str, ...]) -> None:
        self._activations, self._layers = activations, layers
        self._channel_dims: dict[str, int] = {}

    def __call__(self, inputs: Tensor) -> Codes:
        """The code of every layer."""
        self._activations.run(inputs)
        return {layer: self._code(layer, inputs) for layer in self._layers}

    def _code(self, layer: str, inputs: Tensor) -> Tensor:
        code = self._activations(layer)
        if layer not in self._channel_dims:
            self._channel_dims[layer] = channel_dim_of(code, inputs, layer)
        code = code.movedim(self._channel_dims[layer], 1)
        return code if code.dtype == torch.float64 else code.float()


@dataclass
class Painter:
    """Restyles images, some at a time, from coarse to fine.

    Args:
        look: at images in the model's input space.
        task: what to match.
        recipe: how to look for the images.
        normalization: of the images.
        scales: parts of the size to work at.
        seed: of the noise on the start images, and of distortions.
        interrupted: whether Ctrl-C came.
    """

    look: Look
    task: Stylization
    recipe: Recipe
    normalization: Normalization
    scales: tuple[float, ...]
    seed: int
    interrupted: bool = False

    def paint(
        self, contents: Tensor, styles: Tensor, *, rows_at_once: int, show_progress: bool
    ) -> Tensor:
        """The contents in their styles; after Ctrl-C as far as they came."""
        rows_at_once = 1 if self.recipe.couples_rows else rows_at_once
        with torch.no_grad():
            self.look(contents[:1])  # a model that takes no other size than this says so now
        chunks = torch.split(torch.arange(len(contents), device=contents.device), rows_at_once)
        total = self.recipe.n_steps * len(self.scales) * len(chunks)
        with tqdm(total=total, desc="Restyling", disable=not show_progress) as bar:
            images = [
                self._rows(contents[chunk], _rows_of(styles, chunk), bar.update) for chunk in chunks
            ]
        if self.interrupted:
            warn("interrupted: the images are as far as they came")
        return torch.cat(images)

    def _rows(self, contents: Tensor, styles: Tensor, advance: Callable[[], Any]) -> Tensor:
        # Half precision cannot hold an image that changes little by little.
        work = contents if contents.dtype == torch.float64 else contents.float()
        space = self.normalization.fitted_to(work)
        dice = torch.Generator().manual_seed(self.seed)
        image = self.recipe.start(space.to_display(recoloured(work, styles.to(work))), dice)
        for scale in self.scales:
            style, content = _resized(styles, scale), _resized(contents, scale)
            image = _fitted(image, content.shape[2:])
            if not self.interrupted:
                image = self._at_one_scale(image, content, style, space, advance)
        return space.to_model(_fitted(image, contents.shape[2:])).to(contents.dtype)

    def _at_one_scale(
        self,
        image: Tensor,
        content: Tensor,
        style: Tensor,
        space: Normalization,
        advance: Callable[[], Any],
    ) -> Tensor:
        with torch.no_grad():
            losses_of = self.task.losses(self.look(style), self.look(content))

        def losses(images: Images, _phase: Phase) -> Tensor:
            codes = self.look(space.to_model(images[0]).to(content.dtype))
            return losses_of(codes.__getitem__)

        greys = (space.to_display(torch.zeros_like(image)),)
        bounded = self.normalization.bounded
        try:
            for progress in self.recipe.run(
                losses, (image,), greys, bounded=bounded, seed=self.seed
            ):
                image = progress.images[0]
                advance()
        except KeyboardInterrupt:
            self.interrupted = True
        return self.recipe.finish((image,))[0]

    @torch.no_grad()
    def distances(self, images: Tensor, contents: Tensor, styles: Tensor) -> StyleDistances:
        """Of the pictures as an 8-bit file would give them back, one by one."""
        found = []
        for row in torch.split(torch.arange(len(images), device=images.device), 1):
            picture, content, style = images[row], contents[row], _rows_of(styles, row)
            if self.normalization.bounded:
                shown = as_saved(self.normalization.to_display(picture))
                picture = self.normalization.to_model(shown)
            codes = self.look(picture)
            found.append(self.task.distances(codes, self.look(style), self.look(content)))
        return StyleDistances(*(torch.cat(part) for part in zip(*found, strict=True)))


def _rows_of(styles: Tensor, rows: Tensor) -> Tensor:
    return styles if len(styles) == 1 else styles[rows]


def _resized(images: Tensor, scale: float) -> Tensor:
    height, width = images.shape[2:]
    return _fitted(images, (max(1, round(scale * height)), max(1, round(scale * width))))


def _fitted(images: Tensor, size: Sequence[int]) -> Tensor:
    if tuple(images.shape[2:]) == tuple(size):
        return images
    return functional.interpolate(images, tuple(size), mode="bilinear", antialias=True)
