import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from captum_featinv import FeatureMapInversion, Recipe
from captum_featinv.errors import ArgumentError
from captum_featinv.optimization.precision import (
    PLAIN,
    Arithmetic,
    agreeing,
    candidates,
    checked,
    name_of,
)

LAST = Arithmetic(channels_last=True)
HALF = Arithmetic(half=True, channels_last=True)


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


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_a_cpu_computes_in_float32_unless_asked(precision: str) -> None:
    assert candidates(precision, [torch.zeros(1, 3, 8, 8)]) == [LAST, PLAIN]
    assert name_of(precision, [torch.zeros(1, 3, 8, 8)]) == "float32"


def test_no_clock_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def clock(*_: object) -> float:
        pytest.fail("somebody looked at a clock")

    for name in ("time", "perf_counter", "monotonic", "process_time", "perf_counter_ns"):
        monkeypatch.setattr(time, name, clock)
    assert candidates("auto", [torch.zeros(1, 3, 8, 8)]) == [LAST, PLAIN]


def test_bfloat16_is_taken_where_it_is_asked_for() -> None:
    assert candidates("bfloat16", [torch.zeros(1, 3, 8, 8)])[0] == HALF
    assert name_of("bfloat16", [torch.zeros(1, 3, 8, 8)]) == "bfloat16"


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_images_of_other_precisions_keep_theirs(dtype: torch.dtype) -> None:
    image = torch.zeros(1, 3, 8, 8, dtype=dtype)
    for precision in ("auto", "bfloat16"):
        assert candidates(precision, [image]) == [PLAIN]
        assert candidates(precision, [torch.zeros(1, 3, 8, 8), image]) == [PLAIN]
    assert name_of("auto", [image]) == str(dtype).partition(".")[2]


def test_other_devices_compute_as_they_are() -> None:
    assert candidates("bfloat16", [torch.zeros(1, 3, 8, 8, device="meta")]) == [PLAIN]


def test_an_unknown_precision_is_an_error() -> None:
    with pytest.raises(ArgumentError, match="'half' is none of 'auto', 'float32', 'bfloat16'"):
        candidates("half", [torch.zeros(1, 3, 8, 8)])  # type: ignore[arg-type]


def test_rows_agree_each_by_itself() -> None:
    reference = torch.tensor([[10.0, 0.0], [0.1, 0.0], [0.0, 0.0]])
    near = torch.tensor([[10.5, 0.0], [0.1, 0.05], [0.0, 0.0]])
    assert agreeing(near, reference).tolist() == [True, False, True]
    assert agreeing(near[:, :1], reference).tolist() == [False] * 3


def test_a_code_may_be_a_tenth_of_its_size_away_and_no_more() -> None:
    """Of the size over all dimensions, whatever their number."""
    reference = torch.zeros(4, 2, 3, 5)
    reference[:, 0, 1, 2], reference[:, 1, 2, 4] = 3, 4
    found = reference.clone()
    found[0, 1, 0, 0], found[1, 1, 0, 0], found[2, 0, 1, 2] = 0.45, 0.55, 3.45
    agrees = agreeing(found, reference)
    assert agrees.tolist() == [True, False, True, True]
    other = agreeing(found[:, :1], reference)
    assert other.dtype == agrees.dtype == torch.bool
    assert agreeing(found[:, :1].to("meta"), reference.to("meta")).device.type == "meta"


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
def test_a_precision_that_is_one_comes_back(precision: Any) -> None:
    assert checked(precision) == precision


def test_images_of_height_and_width_lie_with_their_channels_last_where_asked() -> None:
    image, clip = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 2, 8, 8)
    assert LAST.format_of(image) == HALF.format_of(image) == torch.channels_last
    assert PLAIN.format_of(image) == LAST.format_of(clip) == torch.contiguous_format
    assert LAST.format_of(clip[:, :, 0, 0]) == torch.contiguous_format


def test_half_a_precision_is_autocast_to_bfloat16() -> None:
    product = torch.ones(2, 2)
    for way, dtype in ((HALF, torch.bfloat16), (PLAIN, torch.float32)):
        block = way.active(torch.device("cpu"))
        for _ in range(2):
            with block:
                assert (product @ product).dtype == dtype


