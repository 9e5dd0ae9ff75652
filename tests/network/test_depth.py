"""Layers are chosen by depth: for style, for stages, and where to ask why."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from captum_featinv.errors import ArgumentError
from captum_featinv.network.depth import (
    adds_shortcuts,
    layer_that_shows_where,
    layers_for_style,
    layers_of_stages,
)


@pytest.mark.parametrize(
    ("name", "style", "content"),
    [
        ("vgg16", [1, 6, 11, 18], 8),
        ("vgg19", [1, 6, 11, 20], 8),
        ("vgg13_bn", [2, 9, 16, 23], 12),
        ("alexnet", [1, 4, 7], 4),
    ],
)
def test_the_papers_layers_are_found_in_a_vgg(name: str, style: list[int], content: int) -> None:
    """relu1_1, relu2_1, relu3_1, relu4_1 and relu2_2."""
    with torch.device("meta"):
        features = torchvision.models.get_model(name, weights=None).features
    narrow = narrowed(features)
    found = layers_for_style(narrow, torch.rand(2, 3, 64, 64))
    assert found.style == [f"features.{i}" for i in style]
    assert found.content == f"features.{content}"
    assert not found.residual


def narrowed(features: nn.Sequential) -> nn.Module:
    """The same layers with two channels each, so that it takes no time."""
    layers: list[nn.Module] = []
    for layer in features:
        if isinstance(layer, nn.Conv2d):
            channels = 2 if layers else 3
            layer = nn.Conv2d(channels, 2, layer.kernel_size, layer.stride, layer.padding)
        elif isinstance(layer, nn.BatchNorm2d):
            layer = nn.BatchNorm2d(2)
        layers.append(layer)
    whole = nn.Module()
    whole.features = nn.Sequential(*layers)
    whole.forward = whole.features.forward
    return whole.eval()


@pytest.mark.parametrize(
    ("name", "style", "content"),
    [
        ("resnet18", ["relu", "layer1.0.relu", "layer2.0.relu", "layer3.0.relu"], "layer1.1.relu"),
        ("squeezenet1_1", ["features.1", *(f"features.{i}.squeeze_activation" for i in (3, 6, 9))],
         "features.4.expand3x3_activation"),
    ],
)  # fmt: skip
def test_other_networks_have_a_layer_for_each_scale(
    name: str, style: list[str], content: str
) -> None:
    model = torchvision.models.get_model(name, weights=None).eval()
    found = layers_for_style(model, torch.rand(1, 3, 64, 64))
    assert found.style == style
    assert found.content == content
    assert found.residual == name.startswith("res")


def test_a_network_that_calls_its_relu_as_a_function_and_keeps_channels_last_is_read() -> None:
    class Block(nn.Module):
        def __init__(self, channels: int, filters: int) -> None:
            super().__init__()
            self.conv = nn.Conv2d(channels, filters, 3, 2, 1)

        def forward(self, image: Tensor) -> Tensor:
            return self.conv(image).relu()

    class Last(nn.Module):
        def forward(self, code: Tensor) -> Tensor:
            return code.movedim(1, -1).relu()

    model = nn.ModuleList([Block(3, 5), Block(5, 24), Last()])
    model.forward = lambda image: model[2](model[1](model[0](image)))
    found = layers_for_style(model.eval(), torch.rand(1, 3, 40, 36))
    assert found.style == ["0", "1"]
    assert found.content == "2"


def test_looking_for_layers_leaves_no_hook(
    model: nn.Module, photos: Tensor, state_of: Callable[[nn.Module], dict]
) -> None:
    before = state_of(model)
    layers_for_style(model, photos)
    assert state_of(model) == before


def test_to_ask_why_it_is_the_last_one_that_still_shows_where(model: nn.Module) -> None:
    """Not the small network's ReLU, which runs twice."""
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Conv2d(4, 4, 1), nn.ReLU(),
    )  # fmt: skip
    assert layer_that_shows_where(net, torch.rand(1, 3, 16, 18)) == "4"
    assert layer_that_shows_where(net, torch.rand(1, 3, 32, 32)) == "7"
    with pytest.raises(ArgumentError, match="8 x 8 places"):
        layer_that_shows_where(model, torch.rand(1, 3, 32, 32))


