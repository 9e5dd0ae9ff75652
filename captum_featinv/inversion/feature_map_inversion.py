"""Feature map inversion: show the texture that a filter extracts."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, overload

import torch
from captum.log import log_usage
from torch import Tensor

from captum_featinv import param
from captum_featinv.codes import Energy
from captum_featinv.errors import ArgumentTypeError, LayerError
from captum_featinv.inversion.arguments import like_inputs, pictures_of
from captum_featinv.inversion.code_inversion import CodeInversion, Given, Options
from captum_featinv.inversion.report import FilterRecord, Report, measure
from captum_featinv.inversion.rows import Question
from captum_featinv.inversion.selectors import Chosen, Selector, chosen
from captum_featinv.inversion.targets import FilterMaps
from captum_featinv.network.inputs import Images
from captum_featinv.network.reading import Codes, batch_size
from captum_featinv.objectives import Objective, feature_map
from captum_featinv.optimization.ways import precision_of
from captum_featinv.param.parameterization import ParamF

if TYPE_CHECKING:
    from typing_extensions import Unpack


class FeatureMapInversion(CodeInversion):
    r"""Show what a filter extracts: feature map inversion.

    The code of a layer is read for a photo, the layer's energy is moved into the feature map of one
    filter, the others are silenced, and the image that has this code is found: the filter's texture.
    More details can be found in the original paper:
    https://arxiv.org/abs/1608.04170 (Xia et al. 2016).

    For the constructor's arguments see `CodeInversion`; `layer` is one layer here.

    Args:
        forward_func: see `CodeInversion`, as for all that follow.
        layer: one layer.
        device_ids: see there.
        mean: see there.
        std: see there.
        recipe: see there.
        view: see there.
        channel_dim: see there.

    Raises:
        LayerError: there is no such layer, there are several of this name, or a list was given.
        ArgumentError: see `CodeInversion`.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
        >>> fmi = FeatureMapInversion(model, model[1])
        >>> fmi.attribute(torch.rand(2, 3, 9, 7), neuron_selector=[0, 3], n_steps=2).shape
        torch.Size([2, 2, 3, 9, 7])
    """

    @overload  # type: ignore[override] # a filter in the place of a rewrite, as in Captum's kin
    def attribute(
        self,
        inputs: Given,
        neuron_selector: Selector,
        baselines: Any = None,
        additional_forward_args: Any = None,
        *,
        energy: Energy = "layer",
        return_convergence_delta: Literal[False] = False,
        **options: "Unpack[Options]",
    ) -> Given: ...

    @overload
    def attribute(
        self,
        inputs: Given,
        neuron_selector: Selector,
        baselines: Any = None,
        additional_forward_args: Any = None,
        *,
        energy: Energy = "layer",
        return_convergence_delta: Literal[True],
        **options: "Unpack[Options]",
    ) -> tuple[Given, Tensor]: ...

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
        with self._asked(inputs, baselines, additional_forward_args, n_steps, seed) as question:
            codes, targets, named = self._targets(
                question, neuron_selector, energy, internal_batch_size
            )
            solution = self._solve(question, codes, targets, internal_batch_size, show_progress)
        filters = named.dimension
        errors = solution.errors.reshape(-1, *filters)
        images = tuple(image.reshape(-1, *filters, *image.shape[1:]) for image in solution.images)
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
        at_once = batch_size(internal_batch_size)
        with self._asked(inputs, None, additional_forward_args, None, 0) as question:
            codes, targets, named = self._targets(question, neuron_selector, energy, at_once)
            pictures = pictures_of(attributions, question.inputs.images, named.dimension)
            used = precision_of(self.recipe, question.reader, question.inputs, codes, at_once)
            report = Report(precision=used)
            rows = torch.arange(len(pictures[0]), device=targets.examples.device)
            for chunk in torch.split(rows, at_once):
                report += _measured(question, targets, chunk, pictures)
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

        Returns:
            The objective; its loss is `sum_rows ||F - T||^2 / ||T||^2`, or with the recipe's
            `outweigh`.

        Raises:
            LayerError: the layer keeps its channels last, which Lucent's objectives cannot read.
        """
        with self._asked(inputs, None, additional_forward_args, None, 0) as question:
            _, targets, _ = self._targets(question, neuron_selector, energy, None)
            if question.reader.rearranges(targets.layer):
                raise LayerError(
                    f"layer {targets.layer!r} keeps its channels last, or has a view, which objectives "
                    "for a renderer cannot see; choose the block around it"
                )
            some = targets[torch.arange(len(targets.examples), device=targets.examples.device)]
        layer, outweigh = targets.layer.replace(".", "_"), self.recipe.outweigh
        return feature_map(layer, some.maps, some.filters.tolist(), outweigh=outweigh)

    def param(
        self,
        inputs: Tensor,
        neuron_selector: Selector,
        additional_forward_args: Any = None,
        **options: Any,
    ) -> ParamF:
        """A `param_f` that draws one image of the photos' size for each row of `objective`.

        Args:
            inputs: see `attribute`; one tensor.
            neuron_selector: see there.
            additional_forward_args: see there.
            **options: of `captum_featinv.param.image`; images that are not of three colours get as
                many independent channels as `inputs` have, and all lie on the device of `inputs`.

        Returns:
            A function without arguments that returns parameters and a function that draws (rows, C,
            H, W).

        Raises:
            ArgumentTypeError: `inputs` are not one tensor of photos.
        """
        _require_photos(inputs)
        with self._asked(inputs, None, additional_forward_args, None, 0) as question:
            _, targets, _ = self._targets(question, neuron_selector, "layer", None)
            rows = len(targets.examples)
        channels, height, width = inputs.shape[1], *inputs.shape[-2:]
        options.setdefault("device", inputs.device)
        if channels != 3:
            options.setdefault("channels", channels)
        return partial(param.image, width, height, batch=rows, **options)

    def _targets(
        self, question: Question, selector: Selector, energy: Energy, rows_at_once: int | None
    ) -> tuple[Codes, FilterMaps, Chosen]:
        """The photos' codes, and what is asked of which filters."""
        reader = question.reader
        if len(reader.layers) > 1:
            raise LayerError(
                f"a filter belongs to one layer, but `layer` has {len(reader.layers)}; use "
                "CodeInversion to match several layers"
            )
        codes = reader.read(question.inputs, rows_at_once)
        (layer,) = reader.layers
        code = codes[layer]
        named = chosen(selector, code.shape[1], layer)
        filters = torch.tensor(named.channels, device=code.device)
        return codes, FilterMaps(layer, code, filters, named.places(code), energy), named


def _measured(
    question: Question, targets: FilterMaps, rows: Tensor, pictures: Images
) -> list[FilterRecord]:
    """The records of some rows."""
    examples, some = targets.examples[rows], targets[rows]

    def code_of(images: Images) -> Tensor:
        shown = question.inputs.showing(images, examples)
        return question.reader(shown)[targets.layer]

    records = measure(
        code_of,
        tuple(picture[rows] for picture in pictures),
        targets.code[examples],
        some.filters,
        some.maps,
        question.spaces,
    )
    return [replace(r, photo=p) for r, p in zip(records, examples.tolist(), strict=True)]


def _require_photos(inputs: Any) -> None:
    if not isinstance(inputs, Tensor) or inputs.dim() != 4:
        found = tuple(inputs.shape) if isinstance(inputs, Tensor) else type(inputs)
        raise ArgumentTypeError(
            f"a renderer draws photos, a tensor (N, C, H, W), but found: {found}"
        )
