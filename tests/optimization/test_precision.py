import pytest
import torch
from torch import Tensor, nn

from captum_featinv import FeatureMapInversion, Recipe
from captum_featinv.errors import ArgumentError
from captum_featinv.optimization import precision as numerics
from captum_featinv.optimization.precision import PLAIN, Numerics, candidates

LAST = Numerics(channels_last=True)
HALF = Numerics(half=True, channels_last=True)


@pytest.fixture(params=[0.7, 2.0], ids=["bfloat16 is slow here", "bfloat16 is fast here"])
def gain(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(numerics, "_cpu_gain", lambda _: request.param)
    return request.param


class Watched(nn.Module):
    """Notes in which dtype and memory layout its convolution works."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.relu = nn.ReLU()
        self.seen: set[tuple[torch.dtype, bool]] = set()

    def forward(self, x: Tensor) -> Tensor:
        code = self.conv(x)
        self.seen.add((code.dtype, x.is_contiguous(memory_format=torch.channels_last)))
        return self.relu(code)


# --- choosing ----------------------------------------------------------------------------------


def test_auto_takes_what_the_trial_says(gain: float) -> None:
    ways = candidates("auto", [torch.zeros(1, 3, 8, 8)])
    assert ways[0] == (HALF if gain > 1 else LAST)
    assert ways[-1] == PLAIN


def test_float32_never_halves(gain: float) -> None:
    assert candidates("float32", [torch.zeros(1, 3, 8, 8)]) == [LAST, PLAIN]


def test_bfloat16_halves_whatever_the_trial_says(gain: float) -> None:
    assert candidates("bfloat16", [torch.zeros(1, 3, 8, 8)])[0] == HALF


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_images_of_other_precisions_keep_theirs(dtype: torch.dtype, gain: float) -> None:
    assert candidates("auto", [torch.zeros(1, 3, 8, 8, dtype=dtype)]) == [PLAIN]


def test_other_devices_compute_as_they_are() -> None:
    assert candidates("bfloat16", [torch.zeros(1, 3, 8, 8, device="meta")]) == [PLAIN]


def test_an_unknown_precision_is_an_error() -> None:
    with pytest.raises(ArgumentError, match="'half' is none of 'auto', 'float32', 'bfloat16'"):
        candidates("half", [torch.zeros(1, 3, 8, 8)])  # type: ignore[arg-type]


def test_the_trial_gives_a_plausible_figure_and_leaves_the_dice_alone() -> None:
    before = torch.random.get_rng_state()
    numerics._cpu_gain.cache_clear()
    assert 0.01 < numerics._cpu_gain(1) < 100
    assert torch.equal(before, torch.random.get_rng_state())


# --- within an inversion -----------------------------------------------------------------------


def steps_in(precision: str, model: Watched, **changes: object) -> set[tuple[torch.dtype, bool]]:
    recipe = Recipe.default(precision=precision, n_steps=2, **changes)
    FeatureMapInversion(model, "relu", recipe=recipe).attribute(torch.rand(2, 3, 9, 9), [0, 1])
    return model.seen


@pytest.mark.filterwarnings("ignore:filter")
def test_steps_run_as_asked_and_judging_in_the_models_own_precision() -> None:
    torch.manual_seed(0)
    assert steps_in("bfloat16", Watched().eval()) == {
        (torch.float32, False),
        (torch.bfloat16, True),
    }
    assert steps_in("float32", Watched().eval()) == {(torch.float32, False), (torch.float32, True)}


@pytest.mark.filterwarnings("ignore:filter")
def test_a_line_search_is_not_halved_by_itself(gain: float) -> None:
    lbfgs = {"optimizer": torch.optim.LBFGS, "schedule": None}
    assert torch.bfloat16 not in {dtype for dtype, _ in steps_in("auto", Watched().eval(), **lbfgs)}


@pytest.mark.filterwarnings("ignore:filter")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_weights_are_not_converted(precision: str) -> None:
    model = Watched().eval()
    weight, before = model.conv.weight, model.conv.weight.clone()
    steps_in(precision, model)
    assert model.conv.weight is weight
    assert weight.dtype == torch.float32
    assert weight.is_contiguous()
    assert torch.equal(weight, before)
    assert weight.grad is None


def test_a_model_that_views_its_activations_is_left_as_it_is() -> None:
    """With channels last in memory, this `view` is an error."""

    class Views(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            flat = x.view(len(x), -1)
            return self.relu(flat.view(len(x), 3, *x.shape[2:]))

    photo = torch.rand(1, 3, 6, 5)
    texture = FeatureMapInversion(Views().eval(), "relu").attribute(photo, [1], n_steps=3)
    assert not torch.equal(texture[:, 0], photo)


@pytest.mark.filterwarnings("ignore:filter")
def test_a_code_that_does_not_bear_rounding_is_computed_in_float32() -> None:
    """The difference of two nearly equal numbers is nothing but rounding in bfloat16."""

    class Cancels(Watched):
        def forward(self, x: Tensor) -> Tensor:
            return self.relu((self.conv(x + 1e-3) - super().forward(x)).float())

    torch.manual_seed(0)
    model = Cancels().eval()
    seen = steps_in("bfloat16", model)
    tried = {(torch.bfloat16, True), (torch.bfloat16, False)}
    assert seen == {(torch.float32, False), (torch.float32, True)} | tried


@pytest.mark.filterwarnings("ignore:filter")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision_hardly_changes_the_picture(precision: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU()).eval()
    photo = torch.randn(1, 3, 16, 16) / 2
    exact = FeatureMapInversion(model, "3", recipe=Recipe.default(precision="float32"))
    other = FeatureMapInversion(model, "3", recipe=Recipe.default(precision=precision))
    one = exact.report(exact.attribute(photo, [1, 2], n_steps=40), photo, [1, 2])
    two = other.report(other.attribute(photo, [1, 2], n_steps=40), photo, [1, 2])
    for a, b in zip(one, two, strict=True):
        assert b.share == pytest.approx(a.share, rel=0.03)
