"""Bad input gets one clear error: what came, what was expected, what to try."""

from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from captum_featinv import CodeInversion, FeatureMapInversion, Recipe
from captum_featinv.errors import (
    ArgumentError,
    ArgumentTypeError,
    FeatInvError,
    FeatInvWarning,
    FilterError,
    ForwardError,
    LayerError,
)

PHOTO = torch.zeros(1, 3, 12, 12)


@pytest.mark.parametrize(
    ("inputs", "error", "text"),
    [
        ([PHOTO], ArgumentTypeError, r"must be a torch.Tensor or a tuple.* but found: .*list"),
        ((PHOTO, "x"), ArgumentTypeError, r"but found: .*str"),
        ((), ArgumentTypeError, "but found: "),
        (PHOTO.byte(), ArgumentError, r"dtype torch.uint8.*photo.float\(\) / 255"),
        (PHOTO / 0, ArgumentError, "432 values that are NaN or infinite"),
        (PHOTO[:0], ArgumentError, r"shape \(0, 3, 12, 12\).*batch dimension"),
        (PHOTO[:, :1], ArgumentError, "mean and std have 3 values but the images have 1 channels"),
    ],
)
def test_inputs(model: nn.Module, inputs: Any, error: type[FeatInvError], text: str) -> None:
    with pytest.raises(error, match=text):
        FeatureMapInversion(model, "relu").attribute(inputs, 0)


@pytest.mark.parametrize(
    ("selector", "error", "text"),
    [
        (99, FilterError, "index 99 is out of bounds for dimension 1 with size 8.*filters 0 to 7"),
        (-9, FilterError, "index -9 is out of bounds"),
        ([0, 8], FilterError, "index 8 is out of bounds"),
        ([], ArgumentError, "empty list; name at least one filter, or pass None for all 8"),
        (slice(0, 2), ArgumentTypeError, r"but found: .*slice.*such as list\(range\(5\)\)"),
        ("3", ArgumentTypeError, "but found: .*str"),
        (True, ArgumentTypeError, "but found: .*bool"),
        (1.0, ArgumentTypeError, "but found: .*float"),
        (lambda code: code[:, 0], ArgumentTypeError, "but found: .*function"),
        ((1, 2, 3, 4), ArgumentError, "Cannot choose target column with output shape"),
        ((slice(0, 2), 1), ArgumentTypeError, "a tuple that starts with one"),
        ((1, 99), FilterError, r"index \(1, 99\) does not fit .* \(6, 6\)"),
    ],
)
def test_selectors(model: nn.Module, selector: Any, error: type[FeatInvError], text: str) -> None:
    with pytest.raises(error, match=text):
        FeatureMapInversion(model, "relu").attribute(PHOTO, selector)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"energy": "all"}, "energy='all' is none of 'layer', 'own', 'rescaled'"),
        ({"n_steps": 0}, "number of steps must be a positive integer. Given: 0"),
        ({"internal_batch_size": 0}, "Batch size must be greater than 0"),
        ({"internal_batch_size": 1.5}, "Batch size .* whole. Given internal_batch_size=1.5"),
        ({"baselines": float("nan")}, "baselines have values that are NaN or infinite"),
        ({"baselines": PHOTO / 0}, "baselines have values that are NaN or infinite"),
        ({"baselines": torch.zeros(2, 3, 5, 5)}, "Baseline can be provided as"),
        ({"baselines": torch.zeros(1, 3, 5, 5, dtype=torch.complex64)}, "baselines must be real"),
        *(({"seed": seed}, "seed must be a whole number") for seed in (2.5, "a", 2**64)),
        ({"baselines": (0.0, 0.0)}, "2 baselines came with 1 inputs"),
    ],
)
def test_options(model: nn.Module, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        FeatureMapInversion(model, "relu").attribute(PHOTO, 0, **options)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        ("conv3", "no layer 'conv3' in this SmallNet; did you mean conv2, conv1"),
        ([], "`layer` is an empty list"),
    ],
)
def test_layers(model: nn.Module, layer: Any, text: str) -> None:
    with pytest.raises(LayerError, match=text):
        FeatureMapInversion(model, layer)


