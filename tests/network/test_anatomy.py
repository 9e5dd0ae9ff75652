from collections.abc import Callable
from itertools import accumulate
from math import prod

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import vgg
from torchvision.models.convnext import CNBlockConfig, ConvNeXt

from captum_featinv.errors import LayerError
from captum_featinv.network.anatomy import (
    LayerAnatomy,
    anatomy,
    receptive_field,
    receptive_fields,
)


def by_name(model: nn.Module, **options: int) -> dict[str, LayerAnatomy]:
    return {layer.name: layer for layer in anatomy(model.eval(), **options)}


def test_vgg16_has_the_receptive_fields_and_strides_of_the_literature() -> None:
    # vgg16(weights=None).features with an eighth of the channels, much sooner
    slim = [size if isinstance(size, str) else size // 8 for size in vgg.cfgs["D"]]
    layers = by_name(vgg.make_layers(slim), height=288)
    known = {"3": (1, 5), "8": (2, 14), "15": (4, 40), "22": (8, 92), "29": (16, 196)}
    assert {n: (layers[n].stride, layers[n].receptive_field) for n in known} == known
    assert [layers[n].channels for n in known] == [8, 16, 32, 64, 64]
    assert all(layers[n].kind == "ReLU" for n in known)


@pytest.mark.slow
def test_resnet18_has_a_field_of_435_pixels_where_the_image_is_high_enough() -> None:
    model = torchvision.models.resnet18(weights=None)
    last = by_name(model, height=640)["layer4.1.conv2"]
    assert last == LayerAnatomy("layer4.1.conv2", "Conv2d", 512, 32, 435)
    low = by_name(model, height=256)
    assert low["layer4.1.conv2"].receptive_field is None
    assert low["layer1.0.conv1"].receptive_field == 7 + 4 + 4 * 2


@pytest.mark.parametrize(
    "stack",
    [
        [(3, 1, 1), (3, 1, 1), (3, 1, 1)],
        [(7, 2, 1), (3, 2, 1), (3, 1, 1), (5, 4, 1)],
        [(3, 1, 2), (5, 1, 4), (3, 2, 3), (3, 1, 2)],
        [(4, 4, 1), (1, 2, 1), (3, 1, 1)],
        [(16, 16, 1), (3, 2, 1)],
    ],
    ids=str,
)
@pytest.mark.parametrize("padded", [True, False])
def test_a_stack_of_convolutions_has_the_field_of_the_closed_form(
    stack: list[tuple[int, int, int]], padded: bool
) -> None:
    """A layer widens the field by dilation * (kernel - 1) steps of the strides before it."""
    model = nn.Sequential(
        *(
            nn.Conv2d(3, 3, kernel, stride, dilation * (kernel // 2) * padded, dilation)
            for kernel, stride, dilation in stack
        )
    )
    strides = list(accumulate((stride for _, stride, _ in stack), int.__mul__))
    fields = [
        1 + sum(d * (k - 1) * prod(s for _, s, _ in stack[:i]) for i, (k, _, d) in enumerate(head))
        for head in (stack[: n + 1] for n in range(len(stack)))
    ]
    found = anatomy(model, height=384, width=128)
    assert [layer.stride for layer in found] == strides
    assert [layer.receptive_field for layer in found] == fields
    for height in (131, 200):  # whose maps have no height that is a stride's part of it
        image = torch.rand(1, 3, height, 100)
        assert [receptive_field(model, str(n), image) for n in range(len(stack))] == fields


def test_the_field_of_one_layer_on_one_size_is_that_of_the_anatomy_or_the_whole_image() -> None:
    parts = (nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 5, 2, 2), nn.MaxPool2d(2))
    model = nn.Sequential(*[part for _ in range(2) for part in parts], nn.Conv2d(3, 3, 9, 1, 4))
    image = torch.rand(1, 3, 80, 64)
    known = {one.name: one.receptive_field for one in anatomy(model, width=64)}
    for layer in "01234":
        assert receptive_field(model, layer, image) == known[layer]
    assert known["6"] > 80 == receptive_field(model, "6", image)
    with pytest.raises(LayerError, match="are no maps"):
        receptive_field(nn.Sequential(nn.Flatten(), nn.Linear(27, 2)), "1", image[..., :3, :3])


def test_of_parallel_branches_the_widest_field_counts() -> None:
    fire = torchvision.models.squeezenet.Fire(3, 2, 4, 5)
    layers = by_name(nn.Sequential(fire), height=128)
    assert (layers["0.expand1x1"].receptive_field, layers["0.expand3x3"].receptive_field) == (1, 3)
    assert (layers["0"].channels, layers["0"].receptive_field) == (9, 3)


def test_squeeze_and_excitation_sees_the_whole_image_and_so_does_all_after_it() -> None:
    squeeze = torchvision.ops.SqueezeExcitation(4, 2)
    layers = by_name(nn.Sequential(nn.Conv2d(3, 4, 3), squeeze, nn.Conv2d(4, 5, 3)), height=128)
    assert layers["0"] == LayerAnatomy("0", "Conv2d", 4, 1, 3)
    assert layers["1"] == LayerAnatomy("1", "SqueezeExcitation", 4, None, None)
    assert layers["2"] == LayerAnatomy("2", "Conv2d", 5, None, None)


def test_layers_without_maps_have_channels_only() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 7)
    )
    found = [
        (layer.channels, layer.stride, layer.receptive_field)
        for layer in anatomy(model, channels=1, height=128)
    ]
    assert found == [(4, 1, 3), (4, None, None), (4, None, None), (7, None, None)]


