"""What a forward changes by itself comes back, in any mode and however the model is handed over."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.testing import assert_close

from captum_featinv import FeatureMapInversion, style
from captum_featinv.errors import ArgumentError, FeatInvWarning
from captum_featinv.network.untouched import untouched
from tests.older import autocast_dtype, autocasts

_CPU = torch.device("cpu")


class Clip(nn.Module):
    """A network whose images go through a method of their own, in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.ReLU(), nn.Conv2d(4, 4, 1)
        )

    def encode(self, image: Tensor, scale: float = 1.0) -> Tensor:
        return self.body(scale * image).mean((2, 3))

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        return self.encode(image) @ text


class Wrapper(nn.Module):
    """Hides another model from its own list of modules."""

    def __init__(self, clip: Clip) -> None:
        super().__init__()
        self.hidden = [clip]

    def forward(self, image: Tensor) -> Tensor:
        return self.hidden[0].encode(image)


WAYS: dict[str, Callable[[Clip], Callable[..., Any]]] = {
    "function": lambda clip: lambda image: clip.encode(image),
    "method": lambda clip: clip.encode,
    "partial": lambda clip: partial(clip.encode, scale=2.0),
    "partial of a function": lambda clip: partial(lambda c, image: c.encode(image), clip),
    "wrapper": Wrapper,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_model_in_training_mode_behind_something_is_found(
    way: Callable[[Clip], Callable[..., Any]], photos: Tensor
) -> None:
    clip = Clip().train()
    before = copy.deepcopy(clip.state_dict())
    fmi = FeatureMapInversion(way(clip), clip.body[3])
    with pytest.warns(FeatInvWarning, match=r"training mode.*model\.eval\(\)") as caught:
        first = fmi.attribute(photos, 0, n_steps=2)
    assert len([w for w in caught if "training mode" in str(w.message)]) == 1
    with pytest.warns(FeatInvWarning, match="training mode"):
        second = fmi.attribute(photos, 0, n_steps=2)
    assert torch.equal(first, second)
    for name, value in clip.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_modules_that_a_forward_makes_for_itself_are_no_reason_to_warn(photos: Tensor) -> None:
    conv = nn.Conv2d(3, 4, 3).eval()

    def forward(image: Tensor) -> Tensor:
        return nn.Softmax(1)(nn.ReLU()(conv(image)))

    FeatureMapInversion(forward, conv).attribute(photos, 0, n_steps=1)


class Restless(nn.Module):
    """Changes itself in eval mode, in one way or another."""

    def __init__(self, change: str) -> None:
        super().__init__()
        self.change, self.conv = change, nn.Conv2d(3, 4, 3)
        self.drop = nn.Dropout(0.0)
        self.average: Tensor = torch.zeros(4)
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, image: Tensor) -> Tensor:
        code = self.conv(image)
        new = code.detach().mean((0, 2, 3))
        if self.change == "in place":
            self.calls += 1
        elif self.change == "data":
            self.mean.data.mul_(0.9).add_(new)
        elif self.change == "assignment":
            self.mean = 0.9 * self.mean + new
        elif self.change == "attribute":
            self.average = 0.9 * self.average + new
        elif self.change == "mode":
            self.drop.train()
        return functional.relu(self.drop(code))


@pytest.mark.parametrize("change", ["in place", "data", "assignment", "attribute", "mode"])
def test_what_a_forward_changes_in_eval_mode_comes_back(change: str, photos: Tensor) -> None:
    model = Restless(change).eval()
    tensors = {**dict(model.named_buffers()), "average": model.average}
    values = {name: tensor.clone() for name, tensor in tensors.items()}
    FeatureMapInversion(model, "conv").attribute(photos, 0, n_steps=2)
    style.restyle(model, photos, photos, style_layers=["conv"], content_layer="conv", n_steps=1)
    for name, tensor in {**dict(model.named_buffers()), "average": model.average}.items():
        assert tensor is tensors[name], name
        assert torch.equal(tensor, values[name]), name
    assert not any(module.training for module in model.modules())


class Lazy(nn.Module):
    """Makes a table when it is first needed, or needed for another size, and remembers that."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.size = kind, torch.Size()
        if kind == "buffer":
            self.register_buffer("table", None)
        elif kind == "attribute":
            self.table = None

    def forward(self, image: Tensor) -> Tensor:
        if self.size != image.shape[2:]:
            self.size, table = image.shape[2:], torch.ones(image.shape[2:])
            if self.kind == "new buffer":
                self.register_buffer("table", table)
            else:
                self.table = nn.ParameterList([table])[0] if self.kind == "part" else table
        return image * self.table


@pytest.mark.filterwarnings("ignore:filter")
@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("kind", ["attribute", "buffer", "new buffer", "part"])
def test_what_a_model_keeps_for_later_stays(kind: str, used: bool) -> None:
    """A table and what says that it is there must not come apart."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), Lazy(kind)).eval()
    if used:
        model(torch.rand(1, 3, 9, 9))
    photo = torch.rand(1, 3, 6, 6)
    FeatureMapInversion(model, "0").attribute(photo, 0, n_steps=1)
    assert model(photo).shape == (1, 4, 4, 4)


