"""Models that torch.compile was asked for give the picture of the plain model, under its names."""

import sys
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from captum_featinv import FeatureMapInversion, list_layers
from captum_featinv.errors import LayerError
from captum_featinv.network.activations import Activations
from captum_featinv.network.hooking.compiled import eagerly
from captum_featinv.render import render_vis

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
RUNS_UNCOMPILED = pytest.mark.skipif(
    not hasattr(torch.compiler, "set_stance"), reason="torch 2.6 runs what is compiled uncompiled"
)


def plain() -> nn.Sequential:
    torch.manual_seed(3)
    body = nn.Sequential(nn.Conv2d(4, 5, 3), nn.ReLU())
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), body, nn.Conv2d(5, 2, 1)).eval()


def whole() -> nn.Module:
    return torch.compile(plain(), backend="eager")


def in_place() -> nn.Module:
    model = plain()
    model.compile(backend="eager")
    return model


def a_part() -> nn.Module:
    model = plain()
    model[2] = torch.compile(model[2], backend="eager")
    return model


def a_part_in_place() -> nn.Module:
    model = plain()
    model[2].compile(backend="eager")
    return model


def its_forward() -> nn.Module:
    model = plain()
    model.forward = torch.compile(model.forward, backend="eager")
    return model


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("layer", ["1", "2.1"])
@pytest.mark.parametrize(
    "make",
    [
        whole,
        *(
            pytest.param(make, marks=RUNS_UNCOMPILED)
            for make in (in_place, a_part, a_part_in_place, its_forward)
        ),
    ],
)
def test_the_picture_is_exactly_that_of_the_plain_model(
    make: Callable[[], nn.Module], layer: str, used: bool, photos: Tensor
) -> None:
    model = make()
    if used:
        with torch.no_grad():
            model(photos)
    expected = FeatureMapInversion(plain(), layer).attribute(photos, [0, 1], n_steps=3)
    found = FeatureMapInversion(model, layer).attribute(photos, [0, 1], n_steps=3)
    assert torch.equal(found, expected)
    with torch.no_grad():
        torch.testing.assert_close(model(photos), plain()(photos))
    assert list(list_layers(model)) == list(list_layers(plain()))


@RUNS_UNCOMPILED
def test_a_function_that_hides_a_compiled_model(photos: Tensor) -> None:
    model = whole()
    model(photos)
    layer = model._orig_mod[1]
    expected = FeatureMapInversion(plain(), "1").attribute(photos, 0, n_steps=3)
    for function in (lambda image: model(image), torch.compile(model.forward, backend="eager")):
        found = FeatureMapInversion(function, layer).attribute(photos, 0, n_steps=3)
        assert torch.equal(found, expected)


@pytest.mark.parametrize("name", ["_orig_mod.1", "_orig_mod_1", "1"])
def test_names_are_good_with_and_without_what_torch_puts_in_front(
    name: str, photos: Tensor
) -> None:
    expected = FeatureMapInversion(plain(), "1").attribute(photos, 0, n_steps=1)
    assert torch.equal(FeatureMapInversion(whole(), name).attribute(photos, 0, n_steps=1), expected)


def test_render_vis_shows_a_compiled_models_layer() -> None:
    images = []
    for model in (plain(), whole()):
        torch.manual_seed(0)
        options = {"show_image": False, "progress": False, "thresholds": (2,)}
        images.append(render_vis(model, "2_1:0", fixed_image_size=16, **options)[0])
    assert (images[0] == images[1]).all()


def test_it_compiles_again_afterwards() -> None:
    compiled = []

    def backend(graph: torch.fx.GraphModule, _: list[Tensor]) -> Callable[..., object]:
        compiled.append(graph)
        return graph.forward

    model = torch.compile(plain(), backend=backend)
    FeatureMapInversion(model, "1").attribute(torch.rand(1, 3, 9, 9), 0, n_steps=1)
    assert not compiled
    model(torch.rand(1, 3, 9, 9))
    assert compiled


def test_an_older_torch_says_what_to_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.compiler, "set_stance", raising=False)
    model = a_part()
    with pytest.raises(LayerError, match=r"2\.6.*as it was before torch\.compile"):
        FeatureMapInversion(model, "1").attribute(torch.rand(1, 3, 9, 9), 0)
    with eagerly(plain(), []):
        pass


def test_the_compiler_is_not_imported_for_a_plain_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which takes seconds; torchvision has imported it here, so it is taken out of sight first."""
    for name in [name for name in sys.modules if name.split(".")[:2] == ["torch", "_dynamo"]]:
        monkeypatch.delitem(sys.modules, name)
    model = nn.Sequential(nn.ReLU())
    with Activations(model, {"0": model[0]}) as activations:
        activations.run(torch.rand(2, 3))
    assert "torch._dynamo" not in sys.modules
