"""The names of papers in a VGG, against the table that torchvision builds its VGGs from."""

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.vgg import cfgs

from captum_featinv import FeatureMapInversion, Recipe, objectives
from captum_featinv.errors import LayerError
from captum_featinv.models import average_pooling
from captum_featinv.network.layers import find_layer, layer_aliases
from captum_featinv.render import Features

VGGS = {"vgg11": "A", "vgg13": "B", "vgg16": "D", "vgg19": "E"}


def by_table(table: str, *, norm: bool) -> dict[str, str]:
    """Counting through the channels of the convolutions, with an M for each pooling."""
    found: dict[str, str] = {}
    block, number, index = 1, 0, 0
    for entry in cfgs[table]:
        if entry == "M":
            found[f"pool{block}"] = f"features.{index}"
            block, number, index = block + 1, 0, index + 1
            continue
        number += 1
        for word in ("conv", "bn", "relu") if norm else ("conv", "relu"):
            found[f"{word}{block}_{number}"] = f"features.{index}"
            index += 1
    return found


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("name", VGGS)
@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_a_vggs_layers_have_the_names_of_papers(library: str, name: str, norm: bool) -> None:
    full = f"{name}_bn" if norm else name
    with torch.device("meta"):
        if library == "timm":
            model = pytest.importorskip("timm").create_model(full)
        else:
            model = torchvision.models.get_model(full, weights=None)
    expected = by_table(VGGS[name], norm=norm)
    assert layer_aliases(model) == expected
    assert layer_aliases(average_pooling(model)) == expected
    for alias, dotted in expected.items():
        assert find_layer(model, alias) == (dotted, model.get_submodule(dotted))


@pytest.mark.parametrize("name", ["alexnet", "squeezenet1_1", "densenet121", "mobilenet_v2"])
def test_another_network_with_features_has_no_such_names(name: str) -> None:
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None)
    assert isinstance(model.features, nn.Sequential)
    assert layer_aliases(model) == {}


def vgg(*layers: nn.Module) -> nn.Module:
    return nn.ModuleDict({"features": nn.Sequential(*layers)})


def conv(kernel: int = 3, stride: int = 1) -> nn.Module:
    return nn.Conv2d(2, 2, kernel, stride)


@pytest.mark.parametrize(
    ("layers", "found"),
    [
        ([conv(), nn.ReLU(), conv(), nn.ReLU()], "conv1_1 relu1_1 conv1_2 relu1_2"),
        ([conv(), nn.ReLU(), nn.AvgPool2d(2)], "conv1_1 relu1_1 pool1"),
        ([conv(5), nn.ReLU()], ""),
        ([conv(3, 2), nn.ReLU()], ""),
        ([conv(), nn.Tanh()], ""),
        ([conv(), nn.ReLU(), nn.BatchNorm2d(2)], ""),
        ([conv(), nn.ReLU(), nn.MaxPool2d(2), nn.MaxPool2d(2)], ""),
        ([conv(), nn.ReLU(), nn.MaxPool2d(3, 1)], ""),
        ([conv(), conv(), nn.ReLU()], ""),
        ([], ""),
    ],
)
def test_what_the_features_are_made_of_decides(layers: list[nn.Module], found: str) -> None:
    assert list(layer_aliases(vgg(*layers))) == found.split()


def test_the_names_are_found_inside_other_modules_unless_there_are_two() -> None:
    one = vgg(conv(), nn.ReLU())
    assert layer_aliases(nn.Sequential(nn.Identity(), one))["relu1_1"] == "1.features.1"
    assert layer_aliases(nn.DataParallel(one))["conv1_1"] == "module.features.0"
    assert layer_aliases(nn.Sequential(one, vgg(conv(), nn.ReLU()))) == {}


def test_a_layers_own_name_wins_over_that_of_papers() -> None:
    model = vgg(conv(), nn.ReLU())
    model["relu1_1"] = nn.Identity()
    assert find_layer(model, "relu1_1") == ("relu1_1", model["relu1_1"])
    assert find_layer(model, "conv1_1")[0] == "features.0"


def test_an_unknown_name_suggests_those_of_papers() -> None:
    with torch.device("meta"):
        model = torchvision.models.vgg16(weights=None)
    with pytest.raises(LayerError, match=r"no layer 'relu3_9' .*did you mean relu3_3"):
        find_layer(model, "relu3_9")
    with pytest.raises(
        LayerError, match=r"it has features, .*\(or conv1_1, relu1_1, conv1_2, \.\.\.\)"
    ):
        find_layer(model, "zzz")


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(conv(), nn.ReLU(), nn.MaxPool2d(2), conv(), nn.ReLU())
        for weight in self.parameters():  # so that all filters fire
            nn.init.uniform_(weight)

    def forward(self, image: Tensor) -> Tensor:
        found: Tensor = self.features(image)
        return found


@pytest.mark.parametrize("pooled", [False, True])
def test_a_texture_asked_for_by_a_papers_name_is_that_of_the_layer(pooled: bool) -> None:
    model = average_pooling(Tiny()).eval() if pooled else Tiny().eval()
    photo = torch.rand(1, 2, 16, 16)
    ways = [
        FeatureMapInversion(model, name, mean=0.0, std=1.0, recipe=Recipe.default(n_steps=3))
        for name in ("relu2_1", "features.4")
    ]
    one, other = (way.attribute(photo, 1) for way in ways)
    assert torch.equal(one, other)


def test_objectives_speak_of_layers_by_these_names_too() -> None:
    model, image = Tiny().eval(), torch.rand(1, 2, 16, 16)
    with Features(model) as features:
        losses = [
            features_loss(features, name, image) for name in ("relu2_1", "features.4", "relu1_1")
        ]
    assert losses[0] == losses[1] != losses[2]


def features_loss(features: Features, layer: str, image: Tensor) -> float:
    return float(features.loss(objectives.channel(layer, 1), image, image).detach())
