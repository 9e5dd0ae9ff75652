"""What a step does on the device: no more than it must, and nothing that comes from the host."""

from collections import Counter
from collections.abc import Iterator
from statistics import mean

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from captum_featinv import CodeInversion, FeatureMapInversion, Recipe, param, render, style
from captum_featinv.optimization import loop
from captum_featinv.render import rendering as renderer
from captum_featinv.transform import RandomBlur

ADAMS_CALLS = 9


class Calls(TorchDispatchMode):
    """Counts what is asked of the device, in the steps of loops."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Counter[str]] = []
        self.now: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if func.namespace == "aten":
            self.now[str(func)] += 1
        return func(*args, **(kwargs or {}))

    def begin(self) -> None:
        self.now = Counter()

    def end(self) -> None:
        self.steps.append(self.now)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Counts the calls of each step of every loop in the test."""
    counted, whole = Calls(), loop.descend

    def descend(*arguments: object, **options: object) -> Iterator[object]:
        steps = whole(*arguments, **options)  # type: ignore[arg-type]
        while True:
            counted.begin()
            step = next(steps, None)
            if step is None:
                return
            yield step
            counted.end()

    monkeypatch.setattr(loop, "descend", descend)
    monkeypatch.setattr(renderer, "descend", descend)
    return counted


def strided(stride: int) -> nn.Module:
    """Two convolutions, one place for so many pixels each way."""
    first = nn.Conv2d(3, 8, 3, padding=1, stride=stride)
    return nn.Sequential(first, nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()).eval()


@pytest.fixture
def network() -> nn.Module:
    return strided(1)


def bare_calls(network: nn.Module, photos: Tensor) -> int:
    """Of the network there and back, with the plainest loss and without an optimizer."""
    image = torch.zeros_like(photos).requires_grad_()
    with Calls() as counted:
        torch.autograd.grad(network(image).sum(), image)
    return counted.now.total()


def test_a_step_is_little_more_than_the_network_there_and_back(
    network: nn.Module, calls: Calls
) -> None:
    """On average over the default recipe, whose first steps redirect and half of whose blur.

    Seven calls, on one number a row, are how much each filter is asked for.
    """
    photos = torch.rand(2, 3, 24, 32) * 4 - 2
    with calls:
        FeatureMapInversion(network, "3").attribute(photos, [0, 1])
    steps = [step.total() for step in calls.steps]
    assert len(steps) == 32
    bare, ours = bare_calls(network, photos) + ADAMS_CALLS, mean(steps[1:])
    print(f"\nATen calls a step: {ours:.1f} (from {min(steps)} to {max(steps[1:])}); bare {bare}")
    assert ours <= bare + 33  # torch 2.3 counts each detach twice


# There: scaled, taken as complex, transformed, mixed, squashed; and the gradients of these.
FREQUENCIES_CALLS = 30


def test_frequencies_add_no_more_than_their_draw_and_its_gradient(calls: Calls) -> None:
    network, photos = strided(8), torch.rand(2, 3, 24, 32) * 4 - 2
    with calls:
        FeatureMapInversion(network, "3").attribute(photos, [0, 1])
    steps = [step.total() for step in calls.steps]
    bare, ours = bare_calls(network, photos) + ADAMS_CALLS, mean(steps[1:])
    print(f"\nATen calls a step: {ours:.1f} (from {min(steps)} to {max(steps[1:])}); bare {bare}")
    assert ours <= bare + 32 + FREQUENCIES_CALLS


def test_adam_makes_as_many_calls_as_that(calls: Calls) -> None:
    pixels = torch.zeros(2, 3, 4, 5, requires_grad=True)
    optimizer = torch.optim.Adam([pixels])
    pixels.grad = torch.ones_like(pixels)
    optimizer.step()
    with Calls() as counted:
        optimizer.step()
    assert counted.now.total() == ADAMS_CALLS


HOST_TO_DEVICE = ("aten._to_copy.default", "aten.lift_fresh.default", "aten.scalar_tensor.default")


def from_the_host(calls: Calls) -> list[str]:
    """What a step copies, but for the first of a loop, in which Adam makes a counter on the host.

    Nor for the very last, after which a renderer hands out the picture.
    """
    left_out = {0, len(calls.steps) // 2, len(calls.steps) - 1}
    steps = [step for number, step in enumerate(calls.steps) if number not in left_out]
    return [name for step in steps for name in HOST_TO_DEVICE if step[name]]


@pytest.mark.parametrize("recipe", [Recipe.default(), Recipe.paper(denoise=None, tolerance=None)])
@pytest.mark.parametrize("centre", [(0.485, 0.456, 0.406), None], ids=["bounded", "unbounded"])
@pytest.mark.parametrize("stride", [1, 8])
def test_nothing_is_copied_from_the_host_in_a_step(
    calls: Calls, recipe: Recipe, centre: tuple[float, ...] | None, stride: int
) -> None:
    """From a stride of 8 pixels on the default writes images down as frequencies."""
    network, photos = strided(stride), torch.rand(2, 3, 17, 25) * 4 - 2
    with calls:
        FeatureMapInversion(network, "3", mean=centre, recipe=recipe).attribute(
            photos, 1, n_steps=12
        )
        CodeInversion(network, ["1", "3"], mean=centre, recipe=recipe).attribute(photos, n_steps=12)
    smooth = stride == 8 and centre is not None and recipe.pixels is None
    transforms = [step["aten._fft_c2r.default"] for step in calls.steps]
    assert all(transforms) if smooth else not any(transforms)
    assert len(calls.steps) == 24
    assert from_the_host(calls) == []


def test_nothing_is_copied_from_the_host_in_a_step_of_restyling_or_rendering(
    network: nn.Module, calls: Calls
) -> None:
    photos = torch.rand(1, 3, 9, 11) * 4 - 2
    with calls:
        style.restyle(
            network, photos, photos.flip(2), style_layers=["1"], content_layer="3", n_steps=5
        )
        render.render_vis(
            network,
            "3:2",
            lambda: param.image(24),
            thresholds=(5,),
            transforms=[RandomBlur()],
            show_image=False,
            progress=False,
            fixed_image_size=24,
        )
    assert len(calls.steps) == 10
    assert from_the_host(calls) == []
