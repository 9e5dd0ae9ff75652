"""Models that were scripted, exported, quantized or reparametrized: they work or say what to do."""

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from captum_featinv import CodeInversion, FeatureMapInversion
from captum_featinv.errors import LayerError
from captum_featinv.network.activations import Activations
from captum_featinv.network.anatomy import anatomy
from captum_featinv.network.depth import layers_for_style
from captum_featinv.network.hooking.hooks import observe

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.features(image))


@pytest.fixture
def net() -> nn.Module:
    return Net().eval()


@pytest.mark.parametrize("how", ["script", "trace"])
def test_a_layer_inside_torchscript_is_an_error_that_asks_for_the_python_model(
    net: nn.Module, photos: Tensor, how: str
) -> None:
    made = torch.jit.script(net) if how == "script" else torch.jit.trace(net, photos)
    for layer in ("features.1", made.features):
        with pytest.raises(LayerError, match=r"is TorchScript.*use the Python model"):
            FeatureMapInversion(made, layer).attribute(photos, 0)
    assert made(photos).shape == (2, 2, 11, 16)


def test_frozen_torchscript_has_no_layers(net: nn.Module) -> None:
    frozen = torch.jit.freeze(torch.jit.script(net))
    with pytest.raises(LayerError, match=r"it has none.*TorchScript runs without Python"):
        FeatureMapInversion(frozen, "features.1")


def test_behind_a_scripted_part_all_goes_on(net: nn.Module, photos: Tensor) -> None:
    expected = FeatureMapInversion(net, "head").attribute(photos, 0, n_steps=2)
    net.features = torch.jit.script(net.features)
    found = FeatureMapInversion(net, "head").attribute(photos, 0, n_steps=2)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
    net.last = nn.ReLU()
    assert [layer.name for layer in anatomy(net, height=128)] == ["head"]
    net.forward = lambda image: net.last(net.head(net.features(image)))
    assert layers_for_style(net, photos).content == "last"


def test_an_exported_program_says_where_its_layers_went(net: nn.Module, photos: Tensor) -> None:
    program = torch.export.export(net, (photos,))
    made = program.module()
    with pytest.raises(LayerError, match=r"no layer 'features\.1'.*torch\.export\.unflatten"):
        FeatureMapInversion(made, "features.1")
    with pytest.raises(LayerError, match=r"did not run.*torch\.export\.unflatten"):
        FeatureMapInversion(made, "features").attribute(photos, 0)
    found = FeatureMapInversion(torch.export.unflatten(program), "features.1").attribute(
        photos, 0, n_steps=2
    )
    expected = FeatureMapInversion(net, "features.1").attribute(photos, 0, n_steps=2)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.skipif(
    "fbgemm" not in torch.backends.quantized.supported_engines, reason="no quantized kernels"
)
def test_a_quantized_layer_asks_for_the_model_before(photos: Tensor) -> None:
    from torch.ao import quantization

    torch.backends.quantized.engine = "fbgemm"
    net = nn.Sequential(
        quantization.QuantStub(), nn.Conv2d(3, 4, 3), nn.ReLU(), quantization.DeQuantStub()
    ).eval()
    net.qconfig = quantization.get_default_qconfig("fbgemm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepared = quantization.prepare(net)
        prepared(photos)
        quantized = quantization.convert(prepared).eval()
    with pytest.raises(LayerError, match=r"puts out quantized numbers.*before it was quantized"):
        FeatureMapInversion(quantized, "1").attribute(photos, 0, n_steps=1)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize("layer", ["0", "1"])
def test_a_fresh_weight_norm_changes_no_picture(layer: str, photos: Tensor) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    expected = FeatureMapInversion(net, layer).attribute(photos, 0, n_steps=2)
    torch.nn.utils.weight_norm(net[0])
    found = FeatureMapInversion(net, layer).attribute(photos, 0, n_steps=2)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


# --- where hooks cannot all be set -------------------------------------------------------------


class Unhookable(nn.ReLU):
    def register_forward_hook(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("not me")


def hooks_of(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


@pytest.mark.parametrize("kind", [Unhookable, lambda: torch.jit.script(nn.ReLU())])
def test_no_hook_stays_where_a_later_layer_cannot_be_hooked(kind: Any, photos: Tensor) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), kind()).eval()
    layers = {"0": net[0], "1": net[1]}
    with pytest.raises((RuntimeError, LayerError)), Activations(net, layers):
        pass
    with pytest.raises((RuntimeError, LayerError)), observe(net, layers, lambda *_: None):
        pass
    with pytest.raises((RuntimeError, LayerError)):
        CodeInversion(net, ["0", "1"]).attribute(photos)
    with Activations(net, {"0": net[0]}) as activations:
        with pytest.raises((RuntimeError, LayerError)):
            activations.add("1", net[1])
        activations.run(photos)
        assert torch.equal(activations("0"), net[0](photos))
    assert hooks_of(net[0]) == 0
