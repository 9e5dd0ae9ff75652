"""Captum's front door: find the image that has a given code."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from warnings import warn

import torch
from captum.attr import NeuronAttribution
from captum.log import log_usage
from torch import Tensor, nn

from captum_featinv import param
from captum_featinv.activations import Activations
from captum_featinv.arguments import (
    Selector,
    forward_args_of,
    images_of,
    indices_of,
    like_inputs,
    starts_of,
)
from captum_featinv.codes import Energy, Rewrite, original
from captum_featinv.display import to_image
from captum_featinv.errors import ArgumentError, FeatInvWarning, FilterError, LayerError
from captum_featinv.guard import guarded
from captum_featinv.layers import Layer, find_layer
from captum_featinv.normalization import IMAGENET_MEAN, IMAGENET_STD, Normalization, Statistic
from captum_featinv.objectives import Objective, feature_map
from captum_featinv.param.parameterization import Parameterization
from captum_featinv.recipe import Recipe
from captum_featinv.report import Report, measure
from captum_featinv.solver import Solution, Solver
from captum_featinv.targets import FilterMaps, Targets, WholeCodes, chunks_of

ParamF = Callable[[], Parameterization]


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
            then nothing is bounded.
        std: likewise.
        recipe: how to look for the image; `Recipe.default()` if None.
        channel_dim: where the layer's code keeps its channels; found out if None.

    Raises:
        LayerError: there is no such layer, or there are several.

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
        mean: Statistic | None = IMAGENET_MEAN,
        std: Statistic = IMAGENET_STD,
        recipe: Recipe | None = None,
        channel_dim: int | None = None,
    ) -> None:
        NeuronAttribution.__init__(self, forward_func, layer, device_ids)
        modules = [module for _, module in self._find(layer)]
        self.layer: Any = modules if isinstance(layer, list | tuple) else modules[0]
        self.normalization = Normalization(mean, std)
        self.recipe = Recipe.default() if recipe is None else recipe
        self.channel_dim = channel_dim

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
        with self._solver(inputs, baselines, additional_forward_args, n_steps, seed) as solver:
            codes = {name: _rewritten(code, rewrite) for name, code in solver.read().items()}
            solution = self._solve(solver, WholeCodes(codes), internal_batch_size, show_progress)
        images = like_inputs(inputs, solution.images)
        return (images, solution.errors) if return_convergence_delta else images

    def has_convergence_delta(self) -> bool:
        """True: the delta is the normalised reconstruction error, at least 0."""
        return True

    @property
    def multiplies_by_inputs(self) -> bool:
        """False: the result is an image, not an attribution of a sum."""
        return False

    def to_image(self, attributions: Tensor, *, stretch: bool = False, positions: int = 2) -> Any:
        """(..., C, H, W) in the model's input space as an array (..., H, W, C) in [0, 1].

        Clips (..., C, T, H, W) take `positions=3` and become (..., T, H, W, C). The array is what
        `captum.attr.visualization` takes; see `captum_featinv.display.to_image`.
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
    def _solver(
        self, inputs: Any, baselines: Any, forward_args: Any, n_steps: int | None, seed: int
    ) -> Iterator[Solver]:
        layers = self._find(self.layer)
        names = _distinct([name for name, _ in layers])
        modules = [module for _, module in layers]
        recipe = self.recipe if n_steps is None else replace(self.recipe, n_steps=n_steps)
        first = inputs[0] if isinstance(inputs, tuple) and inputs else inputs
        device = first.device if isinstance(first, Tensor) else torch.device("cpu")
        with guarded(self.forward_func, device, seed):
            images = images_of(inputs, self.normalization)
            starts = starts_of(baselines, images)
            hooked = dict(zip(names, modules, strict=True))
            with Activations(self.forward_func, hooked, self.device_ids) as activations:
                yield Solver(
                    activations,
                    tuple(names),
                    images,
                    starts,
                    forward_args_of(forward_args),
                    self.normalization,
                    recipe,
                    seed,
                    self.channel_dim,
                )

    def _solve(
        self, solver: Solver, targets: Targets, rows_at_once: int | None, show_progress: bool
    ) -> Solution:
        if rows_at_once is not None and rows_at_once < 1:
            raise ArgumentError(
                f"Batch size must be greater than 0. Given internal_batch_size={rows_at_once}"
            )
        title = f"{self.get_name()} attribution" if show_progress else None
        solution = solver.solve(targets, rows_at_once=rows_at_once, title=title)
        self._warn(solution, targets, solver.layers)
        return solution

    def _warn(self, solution: Solution, targets: Targets, layers: Sequence[str]) -> None:
        if solution.failed.device.type == "meta":
            return
        where = ", ".join(layers)
        if bool(solution.failed.any()):
            warn(
                f"{_named(targets, solution.failed)} of layer {where}: nothing to show, the start "
                "image is returned. The filter never fired, or the code asks for nothing; try "
                'another photo, energy="layer", or more steps',
                FeatInvWarning,
                stacklevel=5,
            )
        diverged = solution.diverged & ~solution.failed
        if bool(diverged.any()):
            warn(
                f"{_named(targets, diverged)} of layer {where}: the run diverged, and the picture is "
                "no nearer to its code than the start image; try more steps or a smaller learning rate",
                FeatInvWarning,
                stacklevel=5,
            )


