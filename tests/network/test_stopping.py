"""When a forward stops early, when it must not, and what a stop leaves behind."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint
from torchvision.models import densenet121

from captum_featinv import FeatureMapInversion, style
from captum_featinv.errors import LayerError
from captum_featinv.network.activations import Activations


class Body(nn.Module):
    """A layer, a ReLU, and a last layer that counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.last = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1)
        self.calls = 0
        self.last.register_forward_hook(self._count)

    def _count(self, *_: Any) -> None:
        self.calls += 1

    def forward(self, image: Tensor) -> Tensor:
        return self.last(self.relu(self.conv(image)))


def runs(model: nn.Module, layer: str, images: list[Tensor]) -> list[Tensor]:
    with (
        torch.no_grad(),
        Activations(model, {layer: model.get_submodule(layer)}) as activations,
    ):
        found = []
        for image in images:
            activations.run(image)
            found.append(activations(layer).clone())
        return found


# --- how often a layer is called ---------------------------------------------------------------


class Repeats(nn.Module):
    """A layer as often as the image says."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Conv2d(1, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        for _ in range(int(image[0, 0, 0, 0])):
            image = self.step(image)
        return image


@pytest.mark.parametrize(
    "numbers", [[3, 3, 1], [1, 1, 1, 1], [3, 1, 3, 1, 2], [2, 2, 2, 1, 3, 3, 4], [1, 2, 2, 2]]
)
def test_a_run_with_another_number_of_calls_gives_its_own_last_output(numbers: list[int]) -> None:
    model = Repeats().eval()
    images = [torch.full((1, 1, 2, 2), float(n)) for n in numbers]
    for found, image in zip(runs(model, "step", images), images, strict=True):
        assert torch.equal(found, model(image))


def test_more_calls_with_gradients_than_without_are_seen() -> None:
    """A photo is read without gradients, twice perhaps, before the first step."""
    model = Repeats().eval()
    with Activations(model, {"step": model.step}) as activations:
        with torch.no_grad():
            for _ in range(2):
                activations.run(torch.ones(1, 1, 2, 2))
        for _ in range(3):
            image = torch.full((1, 1, 2, 2), 3.0, requires_grad=True)
            activations.run(image)
            assert torch.equal(activations("step"), model(image))


def test_a_layer_that_is_left_out_in_a_later_run_is_an_error_that_says_so() -> None:
    model = Repeats().eval()
    shown = [torch.full((1, 1, 2, 2), float(n)) for n in (2, 2, 2, 0)]
    with pytest.raises(LayerError, match=r"given layer step.*although it had run before"):
        runs(model, "step", shown)


class Loop(nn.Module):
    """A network that is shown the examples in groups."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.net, self.rows = Body(), rows

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self.net(part) for part in images.split(self.rows)])


@pytest.mark.parametrize("rows", [1, 2])
def test_a_layer_that_is_called_for_one_example_after_another_gives_all(rows: int) -> None:
    model = Loop(rows).eval()
    images = [torch.rand(n, 3, 6, 7) for n in (1, 1, 5, 5, 5, 2, 1, 3)]
    for found, image in zip(runs(model, "net.relu", images), images, strict=True):
        assert_close(found, model.net.relu(model.net.conv(image)))


def test_pictures_of_such_a_model_are_those_of_the_model_without_the_loop(photos: Tensor) -> None:
    model = Loop(1).eval()
    expected = FeatureMapInversion(model.net, "relu").attribute(photos, [0, 1], n_steps=3)
    found = FeatureMapInversion(model, "net.relu").attribute(photos, [0, 1], n_steps=3)
    assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_a_reused_layer_gives_its_last_call_however_many_rows_it_has() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Identity()

        def forward(self, images: Tensor) -> Tensor:
            return self.layer(2 * self.layer(images)[:3])

    images = torch.rand(4, 3)
    for found in runs(Twice(), "layer", [images] * 3):
        assert torch.equal(found, 2 * images[:3])