class Gpu:
    """What torch.cuda says of a GPU, and on which one it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, real: bool) -> None:
        self.now: list[torch.device] = []
        self.asked: list[torch.device] = []

        def supported(including_emulation: bool = True) -> bool:
            self.asked.append(self.now[-1])
            return real or including_emulation

        monkeypatch.setattr(torch.cuda, "device", self.device)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)

    @contextmanager
    def device(self, device: torch.device) -> Iterator[None]:
        self.now.append(device)
        yield
        self.now.pop()


@pytest.mark.parametrize("real", [True, False], ids=["computed", "emulated"])
def test_a_gpu_halves_by_itself_where_it_computes_bfloat16(
    monkeypatch: pytest.MonkeyPatch, real: bool
) -> None:
    """That image's GPU; and it has nothing to gain from another layout alone."""
    gpu = Gpu(monkeypatch, real=real)
    image: Any = SimpleNamespace(device=torch.device("cuda", 3), dtype=torch.float32)
    halved = [HALF, Arithmetic(half=True), PLAIN]
    assert candidates("auto", [image]) == (halved if real else [PLAIN])
    assert gpu.asked == [image.device]
    assert candidates("float32", [image]) == [PLAIN]
    assert candidates("bfloat16", [image]) == halved
    assert candidates("auto", [torch.zeros(1, 3, 8, 8)]) == [LAST, PLAIN]


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
def test_a_line_search_is_not_halved_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where the device has bfloat16."""
    monkeypatch.setattr("captum_featinv.optimization.precision._has_bfloat16", lambda _: True)
    assert torch.bfloat16 in {dtype for dtype, _ in steps_in("auto", Watched().eval())}
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


@pytest.mark.filterwarnings("ignore:filter")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_photos_picture_does_not_depend_on_its_neighbour(precision: str) -> None:
    """Beside a photo whose code does not bear rounding, a photo is computed as it is alone."""

    class Fragile(nn.Module):
        """Of a dark photo the code is a difference of nearly equal numbers."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.relu = nn.Conv2d(3, 4, 3), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            code = self.conv(x)
            dark = (x.mean((1, 2, 3)) < 0).reshape(-1, 1, 1, 1)
            rounded = (code.float() - self.conv(x + 1e-3).float()).to(code.dtype)
            return self.relu(torch.where(dark, rounded, code))

    torch.manual_seed(0)
    model = Fragile().eval()
    good, bad = torch.rand(1, 3, 9, 9) + 0.2, -torch.rand(1, 3, 9, 9)
    fmi = FeatureMapInversion(model, "relu", recipe=Recipe.default(precision=precision))
    alone = fmi.attribute(good, [0, 1], n_steps=6)
    together = fmi.attribute(torch.cat([bad, good]), [0, 1], n_steps=6)
    torch.testing.assert_close(together[1:], alone, atol=1e-4, rtol=1e-3)


@pytest.mark.filterwarnings("ignore:filter")
@pytest.mark.parametrize("error", [AssertionError, TypeError, KeyError, NotImplementedError])
def test_a_model_that_cannot_compute_so_is_computed_as_it_is(error: type[Exception]) -> None:
    class Picky(Watched):
        def forward(self, x: Tensor) -> Tensor:
            code = super().forward(x)
            if code.dtype != torch.float32:
                raise error("float32 only")
            return code

    assert torch.isfinite(
        FeatureMapInversion(
            Picky().eval(), "relu", recipe=Recipe.default(precision="bfloat16")
        ).attribute(torch.rand(1, 3, 9, 9), 0, n_steps=2)
    ).all()


@pytest.mark.filterwarnings("ignore:filter")
def test_a_backward_that_does_not_know_bfloat16_is_noticed_before_the_steps() -> None:
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight):  # type: ignore[no-untyped-def]
            ctx.save_for_backward(weight)
            return torch.einsum("nchw,oc->nohw", x, weight)

        @staticmethod
        def backward(ctx, grad):  # type: ignore[no-untyped-def]
            (weight,) = ctx.saved_tensors
            if grad.dtype != weight.dtype:
                raise RuntimeError("expected the weight's dtype")
            return torch.einsum("nohw,oc->nchw", grad, weight), None

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.relu = nn.Parameter(torch.randn(4, 3)), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.relu(Product.apply(x, self.weight))

    photo = torch.rand(1, 3, 9, 9)
    pictures = [
        FeatureMapInversion(
            Own().eval() if model is None else model,
            "relu",
            recipe=Recipe.default(precision=precision),
        ).attribute(photo, 0, n_steps=2)
        for model in [Own().eval()]
        for precision in ("bfloat16", "float32")
    ]
    assert torch.equal(*pictures)