def test_a_layer_that_never_ran(model: nn.Module) -> None:
    text = "Forward hook did not obtain any outputs for given layer Conv2d"
    with pytest.raises(LayerError, match=text):
        FeatureMapInversion(model, nn.Conv2d(3, 3, 1)).attribute(PHOTO, 0)


def test_a_layer_with_several_outputs() -> None:
    model = nn.Sequential(nn.Flatten(2), nn.GRU(144, 5, batch_first=True)).eval()
    with pytest.raises(LayerError, match=r"layer '1' puts out 2 outputs .tuple., not one tensor"):
        FeatureMapInversion(model, "1").attribute(PHOTO, 0)


def test_a_layer_without_feature_maps() -> None:
    model = nn.Sequential(nn.Conv2d(3, 7, 3), nn.Flatten(2), nn.Linear(100, 40)).eval()
    with pytest.raises(LayerError, match="these are no feature maps"):
        FeatureMapInversion(model, "2").attribute(torch.zeros(1, 3, 12, 12), 0)


def test_a_layer_that_loses_the_batch() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(0, 1)).eval()
    with pytest.raises(LayerError, match="not one row an image"):
        FeatureMapInversion(model, "1").attribute(PHOTO.repeat(2, 1, 1, 1), 0)


def test_filters_of_several_layers(model: nn.Module) -> None:
    with pytest.raises(LayerError, match=r"a filter belongs to one layer.*CodeInversion"):
        FeatureMapInversion(model, ["conv1", "conv2"]).attribute(PHOTO, 0)


def test_a_photo_smaller_than_the_network_can_take() -> None:
    model = torchvision.models.alexnet(weights=None).eval()
    with pytest.raises(ForwardError, match=r"inputs of shape \(1, 3, 12, 12\).*can be enlarged"):
        FeatureMapInversion(model, "features.1").attribute(PHOTO, 0)


def test_codes_that_are_not_finite(model: nn.Module) -> None:
    model.conv1.weight.data.fill_(torch.inf)
    with pytest.raises(ArgumentError, match="layer 'relu' puts out NaN or infinite values"):
        FeatureMapInversion(model, "relu").attribute(PHOTO + 1, 0)


def test_a_rewrite_of_another_shape(model: nn.Module) -> None:
    with pytest.raises(
        ArgumentError, match=r"rewrite returned \(1, 8\), expected .*\(1, 8, 6, 6\)"
    ):
        CodeInversion(model, "relu").attribute(PHOTO, lambda code: code.sum((2, 3)))


@pytest.mark.parametrize(
    ("rewrite", "text"),
    [
        (lambda code: code > 0, "numbers that no layer puts out .*torch.bool"),
        (lambda code: code.to(torch.complex64), r"torch.complex64.*end it with .*\.abs\(\)"),
        (lambda code: code.to_sparse(), r"torch.sparse_coo.*\.to_dense\(\)"),
        (lambda code: code.to("meta"), r"on meta\), expected .*on cpu"),
        (lambda code: code / code.clamp(min=0).flatten(1).sum(1)[0] * 0 / 0, "NaN or infinite"),
    ],
)
def test_a_rewrite_of_other_numbers(model: nn.Module, rewrite: Any, text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        CodeInversion(model, "relu").attribute(PHOTO, rewrite)


def test_a_rewrite_may_keep_its_graph_and_round() -> None:
    model, photo = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval(), torch.rand(1, 3, 9, 9)
    gain = torch.tensor(2.0, requires_grad=True)
    inversion = CodeInversion(model, "1", mean=None)
    expected = inversion.attribute(photo, lambda code: 2 * code, n_steps=3)
    assert torch.equal(inversion.attribute(photo, lambda code: gain * code, n_steps=3), expected)
    rounded = inversion.attribute(photo, lambda c: (9 * c).round(), n_steps=3)
    assert torch.equal(
        inversion.attribute(photo, lambda c: (9 * c).round().long(), n_steps=3), rounded
    )


@pytest.mark.parametrize("baseline", ["black", None])
def test_baselines_that_are_neither_tensor_nor_number(model: nn.Module, baseline: Any) -> None:
    with pytest.raises(ArgumentTypeError, match=r"baselines must be tensors or numbers.*found: "):
        FeatureMapInversion(model, "relu").attribute(PHOTO, 0, (baseline,))


@pytest.mark.parametrize("inputs", [(PHOTO,), torch.zeros(1, 3, 12)], ids=["tuple", "signal"])
def test_what_a_renderer_cannot_draw(inputs: Any) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 4))
    with pytest.raises(ArgumentTypeError, match=r"a tensor \(N, C, H, W\), but found: "):
        FeatureMapInversion(model.eval(), "1", mean=None).param(inputs, 0)