class WarmsUp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net, self.warm = Body(), False

    def forward(self, image: Tensor) -> Tensor:
        if not self.warm:
            self.warm = True
            self.net(torch.zeros_like(image))
        return self.net(image)


def test_a_model_that_warms_up_in_its_first_forward_is_stopped_nevertheless() -> None:
    model = WarmsUp().eval()
    images = [torch.rand(1, 3, 5, 5) for _ in range(6)]
    for found, image in zip(runs(model, "net.conv", images), images, strict=True):
        assert_close(found, model.net.conv(image))
    assert model.net.calls == 2 + 2  # complete: the first run, with its warming up, and two others


# --- what a stop leaves behind -----------------------------------------------------------------


class Swaps(nn.Module):
    """Runs with another head for a while."""

    def __init__(self, *, finally_: bool) -> None:
        super().__init__()
        self.body, self.head, self.finally_ = Body(), nn.Linear(2, 2), finally_
        self.mode, self.switches = "plain", 0

    def forward(self, image: Tensor) -> Tensor:
        head, self.head, self.mode = self.head, nn.Identity(), "bare"
        self.switches += 1
        if not self.finally_:
            code = self.body(image)
            self.head, self.mode = head, "plain"
            return code
        try:
            return self.body(image)
        finally:
            self.head, self.mode = head, "plain"


@pytest.mark.parametrize("finally_", [True, False])
def test_what_a_forward_exchanges_for_a_while_is_put_back(finally_: bool) -> None:
    model = Swaps(finally_=finally_).eval()
    head = model.head
    images = [torch.rand(1, 3, 5, 5) for _ in range(6)]
    for found, image in zip(runs(model, "body.conv", images), images, strict=True):
        assert_close(found, model.body.conv(image))
    assert model.head is head
    assert list(model._modules) == ["body", "head"]
    assert model.mode == "plain"
    assert model.switches == 6  # a counter is no leftover
    # With `finally` it may be stopped; without, it is once, and never again.
    assert model.body.calls == (2 if finally_ else 5)


def test_gradients_that_a_forward_switches_off_for_a_while_are_on_again() -> None:
    class Careless(Body):
        def forward(self, image: Tensor) -> Tensor:
            torch.set_grad_enabled(False)
            code = self.relu(self.conv(image))
            torch.set_grad_enabled(True)
            return self.last(code)

    model = Careless().eval()
    with Activations(model, {"relu": model.relu}) as activations:
        for _ in range(5):
            activations.run(torch.rand(1, 3, 5, 5))
            assert torch.is_grad_enabled()


@pytest.mark.parametrize("kind", [Exception, BaseException])
def test_a_model_that_catches_everything_does_not_catch_the_stop(kind: type) -> None:
    class Falls(Body):
        def forward(self, image: Tensor) -> Tensor:
            try:
                code = self.conv(image)
                code = self.relu(code)
            except kind:
                code = self.conv(torch.zeros_like(image))
            return self.last(code)

    model = Falls().eval()
    images = [torch.rand(1, 3, 5, 5) for _ in range(5)]
    for found, image in zip(runs(model, "conv", images), images, strict=True):
        assert_close(found, model.conv(image))


def test_hooks_that_are_always_called_are_called_in_every_run() -> None:
    model, seen = Body().eval(), []
    model.register_forward_hook(lambda *_: seen.append(1), always_call=True)
    runs(model, "conv", [torch.rand(1, 3, 5, 5)] * 4)
    assert len(seen) == 4


# --- forwards that are not ours ----------------------------------------------------------------


class Checkpointed(nn.Module):
    """Computes its activations again in the backward pass."""

    def __init__(self, *, again: bool) -> None:
        super().__init__()
        self.stem, self.again = nn.Conv2d(3, 4, 3), again
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Tanh(), nn.Conv2d(4, 4, 1), nn.ReLU())

    def forward(self, image: Tensor) -> Tensor:
        code = self.stem(image)
        return checkpoint(self.block, code, use_reentrant=False) if self.again else self.block(code)


