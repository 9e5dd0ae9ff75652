"""Read the codes of some images, and find the images that have other ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from captum_featinv.codes import channel_dim_of
from captum_featinv.errors import ArgumentError, LayerError, warn
from captum_featinv.images.normalization import Normalization
from captum_featinv.inversion.arguments import rows_of
from captum_featinv.inversion.targets import Targets
from captum_featinv.network.activations import Activations
from captum_featinv.optimization.precision import PLAIN, Numerics
from captum_featinv.optimization.recipe import Images, Phase, Recipe
from captum_featinv.optimization.redirect import redirect_gradients

# Images in one forward where the caller names no number: enough for a GPU, 2 GB in a VGG at 224 px.
_ROWS_AT_ONCE = 8

# What autograd says where a layer does not depend on the images, or is cut off from them.
_NO_GRADIENT = ("not have been used in the graph", "does not require grad")

# A run has diverged where its error grew to this many times that of the start image.
_DIVERGED = 1.5


class Solution(NamedTuple):
    """One image a row in the model's input space, and what became of it.

    `errors` are the normalised reconstruction errors `||F - T||^2 / ||T||^2`, (rows,). A row has
    `failed` where nothing was asked for, the filter never fired or nothing finite came out: its
    image is the start image. It has `diverged` where it ended far further from its code than it began.
    """

    images: Images
    errors: Tensor
    failed: Tensor
    diverged: Tensor


@dataclass
class Solver:
    """What an inversion works with, while `activations` are open.

    Args:
        activations: of the layers in question.
        layers: their names.
        images: the photos, in the model's input space.
        starts: a start image for each of them, or None.
        forward_args: what else the model takes.
        normalization: of the images.
        recipe: how to look for them.
        seed: of the start noise and the distortions.
        channel_dim: where codes keep their channels, or None to find out.
    """

    activations: Activations
    layers: tuple[str, ...]
    images: Images
    starts: tuple[Tensor | None, ...]
    forward_args: tuple[Any, ...]
    normalization: Normalization
    recipe: Recipe
    seed: int
    channel_dim: int | None = None
    numerics: Numerics = field(default=PLAIN, init=False)
    _channel_dims: dict[str, int] = field(default_factory=dict)

    def read(self) -> Mapping[str, Tensor]:
        """The codes of the photos, channels in dimension 1.

        Raises:
            ArgumentError: a code is not finite, or is not one for every photo.
        """
        with torch.no_grad():
            self.run(self.images, self.forward_args)
        for layer in self.layers:
            code = self.activations(layer)
            found = self.channel_dim or channel_dim_of(code, self.images[0], layer)
            self._channel_dims[layer] = found
            self._check(code, layer)
        codes = {layer: self.code(layer) for layer in self.layers}
        self.numerics = self._fastest(codes)
        return codes

    def _fastest(self, codes: Mapping[str, Tensor]) -> Numerics:
        """The fastest way to compute that gives these codes of the photos."""
        *faster, slowest = self.recipe.numerics(self.images)
        return next((way for way in faster if self._gives(codes, way)), slowest)

    def _gives(self, codes: Mapping[str, Tensor], way: Numerics) -> bool:
        try:
            with torch.no_grad():
                self.run(self.images, self.forward_args, way)
        except RuntimeError:  # a model that views its activations, or lacks a kernel
            return False
        return all(way.agrees(self.code(layer), code) for layer, code in codes.items())

    def run(self, inputs: Images, forward_args: Sequence[Any], numerics: Numerics = PLAIN) -> None:
        """Show the model some images, in one of the ways to compute."""
        with numerics.active(inputs[0].device):
            self.activations.run(*(numerics.lay(image) for image in inputs), *forward_args)

    def channels_last(self, layer: str) -> bool:
        """Whether a layer keeps its channels last; known once its code was read."""
        return self._channel_dims[layer] != 1

    def _check(self, code: Tensor, layer: str) -> None:
        if len(code) != len(self.images[0]):
            raise ArgumentError(
                f"layer {layer!r} puts out {len(code)} rows for {len(self.images[0])} images, expected "
                "one each; choose a layer that keeps the batch dimension"
            )
        if code.device.type != "meta" and not bool(torch.isfinite(code).all()):
            raise ArgumentError(
                f"layer {layer!r} puts out NaN or infinite values for these photos; look at the "
                "model's weights and at the scale of its inputs"
            )

    def code(self, layer: str) -> Tensor:
        """What a layer put out in the latest run, channels in dimension 1, at least float32."""
        code = self.activations(layer).movedim(self._channel_dims[layer], 1)
        return code if code.dtype == torch.float64 else code.float()

    @torch.no_grad()
    def look(self, images: Images, examples: Tensor) -> Mapping[str, Tensor]:
        """The codes of other images, each with the forward arguments of an example."""
        batch = len(self.images[0])
        dtypes = [image.dtype for image in self.images]
        shown = tuple(image.to(dtype) for image, dtype in zip(images, dtypes, strict=True))
        self.run(shown, [rows_of(a, examples, batch) for a in self.forward_args])
        return {layer: self.code(layer) for layer in self.layers}

    def solve(
        self, targets: Targets, *, rows_at_once: int | None, title: str | None = None
    ) -> Solution:
        """Find an image for every row of `targets`, some rows at a time.

        Ctrl-C warns and returns what there is: rows not yet begun are start images.

        Args:
            targets: what the codes have to become.
            rows_at_once: images in one forward; changes memory and time, not the results.
            title: of a progress bar, or None for none.
        """
        rows = torch.arange(len(targets.examples), device=targets.examples.device)
        at_once = 1 if self.recipe.couples_rows else rows_at_once or _ROWS_AT_ONCE
        chunks = torch.split(rows, at_once)
        total = self.recipe.n_steps * len(chunks)
        solutions: list[Solution] = []
        with tqdm(total=total, desc=title, disable=title is None) as bar:
            interrupted = False
            for chunk in chunks:
                batch = _Batch(self, targets, chunk)
                interrupted = interrupted or batch.run(bar.update)
                solutions.append(batch.solution())
        if interrupted:
            warn("interrupted: the pictures are as far as they came")
        images = zip(*(solution.images for solution in solutions), strict=True)
        others = zip(*(solution[1:] for solution in solutions), strict=True)
        return Solution(tuple(torch.cat(i) for i in images), *(torch.cat(o) for o in others))


class _Batch:
    """The rows that are solved together."""

    def __init__(self, solver: Solver, targets: Targets, rows: Tensor) -> None:
        self._solver, self._targets, self._rows = solver, targets, rows
        examples = targets.examples[rows]
        photos = [image[examples] for image in solver.images]
        self._dtypes = [photo.dtype for photo in photos]
        # Half precision cannot hold an image that changes little by little.
        photos = [p if p.dtype == torch.float64 else p.float() for p in photos]
        self._spaces = [solver.normalization.fitted_to(photo) for photo in photos]
        self._greys = tuple(
            _grey(space, photo, bounded=solver.normalization.bounded)
            for space, photo in zip(self._spaces, photos, strict=True)
        )
        self._starts = self._begin(examples)
        self._args = [rows_of(a, examples, len(solver.images[0])) for a in solver.forward_args]
        self._objective = targets.objective(rows, normalize=solver.recipe.normalize_loss)
        self._images = self._starts
        self._lost = torch.zeros_like(rows, dtype=torch.bool)

    def _begin(self, examples: Tensor) -> Images:
        generator = torch.Generator().manual_seed(self._solver.seed)
        starts = []
        for given, space, grey in zip(self._solver.starts, self._spaces, self._greys, strict=True):
            fresh = self._solver.recipe.start(grey, generator)
            starts.append(fresh if given is None else space.to_display(given[examples].to(grey)))
        return tuple(starts)

    def run(self, advance: Callable[[], Any]) -> bool:
        """Follow the recipe to its end, or to Ctrl-C: whether that came."""
        solver = self._solver
        steps = solver.recipe.run(
            self._losses,
            self._starts,
            self._greys,
            bounded=solver.normalization.bounded,
            seed=solver.seed,
        )
        try:
            for progress in steps:
                self._images, self._lost = progress.images, progress.lost
                advance()
        except KeyboardInterrupt:
            return True
        except RuntimeError as error:
            if any(words in str(error) for words in _NO_GRADIENT):
                raise LayerError(
                    f"no gradient comes from layer {', '.join(solver.layers)} to the images: what it "
                    "puts out does not depend on them (a table of positions, perhaps), or the model "
                    "cuts gradients off (detach, no_grad, integers); choose another layer"
                ) from error
            raise
        return False

    def _losses(self, images: Images, phase: Phase) -> Tensor:
        self._see(images, self._solver.numerics)
        if phase.redirect:
            for layer in self._solver.layers:
                redirect_gradients(self._solver.activations(layer))
        return self._objective(self._solver.code, phase.leakage)

    def _see(self, images: Images, numerics: Numerics = PLAIN) -> Images:
        """Show the model some images, and return them in its own space."""
        inputs = tuple(
            space.to_model(image).to(dtype)
            for space, image, dtype in zip(self._spaces, images, self._dtypes, strict=True)
        )
        self._solver.run(inputs, self._args, numerics)
        return inputs

    @torch.no_grad()
    def solution(self) -> Solution:
        """The images as they are, judged by one more look without distortion."""
        error = self._targets.objective(self._rows)
        starts = self._see(self._starts)
        first_errors = error(self._solver.code)
        inputs = self._see(self._solver.recipe.finish(self._images))
        errors = error(self._solver.code)
        failed = self._targets.silent(self._solver.code, self._rows)
        failed = failed | self._targets.impossible(self._rows) | ~torch.isfinite(errors)
        images = tuple(
            torch.where(failed.reshape(-1, *[1] * (image.dim() - 1)), start, image)
            for image, start in zip(inputs, starts, strict=True)
        )
        diverged = self._lost | (errors > _DIVERGED * first_errors)
        return Solution(images, errors.nan_to_num(nan=torch.inf), failed, diverged)


def _grey(space: Normalization, photo: Tensor, *, bounded: bool) -> Tensor:
    """The mean colour as a displayable image: the model's zero, or else the photo's own mean."""
    zero = space.to_display(torch.zeros_like(photo))
    return zero if bounded else torch.full_like(zero, 0.5)