def test_pictures_that_are_no_tensors(model: nn.Module) -> None:
    with pytest.raises(ArgumentTypeError, match=r"must be tensors but found: .*ndarray"):
        FeatureMapInversion(model, "relu").report(PHOTO.numpy(), PHOTO, 0)


def test_pictures_that_are_not_from_these_photos(model: nn.Module) -> None:
    fmi = FeatureMapInversion(model, "relu")
    with pytest.raises(
        ArgumentError, match=r"shape \(1, 3, 12, 12\), expected \(1, 2, 3, 12, 12\)"
    ):
        fmi.report(PHOTO, PHOTO, [0, 1])
    photos = PHOTO.expand(2, -1, -1, -1)
    swapped = photos[None].expand(3, -1, -1, -1, -1)  # filters before photos: as many numbers
    with pytest.raises(ArgumentError, match=r"shape \(3, 2, .*expected \(2, 3, .*before filters"):
        fmi.report(swapped, photos, [0, 1, 2])
    with pytest.raises(ArgumentError, match="2 attributions came for 1 inputs"):
        fmi.report((PHOTO, PHOTO), PHOTO, 0)


def test_inputs_outside_the_range_that_mean_and_std_imply(model: nn.Module) -> None:
    text = r"inputs lie in \[0, 255\].*to \[0.4.*\] instead of \[0, 1\]; pass the mean and std"
    photo = torch.linspace(0, 255, 432).reshape(1, 3, 12, 12)
    with pytest.warns(FeatInvWarning, match=text):
        FeatureMapInversion(model, "relu").attribute(photo, 0, n_steps=1)


def test_a_filter_that_never_fires_is_named_and_shows_the_start_image(
    model: nn.Module, photos: Tensor
) -> None:
    model.conv2.weight.data[5] = 0
    model.conv2.bias.data[5] = -1
    fmi = FeatureMapInversion(model, "relu")
    with pytest.warns(FeatInvWarning, match="filter 5 of layer relu: nothing to show"):
        textures = fmi.attribute(photos, [0, 5], baselines=0.25, n_steps=5)
    torch.testing.assert_close(textures[:, 1], torch.full_like(photos, 0.25))
    silent = [record.silent for record in fmi.report(textures, photos, [0, 5])]
    assert silent == [False, True, False, True]


def test_a_run_that_diverges_is_warned_of(model: nn.Module, photos: Tensor) -> None:
    wild = Recipe.default(
        optimizer=lambda p: torch.optim.SGD(p, lr=30.0), schedule=None, retry=None
    )
    inversion = CodeInversion(model, "conv1", mean=None, recipe=wild)
    with pytest.warns(FeatInvWarning, match=r"photos 0, 1 of layer conv1: the run diverged"):
        found = inversion.attribute(photos, n_steps=30)
    assert torch.isfinite(found).all()


def test_no_nan_leaves_a_run_that_blew_up(model: nn.Module, photos: Tensor) -> None:
    wild = Recipe.default(optimizer=lambda p: torch.optim.SGD(p, lr=1e30), schedule=None)
    inversion = CodeInversion(model, "conv1", mean=None, recipe=wild)
    with pytest.warns(FeatInvWarning):
        found, delta = inversion.attribute(photos, n_steps=9, return_convergence_delta=True)
    assert torch.isfinite(found).all()
    assert not delta.isnan().any()
