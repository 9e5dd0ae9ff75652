import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from captum_featinv.errors import ArgumentTypeError, LayerError
from captum_featinv.network.layers import find_layer, list_layers


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    with torch.device("meta"):
        return resnet18()


def test_lists_every_layer_but_the_root_in_order(resnet: nn.Module) -> None:
    expected = [(name, module) for name, module in resnet.named_modules() if module is not resnet]
    assert list(list_layers(resnet).items()) == expected


def test_lists_a_shared_layer_under_each_of_its_names() -> None:
    relu = nn.ReLU()
    assert list_layers(nn.Sequential(relu, nn.Flatten(), relu)).keys() == {"0", "1", "2"}


@pytest.mark.parametrize("separator", [".", "_"])
def test_finds_every_layer_by_its_dotted_and_its_underscored_name(
    resnet: nn.Module, separator: str
) -> None:
    for name, module in resnet.named_modules():
        if name:
            assert find_layer(resnet, name.replace(".", separator)) == (name, module)


def test_finds_every_layer_by_its_module(resnet: nn.Module) -> None:
    for name, module in resnet.named_modules():
        if name:
            assert find_layer(resnet, module) == (name, module)


def test_names_a_module_after_its_type_where_the_model_does_not_know_it(resnet: nn.Module) -> None:
    stranger = nn.Hardtanh()
    assert find_layer(resnet, stranger) == ("Hardtanh", stranger)
    assert find_layer(resnet.forward, stranger) == ("Hardtanh", stranger)


def test_an_exact_name_wins_over_an_underscored_one() -> None:
    inner, outer = nn.ReLU(), nn.Tanh()
    model = nn.ModuleDict({"a": nn.ModuleDict({"b": inner}), "a_b": outer})
    assert find_layer(model, "a_b") == ("a_b", outer)
    assert find_layer(model, "a.b") == ("a.b", inner)


def test_an_ambiguous_underscored_name_lists_the_candidates() -> None:
    model = nn.ModuleDict(
        {"a": nn.ModuleDict({"b_c": nn.ReLU()}), "a_b": nn.ModuleDict({"c": nn.ReLU()})}
    )
    with pytest.raises(LayerError, match=r"'a_b_c' is ambiguous.*a\.b_c or a_b\.c"):
        find_layer(model, "a_b_c")
    assert find_layer(model, "a_b.c")[0] == "a_b.c"


@pytest.mark.parametrize("wrong", ["layer3.1.bn3", "layer3_1_bn3"])
def test_an_unknown_name_lists_close_ones(resnet: nn.Module, wrong: str) -> None:
    with pytest.raises(
        LayerError, match=r"no layer 'layer3.*in this ResNet; did you mean"
    ) as caught:
        find_layer(resnet, wrong)
    assert "layer3.1.bn1" in str(caught.value)
    assert "layer3.1.bn2" in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, AssertionError)


def test_a_name_like_no_other_lists_the_first_ones(resnet: nn.Module) -> None:
    with pytest.raises(LayerError, match=r"it has conv1, bn1, relu, maxpool, layer1, "):
        find_layer(resnet, "zzzzzz")


@pytest.mark.parametrize("wrong", [3, None, ["conv1"]])
def test_a_layer_that_is_neither_a_module_nor_a_name_is_a_type_error(
    resnet: nn.Module, wrong: object
) -> None:
    with pytest.raises(
        ArgumentTypeError, match=r"must be a torch\.nn\.Module or the name"
    ) as caught:
        find_layer(resnet, wrong)
    assert isinstance(caught.value, TypeError)


def test_a_name_needs_a_model_with_named_layers(resnet: nn.Module) -> None:
    with pytest.raises(LayerError, match=r"'conv1' is given by name.*pass the layer's module"):
        find_layer(lambda image: resnet(image), "conv1")