def checkpointed(*, again: bool) -> nn.Module:
    torch.manual_seed(5)
    return Checkpointed(again=again).eval()


@pytest.mark.parametrize("layer", ["stem", "block.1", "block.2", "block.3"])
def test_activation_checkpointing_changes_no_picture(layer: str, photos: Tensor) -> None:
    found, expected = (
        FeatureMapInversion(checkpointed(again=again), layer).attribute(photos, [0, 1], n_steps=3)
        for again in (True, False)
    )
    assert_close(found, expected)


def test_restyling_through_activation_checkpointing_changes_no_picture(photos: Tensor) -> None:
    layers: dict[str, Any] = {"style_layers": ["stem", "block.1"], "content_layer": "block.2"}
    found, expected = (
        style.restyle(checkpointed(again=again), photos, photos[:1] / 2, n_steps=3, **layers)
        for again in (True, False)
    )
    assert_close(found, expected)


def test_densenets_memory_efficient_form_is_restyled() -> None:
    photo = torch.rand(1, 3, 32, 32)
    layers = [f"features.denseblock1.denselayer{i}.relu2" for i in (1, 2)]
    found = []
    for efficient in (True, False):
        torch.manual_seed(0)
        net = densenet121(weights=None, memory_efficient=efficient).eval()
        found.append(
            style.restyle(
                net, photo, photo, style_layers=layers, content_layer=layers[1], n_steps=2
            )
        )
    assert_close(*found)


def test_a_pass_of_ones_own_between_runs_is_not_kept() -> None:
    model, image = Body().eval(), torch.rand(1, 3, 5, 5)
    with Activations(model, {"conv": model.conv}) as activations:
        for _ in range(4):
            activations.run(image)
            assert model(image + 1).shape == (1, 2, 3, 3)
            assert_close(activations("conv"), model.conv(image))


def test_a_run_inside_a_run_keeps_its_outputs_to_itself() -> None:
    model, image = Body().eval(), torch.rand(1, 3, 5, 5)
    layers = {"relu": model.relu}
    inner = Activations(model, layers)

    def hook(*_: Any) -> None:
        if not nested:
            nested.append(1)
            inner.run(image + 1)

    model.last.register_forward_hook(hook)
    with inner, Activations(model, layers) as outer:
        for _ in range(2):
            nested: list[int] = []
            outer.run(image)
            assert_close(outer("relu"), model.relu(model.conv(image)))
            assert_close(inner("relu"), model.relu(model.conv(image + 1)))


def test_attribute_inside_a_forward_hook_of_the_same_model(photos: Tensor) -> None:
    model, inner = Body().eval(), []
    expected = FeatureMapInversion(model, "relu").attribute(photos, 0, n_steps=2)
    other = FeatureMapInversion(model, "conv").attribute(photos, 1, n_steps=2)

    def hook(*_: Any) -> None:
        if not inner:
            inner.append(None)
            inner[0] = FeatureMapInversion(model, "conv").attribute(photos, 1, n_steps=2)

    handle = model.conv.register_forward_hook(hook)
    assert torch.equal(FeatureMapInversion(model, "relu").attribute(photos, 0, n_steps=2), expected)
    handle.remove()
    assert torch.equal(inner[0], other)


def test_a_hook_that_never_ends_asking_is_refused(photos: Tensor) -> None:
    model = Body().eval()
    model.conv.register_forward_hook(
        lambda *_: FeatureMapInversion(model, "relu").attribute(photos, 0, n_steps=1) and None
    )
    with pytest.raises(LayerError, match="again and again"):
        FeatureMapInversion(model, "relu").attribute(photos, 0, n_steps=1)


def test_attribute_inside_a_rewrite(photos: Tensor) -> None:
    from captum_featinv import CodeInversion

    model = Body().eval()
    other = FeatureMapInversion(model, "conv").attribute(photos, 1, n_steps=2)
    inner = []

    def rewrite(code: Tensor) -> Tensor:
        inner.append(FeatureMapInversion(model, "conv").attribute(photos, 1, n_steps=2))
        return code

    expected = CodeInversion(model, "relu").attribute(photos, n_steps=2)
    assert torch.equal(CodeInversion(model, "relu").attribute(photos, rewrite, n_steps=2), expected)
    assert torch.equal(inner[0], other)


