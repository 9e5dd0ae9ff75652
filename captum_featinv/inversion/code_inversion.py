"""Code inversion: find the image that has a given code."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, overload

import numpy as np
import numpy.typing as npt
import torch
from captum.attr import NeuronAttribution
from captum.log import log_usage
from torch import Tensor, nn

from captum_featinv.codes import Rewrite, original
from captum_featinv.errors import ArgumentError, LayerError
from captum_featinv.images.checks import images_of, warn_of_range
from captum_featinv.images.display import to_image
from captum_featinv.images.normalization import IMAGENET_MEAN, IMAGENET_STD, one_per_input
from captum_featinv.inversion.arguments import extra_of, like_inputs, spaces_for, starts_of
from captum_featinv.inversion.rows import Question, Solution
from captum_featinv.inversion.solving import solve, warn_of
from captum_featinv.inversion.targets import Targets, WholeCodes
from captum_featinv.network.activations import Activations
from captum_featinv.network.inputs import Inputs
from captum_featinv.network.layers import Layer, find_layer
from captum_featinv.network.reading import Codes, Reader
from captum_featinv.network.seeing import seen_as, selects
from captum_featinv.network.untouched import untouched
from captum_featinv.network.views import View, channels
from captum_featinv.optimization.recipe import Recipe

if TYPE_CHECKING:
    from typing_extensions import Unpack

# A tensor for a tensor, a tuple for a tuple.
Given = TypeVar("Given", Tensor, tuple[Tensor, ...])


class Options(TypedDict, total=False):
    """How an inversion is run; see `CodeInversion.attribute`."""

    n_steps: int | None
    internal_batch_size: int | None
    seed: int
    show_progress: bool


class CodeInversion(NeuronAttribution):
    r"""Find the image whose code at a layer is a given one.

    The code of each photo is read, rewritten by a pure function, and inverted: starting from the mean
    colour, an image is changed until the layer puts out the rewritten code. Without a rewrite this is
    plain code inversion. More details can be found in the papers:
    https://arxiv.org/abs/1412.0035 (Mahendran and Vedaldi 2015, code inversion),
    https://arxiv.org/abs/1608.04170 (Xia et al. 2016, modified code inversion).

    The result is no score but an image in the model's input space, so sums and completeness mean
    nothing for it, while `NoiseTunnel` and `sensitivity_max` do.

    Args:
        forward_func: the model, or any callable that runs the layer. It comes back as it was: hooks,
            modes, gradients, buffers.
        layer: a module, a dotted name, or Lucent's underscored name; or a list of these, whose codes
            are matched together. The code is what the layer puts out in its last call.
        device_ids: as everywhere in Captum, for DataParallel models.
        mean: of the normalisation that `inputs` went through, one number a channel or one for all, so
            that the image can be kept displayable; None if inputs have no displayable range, and
            then nothing is bounded. For a model of several inputs also a list of these, one an input.
        std: likewise.
        recipe: how to look for the image; `Recipe.default()` if None.
        view: from what the layer puts out to its code (N, channel, \*positions), or a mapping from
            layers' names to such functions; see `captum_featinv.views`. If None, what it puts out is
            its code, with channels last where its shape tells so.
        channel_dim: where the layer keeps its channels, short for `view=views.channels(channel_dim)`.

    Raises:
        LayerError: there is no such layer, or there are several.
        ArgumentError: both `view` and `channel_dim` are given, or `mean` and `std` are no
            statistics.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
        >>> photos = torch.rand(2, 3, 9, 7) * 4 - 2
        >>> CodeInversion(model, "1").attribute(photos, n_steps=2).shape
        torch.Size([2, 3, 9, 7])
    """

    def __init__(
        self,
        forward_func: Callable[..., Any],
        layer: Layer | Sequence[Layer],
        device_ids: list[int] | None = None,
        *,
        mean: Any = IMAGENET_MEAN,
        std: Any = IMAGENET_STD,
        recipe: Recipe | None = None,
        view: View | Mapping[str, View] | None = None,
        channel_dim: int | None = None,
    ) -> None:
        NeuronAttribution.__init__(self, forward_func, layer, device_ids)
        modules = [module for _, module in self._find(layer)]
        self.layer: Any = modules if isinstance(layer, list | tuple) else modules[0]
        self.spaces = one_per_input(mean, std)
        self.normalization = self.spaces[0]
        self.recipe = Recipe.default() if recipe is None else recipe
        if view is not None and channel_dim is not None:
            raise ArgumentError("`view` and `channel_dim` say the same; pass one of them")
        self.view = view if channel_dim is None else channels(channel_dim)

    @overload
    def attribute(
        self,
        inputs: Given,
        rewrite: Rewrite | None = None,
        baselines: Any = None,
        additional_forward_args: Any = None,
        *,
        return_convergence_delta: Literal[False] = False,
        **options: "Unpack[Options]",
    ) -> Given: ...

    @overload
    def attribute(
        self,
        inputs: Given,
        rewrite: Rewrite | None = None,
        baselines: Any = None,
        additional_forward_args: Any = None,
        *,
        return_convergence_delta: Literal[True],
        **options: "Unpack[Options]",
    ) -> tuple[Given, Tensor]: ...

    @log_usage()
    def attribute(
        self,
        inputs: Any,
        rewrite: Rewrite | None = None,
        baselines: Any = None,
        additional_forward_args: Any = None,
        *,
        n_steps: int | None = None,
        internal_batch_size: int | None = None,
        seed: int = 0,
        return_convergence_delta: bool = False,
        show_progress: bool = False,
    ) -> Any:
        r"""The image with the rewritten code, for every photo.

        Args:
            inputs (Tensor or tuple[Tensor, ...]): the photos as the model takes them, (N, C, H, W) or
                of any other shape with N examples in dimension 0; floating point and finite. A
                tuple is for models with several inputs, each of which is looked for.
            rewrite (Callable, optional): from a detached code (N, channel, \*positions) to one of the
                same shape; see `captum_featinv.codes`. The code as it is if None.
            baselines (Tensor, int, float or tuple, optional): the start image, one for all (1, ...) or
                one for each (N, ...), or a number; the mean colour with a little seeded noise if None.
            additional_forward_args (Any, optional): what else the model takes, a tuple if several;
                tensors with N entries are split as the photos are.
            n_steps (int, optional): overrides the recipe's.
            internal_batch_size (int, optional): images in one forward; 8 if None. Changes memory and
                time, not the result.
            seed (int, optional): of the start noise and the distortions; the same for every photo.
            return_convergence_delta (bool, optional): also return how far the image is from its code.
            show_progress (bool, optional): show a progress bar.

        Returns:
            *Tensor* or *tuple[Tensor, ...]*: the images, in shape, dtype and device of `inputs`. With
            `return_convergence_delta` also the normalised reconstruction errors
            `||F - T||^2 / ||T||^2`, (N,), the mean over layers if there are several.

        Raises:
            ArgumentError, ArgumentTypeError: an argument is not as described; the text says which.
            LayerError: the layer did not run or puts out no feature maps.
            ForwardError: the model itself failed.
        """
        rewrite = original if rewrite is None else rewrite
        with self._asked(inputs, baselines, additional_forward_args, n_steps, seed) as question:
            codes = question.reader.read(question.inputs, internal_batch_size)
            targets = WholeCodes({name: _rewritten(code, rewrite) for name, code in codes.items()})
            solution = self._solve(question, codes, targets, internal_batch_size, show_progress)
        images = like_inputs(inputs, solution.images)
        return (images, solution.errors) if return_convergence_delta else images

    def has_convergence_delta(self) -> bool:
        """True: the delta is the normalised reconstruction error, at least 0."""
        return True

    @property
    def multiplies_by_inputs(self) -> bool:
        """False: the result is an image, not an attribution of a sum."""
        return False

    def to_image(
        self, attributions: Tensor, *, stretch: bool = False, positions: int = 2
    ) -> npt.NDArray[np.float32]:
        """(..., C, H, W) in the model's input space as an array (..., H, W, C) in [0, 1].

        Clips (..., C, T, H, W) take `positions=3` and become (..., T, H, W, C). The array is what
        `captum.attr.visualization` takes; see `captum_featinv.images.to_image`. Of a model of several
        inputs it is the first that is shown.

        Args:
            attributions: what `attribute` returned, (..., C, H, W), or of clips (..., C, T, H, W).
            stretch: map the smallest value to 0 and the largest to 1; always so where `mean` is
                None.
            positions: how many dimensions follow the channels: 2 for images, 3 for clips.

        Returns:
            float32 in [0, 1], (..., H, W, C), of clips (..., T, H, W, C).
        """
        return to_image(
            attributions,
            self.normalization.mean,
            self.normalization.std,
            stretch=stretch or not self.normalization.bounded,
            positions=positions,
        )

    def _find(self, layer: Layer | Sequence[Layer]) -> list[tuple[str, nn.Module]]:
        given: Sequence[Any] = layer if isinstance(layer, list | tuple) else [layer]
        if not given:
            raise LayerError("`layer` is an empty list; name at least one layer")
        return [find_layer(self.forward_func, one) for one in given]

    @contextmanager
    def _asked(
        self, inputs: Any, baselines: Any, forward_args: Any, n_steps: int | None, seed: int
    ) -> Iterator[Question]:
        """A question whose reader works as long as the block is open."""
        layers = self._find(self.layer)
        names = tuple(_distinct([name for name, _ in layers]))
        hooked = dict(zip(names, [module for _, module in layers], strict=True))
        seeing = seen_as(names, self.view, self.forward_func)
        recipe = self.recipe if n_steps is None else replace(self.recipe, n_steps=n_steps)
        with untouched(self.forward_func, _device_of(inputs), seed):
            images = images_of(inputs)
            spaces = spaces_for(self.spaces, images)
            for image, space in zip(images, spaces, strict=True):
                warn_of_range(image, space)
            starts = starts_of(baselines, images)
            given = Inputs(images, extra_of(forward_args))
            with Activations(
                self.forward_func, hooked, self.device_ids, select=selects(seeing)
            ) as opened:
                yield Question(Reader(opened, names, seeing), given, starts, spaces, recipe, seed)

    def _solve(
        self,
        question: Question,
        codes: Codes,
        targets: Targets,
        rows_at_once: int | None,
        show_progress: bool,
    ) -> Solution:
        title = f"{self.get_name()} attribution" if show_progress else None
        solution = solve(question, codes, targets, rows_at_once=rows_at_once, title=title)
        warn_of(solution, targets, question.reader.layers)
        return solution


def _device_of(inputs: Any) -> torch.device:
    first = inputs[0] if isinstance(inputs, tuple) and inputs else inputs
    return first.device if isinstance(first, Tensor) else torch.device("cpu")


def _rewritten(code: Tensor, rewrite: Rewrite) -> Tensor:
    target: Any = rewrite(code)
    if not isinstance(target, Tensor) or target.shape != code.shape:
        found = tuple(target.shape) if isinstance(target, Tensor) else type(target)
        raise ArgumentError(
            f"rewrite returned {found}, expected a tensor of the code's shape {tuple(code.shape)}"
        )
    real = target.layout == torch.strided and not (
        target.is_complex() or target.dtype == torch.bool
    )
    if not real or target.device != code.device:
        raise ArgumentError(
            f"rewrite returned numbers that no layer puts out ({target.dtype}, {target.layout}, on "
            f"{target.device}), expected some like the code's ({code.dtype}, on {code.device}); "
            "end it with .to_dense(), .abs() or .to(code)"
        )
    if code.device.type != "meta" and not bool(torch.isfinite(target).all()):
        raise ArgumentError(
            "rewrite returned NaN or infinite values: it divides by the energy of a filter that is "
            "silent, perhaps; torch.nan_to_num replaces them"
        )
    return target.detach().to(code.dtype)


def _distinct(names: list[str]) -> list[str]:
    """The names, numbered where one comes twice."""
    return [n if names.count(n) == 1 else f"{n} ({i})" for i, n in enumerate(names)]