class Cut(nn.Module):
    """Thirty of its input's numbers, which are no maps of it."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.flatten(1)[:, :30].reshape(len(maps), 5, 6)


def test_numbers_that_are_no_maps_have_neither_channels_nor_a_field() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), Cut())
    assert by_name(model, height=128)["2"] == LayerAnatomy("2", "Cut", None, None, None)
    image = torch.rand(1, 3, 128, 64)
    assert receptive_fields(model, ["0", "2"], image) == {"0": 3}
    with pytest.raises(LayerError, match="what layer '2' puts out are no maps"):
        receptive_field(model, "2", image)


@pytest.mark.parametrize("height", [160, 200])
def test_of_a_stride_wider_than_the_lines_nothing_is_known(height: int) -> None:
    """It sees every 64th row, which the lines 80 to 112 do not pass, or 100 to 132 pass once."""
    model = nn.Sequential(nn.Conv2d(3, 4, 1, stride=64), nn.Conv2d(4, 5, 1))
    for name, found in by_name(model, height=height, width=200).items():
        assert (found.channels, found.stride, found.receptive_field) == (4 + int(name), None, None)


def test_layers_with_channels_last_have_the_right_channels() -> None:
    model = ConvNeXt([CNBlockConfig(24, None, 2)])
    layers = by_name(model.features, height=128)
    known = {"Conv2d": 24, "Permute": 24, "LayerNorm": 24, "Linear": 96, "GELU": 96}
    block = [layers[f"1.0.block.{number}"] for number in range(5)]
    assert {layer.kind: layer.channels for layer in block} == known
    assert {(layer.stride, layer.receptive_field) for layer in block} == {(4, 4 + 6 * 4)}


class WithAuxiliary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Conv2d(3, 2, 1)
        self.body = nn.Conv2d(3, 2, 3)
        self.auxiliary = nn.Conv2d(2, 1, 1)
        self.pair = Pair()

    def forward(self, image: Tensor) -> Tensor:
        maps, _ = self.pair(self.body(image))
        if self.training:
            maps = self.auxiliary(maps)
        return maps


class Pair(nn.Module):
    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        return maps, maps


def test_layers_that_never_run_or_put_out_no_single_tensor_are_left_out() -> None:
    assert list(by_name(WithAuxiliary(), height=128)) == ["body"]


def failing(_: object, inputs: tuple[Tensor, ...]) -> None:
    if inputs[0].isnan().any():
        raise RuntimeError("out of order")


@pytest.mark.parametrize("breaks", [False, True])
def test_the_model_is_left_as_it_was(breaks: bool) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True)).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    if breaks:
        handle = model[1].register_forward_pre_hook(failing)
        with pytest.raises(RuntimeError, match="out of order"):
            anatomy(model, height=128)
        handle.remove()
    else:
        assert [layer.receptive_field for layer in anatomy(model, height=128)] == [3, 3, 3]
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("model", [nn.Identity, lambda: nn.Sequential(Pair())])
def test_a_model_without_layers_that_put_out_a_tensor_is_refused(
    model: Callable[[], nn.Module],
) -> None:
    with pytest.raises(LayerError, match="puts out a tensor"):
        anatomy(model())
