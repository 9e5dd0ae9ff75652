"""Look for images that have a style and a content, while activations are open."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from captum_featinv.errors import warn
from captum_featinv.images.display import as_saved
from captum_featinv.images.normalization import Normalization
from captum_featinv.network.inputs import Images, Inputs
from captum_featinv.network.reading import Codes, Reader
from captum_featinv.optimization.loop import Losses, Phase, follow, runs_alone, start_image
from captum_featinv.optimization.precision import Arithmetic
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.optimization.ways import look, ways
from captum_featinv.progress import steps
from captum_featinv.style.recolour import recoloured
from captum_featinv.style.target import StyleDistances, StyleTarget


@dataclass
class Restyler:
    """Restyles images, some at a time, from coarse to fine.

    Args:
        reader: of the layers in question.
        target: what to match.
        recipe: how to look for the images.
        normalization: of the images.
        scales: parts of the size to work at.
        seed: of the noise on the start images, and of distortions.
        interrupted: whether Ctrl-C came.
    """

    reader: Reader
    target: StyleTarget
    recipe: Recipe
    normalization: Normalization
    scales: tuple[float, ...]
    seed: int
    interrupted: bool = False

    def restyle(
        self, contents: Tensor, styles: Tensor, *, rows_at_once: int, show_progress: bool
    ) -> Tensor:
        """The contents in their styles; after Ctrl-C as far as they came."""
        chunks = list(self._chunks(contents, rows_at_once))
        total = self.recipe.n_steps * len(self.scales) * len(chunks)
        with steps(total, "Restyling" if show_progress else None) as advance:
            images = [
                self._rows(contents[rows], _rows_of(styles, rows), way, advance)
                for way, rows in chunks
            ]
        if self.interrupted:
            warn("interrupted: the images are as far as they came")
        return torch.cat(images)[torch.cat([rows for _, rows in chunks]).argsort()]

    def _chunks(self, contents: Tensor, at_once: int) -> Iterator[tuple[Arithmetic, Tensor]]:
        """The images in order, some at a time, those together that are computed in one way."""
        inputs = Inputs((contents,))
        codes = self.reader.read(inputs, at_once)  # a model that takes no other size says so now
        together = 1 if runs_alone(self.recipe) else at_once
        for way, rows in ways(self.recipe, self.reader, inputs, codes, inputs.examples, at_once):
            yield from ((way, some) for some in torch.split(rows, together))

    def _look(self, inputs: Tensor) -> Codes:
        return self.reader(Inputs((inputs,)))

    def _rows(
        self, contents: Tensor, styles: Tensor, way: Arithmetic, advance: Callable[[], Any]
    ) -> Tensor:
        # Half precision cannot hold an image that changes little by little.
        work = contents if contents.dtype == torch.float64 else contents.float()
        space = self.normalization.fitted_to(work)
        dice = torch.Generator("cpu").manual_seed(self.seed)
        begun = space.to_display(recoloured(work, styles.to(work)))
        image = start_image(self.recipe, begun, dice)
        for scale in self.scales:
            style, content = _resized(styles, scale), _resized(contents, scale)
            image = _fitted(image, content.shape[2:])
            if not self.interrupted:
                losses = self._losses(content, style, space, way)
                image = self._at_one_scale(image, losses, space, advance)
        return space.to_model(_fitted(image, contents.shape[2:])).to(contents.dtype)

    def _losses(
        self, content: Tensor, style: Tensor, space: Normalization, way: Arithmetic
    ) -> Losses:
        with torch.no_grad():
            losses_of = self.target.losses(self._look(style), self._look(content))

        def losses(images: Images, _phase: Phase) -> Tensor:
            shown = space.to_model(images[0]).to(content.dtype)
            codes = look(self.reader, Inputs((shown,)), way, own=True)
            return losses_of(codes.__getitem__)

        return losses

    def _at_one_scale(
        self, image: Tensor, losses: Losses, space: Normalization, advance: Callable[[], Any]
    ) -> Tensor:
        found = follow(
            self.recipe,
            losses,
            (image,),
            (space.to_display(torch.zeros_like(image)),),
            bounded=[self.normalization.bounded],
            seed=self.seed,
            advance=advance,
        )
        self.interrupted = found.interrupted
        return found.images[0]

    @torch.no_grad()
    def distances(self, images: Tensor, contents: Tensor, styles: Tensor) -> StyleDistances:
        """Of the pictures as an 8-bit file would give them back, one by one."""
        found = []
        for row in torch.split(torch.arange(len(images), device=images.device), 1):
            picture, content, style = images[row], contents[row], _rows_of(styles, row)
            if self.normalization.bounded:
                shown = as_saved(self.normalization.to_display(picture))
                picture = self.normalization.to_model(shown)
            codes = self._look(picture)
            found.append(self.target.distances(codes, self._look(style), self._look(content)))
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