class FeatureMapInversion(CodeInversion):
    r"""Show what a filter extracts: feature map inversion.

    The code of a layer is read for a photo, the layer's energy is moved into the feature map of one
    filter, the others are silenced, and the image that has this code is found: the filter's texture.
    More details can be found in the original paper:
    https://arxiv.org/abs/1608.04170 (Xia et al. 2016).

    For the constructor's arguments see `CodeInversion`; `layer` is one layer here.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
        >>> fmi = FeatureMapInversion(model, model[1])
        >>> fmi.attribute(torch.rand(2, 3, 9, 7), neuron_selector=[0, 3], n_steps=2).shape
        torch.Size([2, 2, 3, 9, 7])
    """

    @log_usage()
    def attribute(
        self,
        inputs: Any,
        neuron_selector: Selector,
        baselines: Any = None,
        additional_forward_args: Any = None,
        *,
        energy: Energy = "layer",
        n_steps: int | None = None,
        internal_batch_size: int | None = None,
        seed: int = 0,
        return_convergence_delta: bool = False,
        show_progress: bool = False,
    ) -> Any:
        r"""The texture of each filter, for every photo.

        Args:
            inputs (Tensor or tuple[Tensor, ...]): see `CodeInversion.attribute`.
            neuron_selector (int, tuple, list or None): the filter of interest. An int is one filter;
                a tuple is Captum's index of channel and positions, and the filter may fire only
                there; a list is several of these; None is every filter of the layer.
            baselines (Tensor, int, float or tuple, optional): see `CodeInversion.attribute`.
            additional_forward_args (Any, optional): see `CodeInversion.attribute`.
            energy (str, optional): what the filter's map has to show. `"layer"` (the paper): the whole
                layer's activation at each place; `"own"`: the filter's own map, which leaves most
                pictures blank grey, because all other filters ask for silence and one faint one does
                not; `"rescaled"`: its own map scaled to the layer's total energy.
            n_steps (int, optional): see `CodeInversion.attribute`, as for all that follow.
            internal_batch_size (int, optional): images (photos times filters) in one forward.
            seed (int, optional): the same for every photo and filter.
            return_convergence_delta (bool, optional): also return how far each image is from its code.
                Vivid textures score 0.7 to 0.98: to judge a picture, use `report`.
            show_progress (bool, optional): show a progress bar.

        Returns:
            *Tensor* or *tuple[Tensor, ...]*: in the model's input space, dtype and device of `inputs`:
            (N, \*S) for an int or tuple, (N, K, \*S) for a list of K, where (N, \*S) is the shape of
            `inputs`. With `return_convergence_delta` also the normalised reconstruction errors
            `||F - T||^2 / ||T||^2`, (N,) or (N, K).

        Raises:
            FilterError: the layer has no such filter.
            ArgumentError, ArgumentTypeError, LayerError, ForwardError: see `CodeInversion.attribute`.
        """
        with self._solver(inputs, baselines, additional_forward_args, n_steps, seed) as solver:
            targets = self._targets(solver, neuron_selector, energy)
            solution = self._solve(solver, targets, internal_batch_size, show_progress)
        one = isinstance(neuron_selector, int | tuple)
        rows = () if one else (len(targets.filters),)
        errors = solution.errors.reshape(-1, *rows)
        images = tuple(image.reshape(-1, *rows, *image.shape[1:]) for image in solution.images)
        result = like_inputs(inputs, images)
        return (result, errors) if return_convergence_delta else result

    def report(
        self,
        attributions: Any,
        inputs: Any,
        neuron_selector: Selector,
        additional_forward_args: Any = None,
        *,
        energy: Energy = "layer",
        internal_batch_size: int | None = None,
    ) -> Report:
        """Measure textures: are they their filters', and does that survive saving them?

        Args:
            attributions: what `attribute` returned.
            inputs: what it was given, as are all that follow.
            neuron_selector: see there.
            additional_forward_args: see there.
            energy: see there.
            internal_batch_size: see there.

        Returns:
            One record a photo and filter, photos first; printed, a table.

        Raises:
            ArgumentError: `attributions` are not pictures of these filters from these photos.
        """
        rows_at_once = internal_batch_size or 8
        with self._solver(inputs, None, additional_forward_args, None, 0) as solver:
            targets = self._targets(solver, neuron_selector, energy)
            rows = torch.arange(len(targets.examples), device=targets.examples.device)
            pictures = _pictures(attributions, solver.images, len(rows))
            report = Report()
            for chunk in chunks_of(rows, rows_at_once):
                examples = targets.examples[chunk]
                records = measure(
                    partial(_code_of, solver, targets.layer, examples),
                    tuple(picture[chunk] for picture in pictures),
                    targets.code[examples],
                    targets.filters_of(chunk),
                    targets.maps(chunk),
                    self.normalization,
                )
                photos = examples.tolist()
                report += [replace(r, photo=p) for r, p in zip(records, photos, strict=True)]
        return report

    def objective(
        self,
        inputs: Any,
        neuron_selector: Selector,
        additional_forward_args: Any = None,
        *,
        energy: Energy = "layer",
    ) -> Objective:
        """What `attribute` minimises as an objective for `render_vis`, ours or Lucent's.

        The code has to keep the size of the photo's: render with `transforms=[]`, an image of the
        photo's size (`param` makes one) and, below 224 px, `fixed_image_size`. To use transforms, see
        `objectives.feature_map_ref`.

        Args:
            inputs: see `attribute`, as for all that follow.
            neuron_selector: see there; one row of the rendered batch a photo and filter, photos first.
            additional_forward_args: see there.
            energy: see there.

        Raises:
            LayerError: the layer keeps its channels last, which Lucent's objectives cannot read.
        """
        with self._solver(inputs, None, additional_forward_args, None, 0) as solver:
            targets = self._targets(solver, neuron_selector, energy)
            if solver.channels_last(targets.layer):
                raise LayerError(
                    f"layer {targets.layer!r} keeps its channels last; choose the block around it"
                )
            rows = torch.arange(len(targets.examples), device=targets.examples.device)
            maps, filters = targets.maps(rows), targets.filters_of(rows).tolist()
        return feature_map(targets.layer.replace(".", "_"), maps, filters)

    def param(self, inputs: Tensor, neuron_selector: Selector, **options: Any) -> ParamF:
        """A `param_f` that draws one image of the photos' size for each row of `objective`.

        Args:
            inputs: see `attribute`; one tensor.
            neuron_selector: see there.
            **options: of `captum_featinv.param.image`.
        """
        with self._solver(inputs, None, None, None, 0) as solver:
            rows = len(self._targets(solver, neuron_selector, "layer").examples)
        height, width = inputs.shape[-2:]
        return partial(param.image, width, height, batch=rows, **options)

    def _targets(self, solver: Solver, selector: Selector, energy: Energy) -> FilterMaps:
        if len(solver.layers) > 1:
            raise LayerError(
                f"a filter belongs to one layer, but `layer` has {len(solver.layers)}; use "
                "CodeInversion to match several layers"
            )
        layer = solver.layers[0]
        code = solver.read()[layer]
        indices = indices_of(selector, code.shape[1], layer)
        channels = [index[0] if isinstance(index, tuple) else index for index in indices]
        filters = torch.tensor(channels, device=code.device)
        places = None
        if any(isinstance(index, tuple) for index in indices):
            places = torch.stack([_places(index, code) for index in indices])
        return FilterMaps(layer, code, filters, places, energy)


