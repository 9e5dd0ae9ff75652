"""Some rows of an inversion, which are solved together."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from captum_featinv.errors import LayerError, warn
from captum_featinv.images.normalization import Normalization
from captum_featinv.inversion.targets import Rows
from captum_featinv.network.inputs import Images, Inputs
from captum_featinv.network.reading import Codes, Reader
from captum_featinv.optimization.loop import Found, Phase, follow, start_image
from captum_featinv.optimization.precision import Arithmetic
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.optimization.redirect import redirect_gradients

# What autograd says where a layer does not depend on the images, or is cut off from them.
_NO_GRADIENT = ("not have been used in the graph", "does not require grad")

# A run has diverged where its error grew to this many times that of the start image.
_DIVERGED = 1.5


class Solution(NamedTuple):
    """One image a row in the model's input space, and what became of it.

    `errors` are the normalised reconstruction errors `||F - T||^2 / ||T||^2`, (rows,). A row has
    `failed` where nothing was asked for, the filter never fired or nothing finite came out: its
    image is the start image. It has `diverged` where it ended far further from its code than it began,
    and is `poor` where it has, or where its filter has less of its layer than in the photo, unless
    nothing was asked for: another way may do better, which is so where its `merit` is larger.
    """

    images: Images
    errors: Tensor
    failed: Tensor
    diverged: Tensor
    poor: Tensor
    merit: Tensor


@dataclass(frozen=True)
class Question:
    """What an inversion is asked, while the reader's activations are open.

    Args:
        reader: of the layers in question.
        inputs: the photos.
        starts: a start image for each input, or None.
        spaces: a normalisation for each input.
        recipe: how to look for images.
        seed: of the start noise and the distortions.
    """

    reader: Reader
    inputs: Inputs
    starts: tuple[Tensor | None, ...]
    spaces: tuple[Normalization, ...]
    recipe: Recipe
    seed: int

    @property
    def bounded(self) -> list[bool]:
        """Of each input, whether it has a displayable range."""
        return [space.bounded for space in self.spaces]


class SomeRows:
    """Some of the rows that a question has.

    Args:
        question: what is asked.
        examples: the example of each row, (rows,).
        target: what the code of each row has to become.
        way: how to compute the steps.
    """

    def __init__(self, question: Question, examples: Tensor, target: Rows, way: Arithmetic) -> None:
        self._question, self._target = question, target
        given = question.inputs.rows(examples)
        self._extra = given.extra
        self._dtypes = [photo.dtype for photo in given.images]
        # Half precision cannot hold an image that changes little by little.
        photos = [p if p.dtype == torch.float64 else p.float() for p in given.images]
        pairs = list(zip(question.spaces, photos, strict=True))
        self._spaces = [space.fitted_to(photo) for space, photo in pairs]
        self._greys = tuple(_grey(space, photo) for space, photo in pairs)
        self._starts = self._begin(examples)
        recipe = question.recipe
        self._losses = target.losses(normalize=recipe.normalize_loss, outweigh=recipe.outweigh)
        self._formats = [way.format_of(photo) for photo in photos]
        self._computing = way.active(photos[0].device)

    def solve(self, advance: Callable[[], Any]) -> tuple[Solution, bool]:
        """What following the recipe gives, and whether Ctrl-C came meanwhile."""
        found = self._follow(advance)
        if found.unreached:
            numbers = ", ".join(map(str, found.unreached))
            layers = ", ".join(self._question.reader.layers)
            warn(
                f"input {numbers} does not reach layer {layers}: its start image is returned; choose a "
                "layer behind all inputs, or pass this one in additional_forward_args"
            )
        return self._judged(found.images, found.lost), found.interrupted

    def unsolved(self) -> Solution:
        """The start images, as they are."""
        return self._judged(self._starts, torch.zeros_like(self._target.impossible()))

    def _begin(self, examples: Tensor) -> Images:
        dice = torch.Generator("cpu").manual_seed(self._question.seed)
        starts = []
        for given, space, grey in zip(
            self._question.starts, self._spaces, self._greys, strict=True
        ):
            fresh = start_image(self._question.recipe, grey, dice)
            starts.append(fresh if given is None else space.to_display(given[examples].to(grey)))
        return tuple(starts)

    def _follow(self, advance: Callable[[], Any]) -> Found:
        question = self._question
        try:
            return follow(
                question.recipe,
                self._losses_of,
                self._starts,
                self._greys,
                bounded=question.bounded,
                seed=question.seed,
                advance=advance,
            )
        except RuntimeError as error:
            if any(words in str(error) for words in _NO_GRADIENT):
                raise LayerError(
                    f"no gradient comes from layer {', '.join(question.reader.layers)} to the images: "
                    "what it puts out does not depend on them (a table of positions, perhaps), or the "
                    "model cuts gradients off (detach, no_grad, integers); choose another layer"
                ) from error
            raise

    def _losses_of(self, images: Images, phase: Phase) -> Tensor:
        pairs = zip(self._shown(images), self._formats, strict=True)
        shown = tuple(image.contiguous(memory_format=layout) for image, layout in pairs)
        watch = redirect_gradients if phase.redirect else None
        with self._computing:
            codes = self._question.reader(Inputs(shown, self._extra), own=True, watch=watch)
        return self._losses(codes.__getitem__, phase.leakage)

    def _shown(self, images: Images) -> Images:
        """Images as the model sees them."""
        return tuple(
            space.to_model(image).to(dtype)
            for space, image, dtype in zip(self._spaces, images, self._dtypes, strict=True)
        )

    def _look(self, shown: Images) -> Codes:
        return self._question.reader(Inputs(shown, self._extra))

    @torch.no_grad()
    def _judged(self, images: Images, lost: Tensor) -> Solution:
        """The images as they are, by one more look without distortion, in the model's own precision."""
        error = self._target.losses(normalize=True)
        starts, shown = self._shown(self._starts), self._shown(images)
        first = self._look(starts)
        codes = self._look(shown)
        errors = error(codes.__getitem__).clamp(min=0)  # rounding may leave a little less
        failed = self._target.silent(codes) | self._target.impossible() | ~torch.isfinite(errors)
        kept = tuple(
            torch.where(failed.reshape(-1, *[1] * (image.dim() - 1)), start, image)
            for image, start in zip(shown, starts, strict=True)
        )
        worse = errors > _DIVERGED * error(first.__getitem__)
        if self._question.recipe.outweigh is not None:
            # A filter that is asked for more may end further from its code, but not with less of it.
            worse &= ~self._target.louder(codes, first)
        diverged = lost | worse
        errors = errors.nan_to_num(nan=torch.inf, posinf=torch.inf)
        # Squares do not tell a filter that is silent below 0 from one that fires.
        merit = self._target.merit(codes, errors).masked_fill(failed, -torch.inf)
        poor = (diverged | failed | self._target.poor(merit)) & ~self._target.impossible()
        return Solution(kept, errors, failed, diverged, poor, merit)


def _grey(space: Normalization, photo: Tensor) -> Tensor:
    """The mean colour as a displayable image: the model's zero, or else the photo's own mean."""
    zero = space.fitted_to(photo).to_display(torch.zeros_like(photo))
    return zero if space.bounded else torch.full_like(zero, 0.5)