@pytest.mark.filterwarnings("ignore:filter")
def test_a_part_that_a_model_makes_in_its_first_forward_stays() -> None:
    """Made again it would have other weights than those that the picture was made for."""

    class Grows(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            if not hasattr(self, "conv"):
                self.conv = nn.Conv2d(image.shape[1], 4, 3)
            return self.conv(image)

    model = nn.Sequential(Grows(), nn.ReLU()).eval()
    FeatureMapInversion(model, "1").attribute(torch.rand(1, 3, 6, 6), 0, n_steps=1)
    assert list(model[0]._modules) == ["conv"]


@pytest.mark.filterwarnings("ignore:filter")
def test_a_part_that_a_forward_exchanges_for_good_comes_back_with_all_that_goes_with_it() -> None:
    class Fuses(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.scale, self.fused = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), False

        def forward(self, image: Tensor) -> Tensor:
            if not self.fused:
                self.conv, self.fused = fuse_conv_bn_eval(self.conv, self.scale), True
                del self.scale
            return self.conv(image)

    model = nn.Sequential(Fuses(), nn.ReLU()).eval()
    parts = dict(model[0]._modules)
    FeatureMapInversion(model, "1").attribute(torch.rand(1, 3, 6, 6), 0, n_steps=1)
    assert model[0]._modules == parts
    assert list(model[0]._modules) == ["conv", "scale"]
    assert not model[0].fused


@pytest.mark.filterwarnings("ignore:filter")
def test_parameters_that_a_forward_changes_are_warned_of() -> None:
    class Learns(nn.Conv2d):
        def forward(self, image: Tensor) -> Tensor:
            with torch.no_grad():
                self.bias += 1e-6
            return super().forward(image)

    model = nn.Sequential(Learns(3, 4, 3)).eval()
    with pytest.warns(FeatInvWarning, match=r"changed parameters of Learns.*deepcopy"):
        FeatureMapInversion(model, "0").attribute(torch.rand(1, 3, 6, 6), 0, n_steps=1)


# --- autocast and inference mode ---------------------------------------------------------------


def test_the_callers_autocast_changes_no_picture(model: nn.Module, photos: Tensor) -> None:
    fmi = FeatureMapInversion(model, "conv2")
    expected = fmi.attribute(photos, [0, 1], n_steps=3)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(fmi.attribute(photos, [0, 1], n_steps=3), expected)


def test_the_callers_autocast_is_as_it_was_afterwards() -> None:
    """Its cache too: a cast of a weight from a step without gradients would cut training off."""
    layer, image = nn.Conv2d(3, 4, 3).eval(), torch.rand(1, 3, 5, 5)
    with torch.autocast("cpu", torch.bfloat16):
        with untouched(layer, _CPU, 0):
            assert not autocasts()
            assert not torch.is_autocast_cache_enabled()
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                layer(image)
        assert autocasts()
        assert torch.is_autocast_cache_enabled()
        assert autocast_dtype() == torch.bfloat16
        loss = layer(image).float().sum()
    assert not autocasts()
    loss.backward()
    assert layer.weight.grad is not None


def test_the_meta_device_knows_no_autocast() -> None:
    with untouched(nn.ReLU().eval(), torch.device("meta"), 0):
        pass


def test_a_model_that_was_built_in_inference_mode_is_an_error_with_advice(photos: Tensor) -> None:
    with torch.inference_mode():
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    for given, layer in ((model, "1"), (lambda image: model(image), model[1])):
        with pytest.raises(ArgumentError, match=r"built in torch\.inference_mode.*deepcopy"):
            FeatureMapInversion(given, layer).attribute(photos, 0, n_steps=1)
    copied = copy.deepcopy(model)
    assert FeatureMapInversion(copied, "1").attribute(photos, 0, n_steps=1).shape == photos.shape


def test_inference_tensors_as_photos_and_extra_arguments(model: nn.Module, photos: Tensor) -> None:
    fmi = FeatureMapInversion(model, "conv2")
    gains = torch.tensor([1.0, 0.5])
    expected = fmi.attribute(photos, 0, additional_forward_args=gains, n_steps=2)
    with torch.inference_mode():
        frozen = photos.clone(), gains.clone()
    found = fmi.attribute(frozen[0], 0, additional_forward_args=frozen[1], n_steps=2)
    assert_close(found, expected)