def test_one_network_read_once_a_question_names_layers_of_all_three_kinds() -> None:
    net = torchvision.models.resnet18(weights=None).eval()
    photo = torch.rand(1, 3, 128, 128)
    assert layers_for_style(net, photo).style[1:] == [f"layer{i}.0.relu" for i in (1, 2, 3)]
    assert layers_of_stages(net, photo) == ["relu", *(f"layer{i}.1.relu" for i in (1, 2, 3, 4))]
    assert layer_that_shows_where(net, photo) == "layer3"


def test_shortcuts_count_where_the_deepest_of_the_layers_stands_behind_one() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.relu = nn.Conv2d(3, 3, 1), nn.ReLU()
            self.pair, self.head = nn.Identity(), nn.Identity()

        def forward(self, image: Tensor) -> Tensor:
            code = self.conv(image)
            self.pair((code, code))
            return self.head(self.relu(code + code.relu()) + 1)

    model, photo = Residual().eval(), torch.rand(1, 3, 8, 8)
    for layers, expected in [
        (["conv"], False), (["relu"], True), (["relu", "conv"], True), (["head", "conv"], True),
        (["pair"], False), (["pair", "relu"], True), ([], False),
    ]:  # fmt: skip
        assert adds_shortcuts(model, photo, layers) is expected, layers
    assert not adds_shortcuts(nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()), photo, ["0", "1"])


def test_a_model_that_writes_into_its_input_leaves_the_photo_alone() -> None:
    net = nn.Sequential(nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.ReLU()).eval()
    photo = torch.rand(1, 3, 16, 16) - 0.5
    given = photo.clone()
    layers_for_style(net, photo)
    layers_of_stages(net, photo)
    layer_that_shows_where(net, photo)
    assert torch.equal(photo, given)


class ClassToken(nn.Module):
    """Tokens of 8 x 8 patches behind a token that alone is asked for the scores."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 6, 4, stride=4)
        block = nn.TransformerEncoderLayer(6, 2, 12, dropout=0.0, batch_first=True)
        self.blocks = nn.ModuleList([nn.Sequential(copy.deepcopy(block)) for _ in range(3)])
        self.head = nn.Linear(6, 4)

    def forward(self, image: Tensor) -> tuple[Tensor, None]:
        patches = self.patches(image).flatten(2).mT
        tokens = torch.cat([torch.zeros_like(patches[:, :1]), patches], 1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(tokens[:, 0]), None


def test_what_no_score_depends_on_does_not_show_where() -> None:
    """Of the last block of tokens, the class token alone is listened to."""
    model = ClassToken().eval()
    assert layer_that_shows_where(model, torch.rand(1, 3, 32, 32)) == "blocks.1"


@pytest.mark.parametrize("answer", [torch.Tensor.detach, lambda maps: maps.flatten(1).argmax(1)])
def test_where_scores_have_no_gradient_the_last_large_maps_show_where(answer: Any) -> None:
    class Silent(nn.Sequential):
        def forward(self, image: Tensor) -> Tensor:
            said: Tensor = answer(super().forward(image))
            return said

    model = Silent(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.ReLU()).eval()
    assert layer_that_shows_where(model, torch.rand(1, 3, 16, 16)) == "3"


def test_what_a_layer_says_in_numbers_that_are_no_maps_is_passed_over() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Unflatten(1, (7, 112)))
    model.append(nn.ReLU())
    found = layers_for_style(model.eval(), torch.rand(1, 3, 16, 16))
    assert found.style == ["1"]
