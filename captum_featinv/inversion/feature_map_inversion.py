"""Feature map inversion: show the texture that a filter extracts."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from captum.log import log_usage
from torch import Tensor

from captum_featinv import param
from captum_featinv.codes import Energy
from captum_featinv.errors import ArgumentError, LayerError
from captum_featinv.inversion.arguments import like_inputs
from captum_featinv.inversion.code_inversion import CodeInversion
from captum_featinv.inversion.report import Report, measure
from captum_featinv.inversion.selectors import Selector, indices_of, places_of
from captum_featinv.inversion.solver import Solver
from captum_featinv.inversion.targets import FilterMaps
from captum_featinv.objectives import Objective, feature_map
from captum_featinv.param.parameterization import Parameterization

ParamF = Callable[[], Parameterization]


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
            for chunk in torch.split(rows, rows_at_once):
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
            **options: of `captum_featinv.param.image`; images that are not of three colours get as
                many independent channels as `inputs` have.
        """
        with self._solver(inputs, None, None, None, 0) as solver:
            rows = len(self._targets(solver, neuron_selector, "layer").examples)
        channels, height, width = inputs.shape[1], *inputs.shape[-2:]
        if channels != 3:
            options.setdefault("channels", channels)
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
            places = torch.stack([places_of(index, code) for index in indices])
        return FilterMaps(layer, code, filters, places, energy)


def _code_of(solver: Solver, layer: str, examples: Tensor, images: tuple[Tensor, ...]) -> Tensor:
    return solver.look(images, examples)[layer]


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
