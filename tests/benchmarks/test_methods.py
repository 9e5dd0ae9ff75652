"""Every method makes as many pictures as asked for, in about the time it is given."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from captum_featinv import FeatureMapInversion, Recipe
from captum_featinv.images.display import as_saved
from captum_featinv.images.normalization import Normalization
from captum_featinv.models import LoadedModel, load_model
from tests.benchmarks import pictures
from tests.benchmarks.methods import METHODS, measured
from tests.benchmarks.pictures import Made, Maker, Method, Task, steps_within

pytestmark = pytest.mark.filterwarnings("ignore::captum_featinv.errors.FeatInvWarning")

OF_PHOTO = [
    "ours", "ours before", "ours, smooth", "authors", "authors, not denoised", "code inversion",
    "DreamLens accentuation",
]  # fmt: skip


@pytest.fixture
def tiny(model: nn.Module) -> LoadedModel:
    """With large weights, or two of the authors' steps would not change a grey level."""
    with torch.no_grad():
        model.conv2.weight.mul_(100)
    return LoadedModel(model, "tiny", Normalization(0.4, 0.3))


@pytest.fixture
def photos() -> Tensor:
    return torch.rand(2, 3, 20, 26)


def made_in_two_steps(
    name: str, loaded: LoadedModel, photos: Tensor, seed: int = 3, layer: str = "conv2"
) -> Made:
    """As a budget of so few seconds that two steps fit into it."""
    method = METHODS[name]
    maker = Maker(lambda task, _: method.maker._make(task, 2), per_filter=method.maker._per_filter)
    return Method(maker, method.finish).pictures(loaded, layer, [4, 1, 2], photos, seed=seed)


@pytest.mark.parametrize("name", METHODS)
def test_pictures_are_one_a_filter_and_photo_as_a_file_keeps_them(
    name: str,
    tiny: LoadedModel,
    photos: Tensor,
    state_of: Callable[[nn.Module], dict[str, object]],
) -> None:
    before = np.random.get_state()[1].tolist(), state_of(tiny.model)  # noqa: NPY002
    one, same, other = (made_in_two_steps(name, tiny, photos, seed) for seed in (3, 3, 4))
    assert (np.random.get_state()[1].tolist(), state_of(tiny.model)) == before  # noqa: NPY002
    assert one.images.shape == (3, 2, 3, 20, 26)
    assert one.images.dtype == torch.float32
    assert 0 <= one.images.min() < one.images.max() <= 1
    assert torch.equal(one.images, as_saved(one.images))
    assert one.seconds > 0
    assert torch.equal(one.images, same.images)
    if name not in OF_PHOTO:  # the seeds of the photos follow one another
        assert torch.equal(one.images[:, 1], other.images[:, 0])
    assert not torch.equal(one.images[:, 0], one.images[:, 1])
    alike = torch.equal(one.images[0], one.images[1])
    assert alike == (name == "code inversion")
    report = measured(tiny, "conv2", [4, 1, 2], photos, one.images)
    assert [record.filter for record in report] == [4, 1, 2] * 2


def test_the_authors_pictures_are_those_of_their_recipe(tiny: LoadedModel, photos: Tensor) -> None:
    fmi = FeatureMapInversion(
        tiny.model, "conv2", mean=0.4, std=0.3, recipe=Recipe.paper(n_steps=9)
    )
    inputs = tiny.normalization.to_model(photos)
    wanted = tiny.normalization.to_display(fmi.attribute(inputs, 1).detach())
    method = METHODS["authors"]
    nine = Maker(lambda task, _: method.maker._make(task, 9))
    made = Method(nine, method.finish).pictures(tiny, "conv2", [1], photos)
    assert_close(made.images[0], as_saved(wanted), atol=1.01 / 255, rtol=0)


def test_methods_that_share_a_run_run_once(tiny: LoadedModel, photos: Tensor) -> None:
    runs: list[Task] = []

    def make(task: Task, _: int | None) -> Tensor:
        runs.append(task)
        return torch.zeros(len(task.filters), len(task.photos), 3, 2, 2)

    maker = Maker(make)
    plain, brighter = Method(maker), Method(maker, lambda images: images + 1)
    for method, value in ((plain, 0), (brighter, 1)):
        made = method.pictures(tiny, "conv2", [0, 1], photos)
        assert torch.equal(made.images, torch.full((2, 2, 3, 2, 2), float(value)))
    assert len(runs) == 1
    for changed in ({"seed": 1}, {"filters": [0]}, {"photos": photos.clone()}):
        asked = {"loaded": tiny, "layer": "conv2", "filters": [0, 1], "photos": photos} | changed
        plain.pictures(**asked)
    assert len(runs) == 4


@pytest.mark.parametrize(
    ("seconds", "steps"), [(10, 40), (4.99, 20), (0.5, 2), (0.25, 1), (0.01, 1)]
)
def test_steps_fill_the_seconds(seconds: float, steps: int) -> None:
    """A step takes 250 ms, and before it come 2 s that do not count; the first call takes longer."""
    calls: list[int] = []

    def timed(steps: int) -> float:
        calls.append(steps)
        return 2 + 0.25 * steps + (5 if len(calls) == 1 else 0)

    assert steps_within(seconds, timed) == steps
    assert sum(calls) < 8


def test_quick_steps_are_timed_for_a_tenth_of_the_seconds() -> None:
    calls: list[int] = []

    def timed(steps: int) -> float:
        calls.append(steps)
        return 0.01 * steps

    assert steps_within(10, timed) == 1000
    assert calls == [1, 1, 101]


def test_a_clock_that_was_disturbed_still_gives_steps() -> None:
    times = iter([9.0, 8.0, 4.0])
    assert steps_within(28, lambda _: next(times)) == 28


def test_a_method_that_was_timed_too_slow_is_run_once_more(
    tiny: LoadedModel, photos: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock of its own: 0.1 s a step, three times as much as long as steps are timed."""
    steps: list[int] = []
    now = [0.0]
    monkeypatch.setattr(pictures, "process_time", lambda: now[0])

    def make(task: Task, number: int | None) -> Tensor:
        assert number is not None
        steps.append(number)
        now[0] += 0.1 * number * (3 if len(steps) <= 3 else 1)
        return torch.zeros(len(task.filters), len(task.photos), 3, 2, 2)

    made = Method(Maker(make)).pictures(tiny, "conv2", [0], photos[:1], seconds=6)
    assert steps[3:] == [20, 60]
    assert made.steps == 60
    assert made.seconds == pytest.approx(6)


def test_a_budget_is_kept(tiny: LoadedModel, photos: Tensor) -> None:
    """As the steps of a method say, which here take no time but by a clock of their own."""
    steps: list[int | None] = []

    def make(task: Task, number: int | None) -> Tensor:
        steps.append(number)
        return torch.zeros(len(task.filters), len(task.photos), 3, 2, 2)

    made = Method(Maker(make)).pictures(tiny, "conv2", [0], photos, seconds=0.01)
    assert steps[0] == 1
    assert made.steps == steps[-1] >= 1
    assert Method(Maker(make)).pictures(tiny, "conv2", [0], photos).steps is None


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["_blocks.4", "_blocks.10"])
def test_every_method_works_on_a_modern_network(layer: str) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    loaded = load_model("efficientnet_lite0")
    photos = torch.rand(1, 3, 64, 64)
    for name in METHODS:
        made = made_in_two_steps(name, loaded, photos, layer=layer)
        assert made.images.shape == (3, 1, 3, 64, 64), name
        assert made.images.std() > 0, name
