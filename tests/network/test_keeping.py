"""Modules come back as they were: values, tensors, modes, parts; what they made for later stays."""

import warnings
from typing import Any

import pytest
import torch
from torch import nn

from captum_featinv.errors import ArgumentError, FeatInvWarning
from captum_featinv.network.keeping import Keeper


@pytest.fixture
def norm() -> nn.BatchNorm2d:
    """With two buffers of floats, one of integers, and a tensor that is no buffer."""
    module = nn.BatchNorm2d(2).eval()
    module.extra = torch.ones(2)  # type: ignore[assignment]
    return module


def keeping(*modules: nn.Module) -> Keeper:
    keeper = Keeper()
    keeper.add(modules)
    return keeper


def test_values_of_buffers_and_other_tensors_come_back_in_the_same_tensors(norm: Any) -> None:
    tensors = [norm.running_mean, norm.num_batches_tracked, norm.extra]
    values = [tensor.tolist() for tensor in tensors]
    keeper = keeping(norm)
    norm.running_mean += 1
    norm.num_batches_tracked += 1
    norm.running_var = torch.zeros(2)
    norm.extra.zero_()
    keeper.put_back()
    assert [tensor.tolist() for tensor in tensors] == values
    assert norm.running_var.tolist() == [1, 1]


@pytest.mark.parametrize("training", [True, False])
def test_modes_come_back_each_modules_own(training: bool) -> None:
    net = nn.Sequential(nn.Dropout(), nn.ReLU())
    net[0].train(training)
    net[1].train(not training)
    keeper = keeping(*net)
    net.train(not training)
    net[1].train(training)
    keeper.put_back()
    assert [module.training for module in net] == [training, not training]


def test_a_module_is_remembered_as_it_was_at_first(norm: Any) -> None:
    keeper = keeping(norm)
    assert norm in keeper
    assert nn.ReLU() not in keeper
    norm.running_mean += 1
    keeper.add([norm])
    keeper.put_back()
    assert norm.running_mean.tolist() == [0, 0]


@pytest.mark.parametrize(
    "new",
    [torch.zeros(3), torch.zeros(2, dtype=torch.float64), torch.zeros(2, device="meta"), None, "x"],
    ids=["shape", "dtype", "device", "nothing", "no tensor"],
)
def test_a_tensor_in_place_of_one_unlike_it_stays(norm: Any, new: Any) -> None:
    keeper = keeping(norm)
    norm.extra, norm.made = new, torch.ones(1)
    keeper.put_back()
    assert norm.extra is new
    assert norm.made.tolist() == [1]


def test_what_was_resized_in_place_stays(norm: Any) -> None:
    keeper = keeping(norm)
    norm.extra.resize_(5)
    keeper.put_back()
    assert norm.extra.shape == (5,)


def test_with_an_exchanged_part_all_that_goes_with_it_comes_back() -> None:
    class Owner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part, self.fused = nn.ReLU(), False

    one, other = Owner(), Owner()
    part, keeper = one.part, keeping(one, other)
    one.part, one.fused = nn.Tanh(), True
    other.late, other.fused = nn.Tanh(), True
    keeper.put_back()
    assert one.part is part
    assert not one.fused
    assert list(other._modules) == ["part", "late"]  # made for later, with what says so
    assert other.fused


@pytest.mark.parametrize("rows", [2, 3])
def test_an_exchanged_parameter_comes_back_with_what_goes_with_it(rows: int) -> None:
    layer = nn.Linear(2, 2)
    weight, keeper = layer.weight, keeping(layer)
    layer.weight, layer.out_features = nn.Parameter(torch.zeros(rows, 2)), rows + 5
    keeper.put_back()
    assert layer.weight is weight
    assert layer.out_features == 2


def test_only_the_modules_themselves_are_kept_not_those_inside(norm: Any) -> None:
    keeper = keeping(nn.Sequential(norm))
    norm.running_mean += 1
    keeper.put_back()
    assert norm.running_mean.tolist() == [1, 1]


def test_changed_parameters_stay_and_each_kind_of_module_is_named_once() -> None:
    layers = [nn.Linear(1, 1), nn.Linear(1, 1), nn.Conv1d(1, 1, 1), nn.Bilinear(1, 1, 1)]
    keeper = keeping(*layers)
    with torch.no_grad():
        for layer in layers[:3]:
            layer.bias.fill_(7.0)
    with pytest.warns(FeatInvWarning, match=r"parameters of Conv1d, Linear, and") as caught:
        keeper.put_back()
    assert len(caught) == 1
    assert layers[0].bias.item() == 7.0


def test_nothing_is_said_where_nothing_changed(norm: Any) -> None:
    before = norm.running_mean._version
    keeper = keeping(norm)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        keeper.put_back()
    assert norm.running_mean._version == before


@pytest.mark.parametrize("what", ["parameter", "buffer"])
def test_a_module_that_was_built_in_inference_mode_is_refused(what: str) -> None:
    with torch.inference_mode():
        module = nn.Linear(1, 1) if what == "parameter" else nn.BatchNorm1d(1, affine=False)
    net = nn.Sequential(module)
    with pytest.raises(ArgumentError, match=rf"this {type(module).__name__} was built in"):
        keeping(*net.modules())


def test_another_tensor_of_inference_mode_is_no_reason_to_refuse() -> None:
    module = nn.ReLU()
    with torch.inference_mode():
        module.table = torch.ones(1)  # type: ignore[assignment]
    keeper = keeping(module)
    with torch.inference_mode():
        module.table += 1
    keeper.put_back()
    assert module.table.tolist() == [2]  # it cannot be written to out here


@pytest.mark.parametrize("scale", [None, 1])
def test_a_tensor_that_wants_gradients_comes_back(scale: int | None) -> None:
    module, leaf = nn.ReLU(), torch.ones(2, requires_grad=True)
    module.table = leaf if scale is None else scale * leaf  # type: ignore[assignment]
    keeper = keeping(module)
    with torch.no_grad():
        module.table.zero_()
    keeper.put_back()
    assert module.table.tolist() == [1, 1]


def test_meta_tensors_hold_nothing_to_put_back() -> None:
    module = nn.BatchNorm1d(2, device="meta")
    keeping(module).put_back()
    assert module.running_mean is not None
    assert module.running_mean.device.type == "meta"


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
@pytest.mark.parametrize("norm", [False, True])
def test_a_lazy_module_keeps_the_weights_that_its_first_forward_makes(norm: bool) -> None:
    parts = [nn.LazyConv2d(4, 3), *([nn.LazyBatchNorm2d()] if norm else [])]
    net = nn.Sequential(*parts).eval()
    keeper = keeping(*net.modules())
    code = net(torch.ones(1, 3, 5, 5))
    keeper.put_back()
    assert type(net[0]) is nn.Conv2d
    assert torch.equal(net(torch.ones(1, 3, 5, 5)), code)