def _places(index: Any, code: Tensor) -> Tensor:
    """1 where a filter may fire, 0 elsewhere, (*positions)."""
    where = index[1:] if isinstance(index, tuple) else ()
    if len(where) > code.dim() - 2:
        raise ArgumentError(
            f"Cannot choose target column with output shape {tuple(code.shape)}: the index {index} has "
            f"{len(where)} positions, the layer {code.dim() - 2}"
        )
    places = code.new_zeros(code.shape[2:])
    try:
        places[where] = 1
    except IndexError as error:
        raise FilterError(
            f"index {index} does not fit the layer's positions {tuple(code.shape[2:])}: {error}"
        ) from error
    return places


def _code_of(solver: Solver, layer: str, examples: Tensor, images: tuple[Tensor, ...]) -> Tensor:
    return solver.look(images, examples)[layer]


def _rewritten(code: Tensor, rewrite: Rewrite) -> Tensor:
    target: Any = rewrite(code)
    if not isinstance(target, Tensor) or target.shape != code.shape:
        found = tuple(target.shape) if isinstance(target, Tensor) else type(target)
        raise ArgumentError(
            f"rewrite returned {found}, expected a tensor of the code's shape {tuple(code.shape)}"
        )
    return target


def _pictures(attributions: Any, images: tuple[Tensor, ...], rows: int) -> tuple[Tensor, ...]:
    """Textures as they came from `attribute`, one row each."""
    given = attributions if isinstance(attributions, tuple) else (attributions,)
    pictures = []
    for picture, image in zip(given, images, strict=True):
        if picture.numel() != rows * image[0].numel():
            raise ArgumentError(
                f"attributions have shape {tuple(picture.shape)}, expected {rows} pictures of shape "
                f"{tuple(image.shape[1:])}: pass the inputs and neuron_selector they were made with"
            )
        pictures.append(picture.detach().reshape(rows, *image.shape[1:]))
    return tuple(pictures)


def _distinct(names: list[str]) -> list[str]:
    """The names, numbered where one comes twice."""
    return [n if names.count(n) == 1 else f"{n} ({i})" for i, n in enumerate(names)]


def _named(targets: Targets, rows: Tensor) -> str:
    """Which filters or photos some rows are, in words."""
    numbers = rows.nonzero().flatten()
    if isinstance(targets, FilterMaps):
        what, values = "filter", sorted(set(targets.filters_of(numbers).tolist()))
    else:
        what, values = "photo", sorted(set(targets.examples[numbers].tolist()))
    listed = ", ".join(map(str, values[:12])) + (", ..." if len(values) > 12 else "")
    return f"{what}{'s' if len(values) > 1 else ''} {listed}"