# --- what a layer puts out ---------------------------------------------------------------------


class Fields(nn.Module):
    def __init__(self, output: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.output, self.after = output, nn.ReLU(inplace=True)

    def forward(self, image: Tensor) -> Any:
        return self.output(image)


def test_a_callable_picks_one_tensor_of_several() -> None:
    layer, tail = Fields(lambda x: {"map": 2 * x, "other": x}), nn.ReLU(inplace=True)
    shown = []

    def model(image: Tensor) -> Tensor:
        shown.append(image)
        return tail(layer(image)["map"])

    image = torch.randn(2, 3)
    select = {"fields": lambda output: output["map"]}
    with Activations(
        model, {"fields": layer, "tail": tail}, select=select
    ) as activations:  # overwritten later, so a clone is kept
        for _ in range(4):
            activations.run(image)
            assert torch.equal(activations("fields"), 2 * image)
            assert torch.equal(activations("tail"), (2 * image).relu())


def test_what_is_picked_must_be_a_tensor() -> None:
    layer = Fields(lambda x: (x, x))
    with (
        Activations(layer, {"pair": layer}, select={"pair": lambda pair: pair[:1]}) as activations,
        pytest.raises(LayerError, match=r"picked from layer 'pair' is tuple.* puts out tuple"),
    ):
        activations.run(torch.rand(2, 3))


# --- what a model is given ---------------------------------------------------------------------


class Overwrites(nn.Module):
    """Normalises all that it is given in place."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())

    def forward(self, image: Tensor, gain: Tensor, more: Any = ()) -> Tensor:
        image -= 0.3
        gain *= 2
        for part in more["parts"] if more else ():
            part.zero_()
        return self.net(image * gain)


@pytest.mark.parametrize("inference", [False, True])
def test_a_model_may_write_into_what_it_is_given(inference: bool) -> None:
    model = Overwrites().eval()
    with torch.inference_mode(inference):
        image, gain, part = torch.rand(2, 3, 5, 5), torch.tensor(0.5), torch.ones(2)
    given = [t.clone() for t in (image, gain, part)]
    expected = model.net(given[0] - 0.3)
    with Activations(model, {"net": model.net}) as activations:
        for _ in range(4):
            activations.run(image, gain, {"parts": [part]})
            assert_close(activations("net"), expected)
    for before, after in zip(given, (image, gain, part), strict=True):
        assert torch.equal(before, after)


def test_gradients_reach_an_input_that_the_model_overwrites() -> None:
    model = Overwrites().eval()
    image, gain = torch.rand(2, 3, 5, 5, requires_grad=True), torch.tensor(0.5)
    (expected,) = torch.autograd.grad(model.net(image - 0.3).sum(), image)
    with Activations(model, {"net": model.net}) as activations:
        for _ in range(3):
            activations.run(image, gain)
            (found,) = torch.autograd.grad(activations("net").sum(), image)
            assert_close(found, expected)


class Counted(TorchDispatchMode):
    """Counts what torch is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        self.names[str(function)] += 1
        return function(*args, **(kwargs or {}))


def test_a_run_that_is_stopped_asks_for_one_clone_an_input_and_the_layers_alone() -> None:
    model = Overwrites().eval()
    image, gain = torch.rand(2, 3, 5, 5, requires_grad=True), torch.tensor(0.5)
    with Activations(model, {"net": model.net[0]}) as activations:
        for _ in range(3):
            activations.run(image, gain)
        with Counted() as counted:
            activations.run(image, gain)
            activations("net")
    names = {name.split(".")[1]: number for name, number in counted.names.items()}
    assert names == {"clone": 2, "sub_": 1, "mul_": 1, "mul": 1, "convolution": 1}
