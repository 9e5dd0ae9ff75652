"""Every objective against its formula, against Lucent where Lucent has it, and down its gradient."""

import math
import warnings
from collections.abc import Callable
from functools import partial
from inspect import signature
from itertools import product
from types import ModuleType

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close

from captum_featinv import objectives as of
from captum_featinv.codes import feature_map_target
from captum_featinv.errors import ArgumentError, FilterError

WEIGHT = [0.5, -2.0, 1.5, 0.0, 3.0]
HEIGHT, WIDTH, CHANNELS = 4, 7, 5

Objective = Callable[[Callable[[str], Tensor]], Tensor]


@pytest.fixture(scope="module")
def lucent() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("lucent.optvis.objectives")


@pytest.fixture
def code() -> Tensor:
    """Three rows of maps that are not square, in double precision."""
    shape = (3, CHANNELS, HEIGHT, WIDTH)
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def loss_of(objective: Objective, code: Tensor) -> Tensor:
    """The loss where layer "conv" puts out `code`, "other" twice that, and the image is `code`."""
    return objective({"conv": code, "other": 2 * code, "input": code}.__getitem__)


def cosine(first: Tensor, second: Tensor) -> float:
    first, second = first.flatten(), second.flatten()
    return ((first @ second) / (first.norm() * second.norm())).item()


def average(values: list[float]) -> float:
    return sum(values) / len(values)


# --- activations ------------------------------------------------------------------------------------


def test_channel_is_the_negative_mean_of_its_maps(code: Tensor) -> None:
    expected = -average(code[:, 2].flatten().tolist())
    assert loss_of(of.channel("conv", 2), code).item() == pytest.approx(expected)
    expected = -average(code[1, 2].flatten().tolist())
    assert loss_of(of.channel("conv", 2, batch=1), code).item() == pytest.approx(expected)


def test_channel_takes_codes_of_any_positions() -> None:
    assert loss_of(of.channel("conv", 1), torch.tensor([[1.0, 3.0], [2.0, 6.0]])) == -4.5
    assert loss_of(of.channel("conv", 1), torch.ones(1, 2, 3, 4, 5)) == -1


@pytest.mark.parametrize(
    ("place", "row", "column"), [({}, 2, 3), ({"x": 6, "y": 0}, 0, 6), ({"x": 1}, 2, 1)]
)
def test_a_neuron_is_one_place_by_default_the_middle(
    place: dict[str, int], row: int, column: int, code: Tensor
) -> None:
    """x is the column and y the row; of a map of 4 x 7 the middle is row 2 and column 3."""
    here = code[:, :, row, column]
    assert_close(loss_of(of.neuron("conv", 2, **place), code), -here[:, 2].mean())
    weight = torch.tensor(WEIGHT, dtype=code.dtype)
    expected = -average(
        [w * f for line in here.tolist() for w, f in zip(WEIGHT, line, strict=True)]
    )
    loss = loss_of(of.neuron_weight("conv", weight, **place), code)
    assert loss.item() == pytest.approx(expected)
    assert_close(loss_of(of.neuron_weight("conv", None, **place), code), -here.mean())
    expected = -average([cosine(weight, row) for row in here])
    loss = loss_of(of.direction_neuron("conv", weight, **place), code)
    assert loss.item() == pytest.approx(expected)


def test_weights_multiply_channels(code: Tensor) -> None:
    weight = torch.tensor(WEIGHT)  # another dtype than the code's
    expected = -sum(w * code[:, c].sum() for c, w in enumerate(WEIGHT)) / code.numel()
    assert_close(loss_of(of.channel_weight("conv", weight), code), expected)


@pytest.mark.parametrize(
    ("place", "rows", "columns"),
    [
        ({"x": 2, "y": 1, "wx": 3, "wy": 2}, slice(1, 3), slice(2, 5)),
        ({"wx": 3, "wy": 2}, slice(1, 3), slice(2, 5)),
        ({"x": 5, "y": 3, "wx": 9, "wy": 9}, slice(3, 4), slice(5, 7)),
        ({}, slice(2, 3), slice(3, 4)),
    ],
    ids=str,
)
def test_a_local_group_is_a_rectangle_by_default_in_the_middle(
    place: dict[str, int], rows: slice, columns: slice, code: Tensor
) -> None:
    group = code[:, :, rows, columns]
    assert_close(loss_of(of.localgroup_weight("conv", **place), code), -group.mean())
    expected = -sum(w * group[:, c].sum() for c, w in enumerate(WEIGHT)) / group.numel()
    weighted = of.localgroup_weight("conv", torch.tensor(WEIGHT), **place)
    assert_close(loss_of(weighted, code), expected)


def test_a_direction_is_a_mean_cosine(code: Tensor) -> None:
    weight = torch.tensor(WEIGHT, dtype=code.dtype)
    places = list(product(range(3), range(HEIGHT), range(WIDTH)))
    expected = -average([cosine(weight, code[b, :, i, j]) for b, i, j in places])
    assert loss_of(of.direction("conv", weight), code).item() == pytest.approx(expected)


# --- batches ----------------------------------------------------------------------------------------


def test_interpolation_goes_from_one_channel_to_the_other(code: Tensor) -> None:
    first, last = code[:, 1].mean((1, 2)), 2 * code[:, 4].mean((1, 2))
    expected = -(first[0] + (first[1] + last[1]) / 2 + last[2])
    interpolate = of.channel_interpolate("conv", 1, "other", 4)
    assert_close(loss_of(interpolate, code), expected)
    assert_close(loss_of(interpolate, code[:1]), -first[0])
    assert_close(loss_of(interpolate, code[:2]), -(first[0] + last[1]))


def test_alignment_is_a_sum_of_squares_that_fades_with_distance() -> None:
    code = torch.tensor([0.0, 1.0, 3.0, 7.0, 15.0, 31.0]).reshape(6, 1, 1, 1).expand(6, 2, 3, 4)
    pairs = [(b, b + d) for d in range(1, 5) for b in range(6 - d)]
    values = code[:, 0, 0, 0].tolist()
    expected = sum((values[b] - values[a]) ** 2 / 3 ** (b - a) for a, b in pairs)
    assert loss_of(of.alignment("conv", 3), code).item() == pytest.approx(expected)


def test_diversity_is_the_negative_cosine_of_gram_matrices(code: Tensor) -> None:
    grams = torch.einsum("bchw,bdhw->bcd", code, code)
    pairs = [(a, b) for a in range(3) for b in range(3) if a != b]
    expected = -sum(cosine(grams[a], grams[b]) for a, b in pairs) / 3
    assert loss_of(of.diversity("conv"), code).item() == pytest.approx(expected)


@pytest.mark.parametrize("norm", [0, 1e-13, 1.5e-12, 1])
def test_silence_is_alike_to_nothing(norm: float) -> None:
    """Gram matrices are divided by their norms as `functional.normalize` divides."""
    code = torch.rand(2, CHANNELS, HEIGHT, WIDTH, dtype=torch.float64)
    grams = torch.einsum("bchw,bdhw->bcd", code, code).flatten(1)
    code = code * (norm / grams.norm(dim=1)).sqrt().reshape(2, 1, 1, 1)
    grams = torch.einsum("bchw,bdhw->bcd", code, code).flatten(1)
    first, second = functional.normalize(grams)
    loss = loss_of(of.diversity("conv"), code)
    assert loss.item() == pytest.approx(-(first @ second).item(), rel=1e-12, abs=0)


@pytest.mark.parametrize("objective", [of.alignment("conv"), of.diversity("conv")])
def test_a_batch_of_one_has_nothing_to_compare_but_a_gradient(
    objective: Objective, code: Tensor
) -> None:
    loss = loss_of(objective, code[:1])
    assert loss.item() == 0
    loss.backward()
    assert not code.grad.any()


# --- penalties --------------------------------------------------------------------------------------


def slow_blur(code: Tensor) -> Tensor:
    """Pixel by pixel, a neighbour weighing half as much."""
    blurred = torch.empty(code.shape, dtype=code.dtype)
    for b, c, i, j in product(*map(range, code.shape)):
        near = [(y, x) for y in range(i - 1, i + 2) for x in range(j - 1, j + 2)]
        near = [(y, x) for y, x in near if 0 <= y < HEIGHT and 0 <= x < WIDTH]
        weights = [1.0 if at == (i, j) else 0.5 for at in near]
        values = [w * code[b, c, y, x].item() for w, (y, x) in zip(weights, near, strict=True)]
        blurred[b, c, i, j] = sum(values) / sum(weights)
    return blurred


def test_blurring_is_a_weighted_mean_of_the_neighbourhood(code: Tensor) -> None:
    blurred = slow_blur(code)
    expected = -0.5 * (code - blurred).square().sum()
    loss = loss_of(of.blur_input_each_step(), code)
    assert_close(loss, expected)
    (gradient,) = torch.autograd.grad(loss, code)
    assert_close(code + gradient, blurred)


def test_a_full_step_up_the_blur_objective_blurs(code: Tensor) -> None:
    """x - d/dx(-blur_input_each_step) = blur(x), which is flat for a flat image."""
    loss_of(-of.blur_input_each_step(), code).backward()
    blurred = (code - code.grad).detach()
    assert blurred.var((2, 3)).max() < code.var((2, 3)).min()
    flat = torch.full((1, 2, 4, 5), 0.3)
    assert loss_of(of.blur_input_each_step(), flat).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("beta", [1, 2, 3.5])
def test_total_variation_is_mahendran_and_vedaldis(beta: float, code: Tensor) -> None:
    expected = 0.0
    for b, c, i, j in product(*map(range, code.shape)):
        here = code[b, c, i, j].item()
        right = code[b, c, i, j + 1].item() - here if j + 1 < WIDTH else 0
        below = code[b, c, i + 1, j].item() - here if i + 1 < HEIGHT else 0
        expected += (right**2 + below**2) ** (beta / 2)
    assert loss_of(of.total_variation(beta), code).item() == pytest.approx(expected)
    assert_close(loss_of(of.total_variation(beta, layer="conv"), code).item(), expected)
    if beta == 2:
        assert loss_of(of.total_variation(), code).item() == pytest.approx(expected)


@pytest.mark.parametrize("beta", [0.5, 1, 2, 3])
def test_a_flat_image_has_no_variation_and_no_gradient(beta: float) -> None:
    image = torch.full((1, 3, 4, 5), 0.3, requires_grad=True)
    loss = loss_of(of.total_variation(beta), image)
    loss.backward()
    assert loss.item() == 0
    assert not image.grad.any()


def test_the_alpha_norm_counts_from_grey(code: Tensor) -> None:
    values = code.flatten().tolist()
    expected = sum(abs(v - 0.5) ** 6 for v in values)
    assert loss_of(of.alpha_norm(), code).item() == pytest.approx(expected)
    expected = sum(abs(v) ** 3 for v in values)
    norm = of.alpha_norm(3, layer="conv", mean=0)
    assert loss_of(norm, code).item() == pytest.approx(expected)
    expected = sum((code[:, c] - m).square().sum().item() for c, m in enumerate(WEIGHT))
    assert loss_of(of.alpha_norm(2, mean=WEIGHT), code).item() == pytest.approx(expected)
    expected = sum(abs(v - 0.1) for v in values)
    norm = of.alpha_norm(1, mean=0.1)
    assert loss_of(norm, code).item() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("penalty", "name"), [(of.total_variation, "beta"), (of.alpha_norm, "alpha")]
)
@pytest.mark.parametrize("exponent", [0, -1, math.nan])
def test_an_exponent_is_above_zero(
    penalty: Callable[..., object], name: str, exponent: float
) -> None:
    with pytest.raises(ArgumentError, match=f"^{name}={exponent}, expected a number above 0"):
        penalty(exponent)


# --- codes and feature maps -------------------------------------------------------------------------


def ratio(code: Tensor, target: Tensor) -> float:
    return ((code - target).square().sum() / target.square().sum()).item()


def test_a_code_match_is_the_error_relative_to_the_target_summed_over_rows(code: Tensor) -> None:
    target = torch.rand(3, CHANNELS, HEIGHT, WIDTH)
    expected = sum(ratio(code[b], target[b]) for b in range(3))
    assert loss_of(of.code_match("conv", target), code).item() == pytest.approx(expected)
    expected = sum(ratio(code[b], target[0]) for b in range(3))
    for one in (target[0], target[:1]):
        assert loss_of(of.code_match("conv", one), code).item() == pytest.approx(expected)
    one_row = of.code_match("conv", target[0], batch=2)
    assert loss_of(one_row, code).item() == pytest.approx(ratio(code[2], target[0]))


def dense(target: Tensor, filters: list[int]) -> Tensor:
    """The whole code in which all but one map a row is zero."""
    full = torch.zeros(len(filters), CHANNELS, *target.shape[1:], dtype=target.dtype)
    for row, k in enumerate(filters):
        full[row, k] = target[row]
    return full


@pytest.mark.parametrize("filters", [[4, 0, 4], 1])
def test_a_feature_map_is_the_code_with_one_map_in_value_and_gradient(
    filters: list[int] | int, code: Tensor
) -> None:
    maps = 3 * torch.rand(3, HEIGHT, WIDTH, dtype=code.dtype)
    listed = filters if isinstance(filters, list) else [filters] * 3
    for target in (maps, maps[0], maps[:1]):
        given = target if target.shape == maps.shape else maps[:1].expand_as(maps)
        loss = loss_of(of.feature_map("conv", target, filters), code)
        whole = loss_of(of.code_match("conv", dense(given, listed)), code)
        assert_close(loss, whole)
        assert_close(*(torch.autograd.grad(x, code)[0] for x in (loss, whole)))


def test_codes_without_positions_have_feature_maps_of_one_number() -> None:
    code = torch.tensor([[1.0, 2.0], [3.0, 1.0]])
    loss = loss_of(of.feature_map("conv", torch.tensor([3.0, 4.0]), [0, 1]), code)
    assert loss.item() == pytest.approx((2**2 + 2**2) / 3**2 + (3**2 + 3**2) / 4**2)


def test_a_target_of_zeros_is_not_divided_by(code: Tensor) -> None:
    half = 0.5 * code.square().sum()
    assert_close(loss_of(of.code_match("conv", torch.zeros(code.shape)), code), half)
    assert_close(loss_of(of.feature_map("conv", torch.zeros(HEIGHT, WIDTH), 1), code), half)


@pytest.mark.parametrize("ref", [0, 1, 2, -1, -3])
def test_a_reference_row_gives_the_other_rows_their_target(ref: int, code: Tensor) -> None:
    others = [row for row in range(3) if row != ref % 3]
    maps = code[ref].detach().clamp(min=0).sum(0)
    expected = loss_of(of.feature_map("conv", maps, [3, 1]), code[others])
    loss = loss_of(of.feature_map_ref("conv", [3, 1], ref=ref), code)
    assert_close(loss, expected)
    gradient, expected_gradient = (torch.autograd.grad(x, code)[0] for x in (loss, expected))
    assert_close(gradient, expected_gradient)
    assert not gradient[ref].any()
    assert gradient[others].any()


def test_a_reference_and_one_image_are_enough(code: Tensor) -> None:
    maps = code[0].detach().clamp(min=0).sum(0)
    expected = loss_of(of.feature_map("conv", maps, 3), code[1:2])
    assert_close(loss_of(of.feature_map_ref("conv", 3), code[:2]), expected)
    with pytest.raises(ArgumentError, match="puts out 1 rows and ref=0; expected the photo"):
        loss_of(of.feature_map_ref("conv", 3), code[:1])


def test_the_function_of_a_reference_gets_a_filter_for_each_row_beside_their_code() -> None:
    seen = []

    def look(photo: Tensor, filters: Tensor) -> Tensor:
        seen.append((photo, filters))
        return photo.sum(1)

    code = torch.empty(3, CHANNELS, HEIGHT, WIDTH, device="meta")  # any device but the filters'
    loss_of(of.feature_map_ref("conv", 2, target_of=look), code)
    ((photo, filters),) = seen
    assert photo.shape == (2, CHANNELS, HEIGHT, WIDTH)
    assert filters.shape == (2,)
    assert photo.device == filters.device == code.device


def test_filters_are_counted_from_the_end_too(code: Tensor) -> None:
    maps = torch.rand(HEIGHT, WIDTH)
    first, last = (loss_of(of.feature_map("conv", maps, k), code) for k in (0, CHANNELS - 1))
    assert_close(loss_of(of.feature_map("conv", maps, -CHANNELS), code), first)
    assert_close(loss_of(of.feature_map("conv", maps, -1), code), last)


@pytest.mark.parametrize("energy", ["layer", "own", "rescaled"])
def test_a_reference_can_be_rewritten_otherwise(energy: str, code: Tensor) -> None:
    filters = torch.tensor([3, 1])
    maps = feature_map_target(code[:1].detach().expand(2, -1, -1, -1), filters, energy)
    target_of = partial(feature_map_target, energy=energy)
    loss = loss_of(of.feature_map_ref("conv", filters, target_of=target_of), code)
    assert_close(loss, loss_of(of.feature_map("conv", maps, filters), code[1:]))
    if energy == "layer":
        assert_close(loss, loss_of(of.feature_map_ref("conv", filters), code))


def test_the_target_from_a_reference_is_held_fixed(code: Tensor) -> None:
    gain = torch.tensor(2.0, dtype=code.dtype, requires_grad=True)

    def louder(photo: Tensor, filters: Tensor) -> Tensor:
        return gain * photo.clamp(min=0).sum(1)

    loss_of(of.feature_map_ref("conv", [3, 1], target_of=louder), code).backward()
    assert gain.grad is None
    tracing = torch.enable_grad()(louder)
    loss = loss_of(of.feature_map_ref("conv", [3, 1], target_of=tracing), code)
    (gradient,) = torch.autograd.grad(loss, code)
    assert not gradient[0].any()


def test_energies_are_matched_per_channel_and_position(code: Tensor) -> None:
    energies = torch.rand(3, CHANNELS, dtype=code.dtype)
    expected = 0.0
    for b, c in product(range(3), range(CHANNELS)):
        total = sum(code[b, c].flatten().tolist())
        expected += 0.5 * (total - energies[b, c].item()) ** 2 / (CHANNELS * HEIGHT * WIDTH)
    loss = loss_of(of.channel_energy_match("conv", energies), code)
    assert loss.item() == pytest.approx(expected)
    one = of.channel_energy_match("conv", energies[0], batch=0)
    same = of.channel_energy_match("conv", energies[:1].expand(3, -1), batch=None)
    rows = (of.channel_energy_match("conv", energies[0], batch=b) for b in range(3))
    assert_close(sum(loss_of(row, code) for row in rows), loss_of(same, code))
    assert loss_of(one, code) < loss_of(same, code)


def test_gram_matrices_are_matched_as_gatys_does(code: Tensor) -> None:
    gram = torch.randn(CHANNELS, CHANNELS, dtype=code.dtype)
    expected = 0.0
    for b, c, d in product(range(3), range(CHANNELS), range(CHANNELS)):
        entry = (code[b, c] * code[b, d]).sum().item()
        expected += (entry - gram[c, d].item()) ** 2 / (2 * CHANNELS**2 * HEIGHT * WIDTH)
    loss = loss_of(of.gram_match("conv", gram), code)
    assert loss.item() == pytest.approx(expected)
    own = torch.einsum("bchw,bdhw->bcd", code, code)
    assert loss_of(of.gram_match("conv", own), code).item() == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (of.code_match, (3, CHANNELS, HEIGHT, WIDTH)),
        (partial(of.feature_map, filters=1), (3, HEIGHT, WIDTH)),
        (of.channel_energy_match, (3, CHANNELS)),
        (of.gram_match, (CHANNELS, CHANNELS)),
    ],
    ids=["code", "map", "energies", "gram"],
)
def test_a_target_is_a_snapshot_without_gradient(
    make: Callable[..., Objective], shape: tuple[int, ...], code: Tensor
) -> None:
    target = torch.rand(shape, requires_grad=True)
    objective = make("conv", target)
    before = loss_of(objective, code)
    with torch.no_grad():
        target.zero_()
    assert loss_of(objective, code) == before
    before.backward()
    assert target.grad is None


def test_rows_are_problems_of_their_own(code: Tensor) -> None:
    target = torch.rand(code.shape)
    for objective in [
        of.code_match("conv", target),
        of.feature_map("conv", target[:, 0], [4, 0, 4]),
        of.feature_map_ref("conv", [2, 3]),
        of.channel_energy_match("conv", target[0, :, 0, 0]),
        of.gram_match("conv", torch.eye(CHANNELS)),
        of.total_variation(),
        of.alpha_norm(),
    ]:
        with torch.no_grad():
            other = code.clone()
            other[1] += 1
        gradients = [
            torch.autograd.grad(loss_of(objective, rows), rows)[0]
            for rows in (code, other.requires_grad_())
        ]
        assert_close(gradients[0][2], gradients[1][2], rtol=0, atol=0)


# --- what is wrong is said ----------------------------------------------------------------------------


STALE = r"pass transforms=\[\] and an image of the reference size, or use feature_map_ref"


@pytest.mark.parametrize(
    ("objective", "error", "message"),
    [
        (of.code_match("conv", torch.ones(5, 4, 8)), ValueError, STALE),
        (of.code_match("conv", torch.ones(2, 5, 4, 7)), ValueError, r"\(5, 4, 7\) for all 3 rows"),
        (of.code_match("conv", torch.ones(7)), ValueError, r"has shape \(7,\), but the layer puts"),
        (of.feature_map("conv", torch.ones(4, 8), 0), ValueError, STALE),
        (of.feature_map("conv", torch.ones(2, 4, 7), 0), ValueError, r"or \(3, 4, 7\)"),
        (of.feature_map("conv", torch.ones(4, 7), [0, 1]), ValueError, "2 filters came for 3 rows"),
        (of.feature_map("conv", torch.ones(4, 7), [0, 5, 1]), FilterError, "no filter.*0 to 4"),
        (of.feature_map_ref("conv", [0]), ValueError, "1 filters came for 2 rows"),
        (of.feature_map_ref("conv", -6), FilterError, "has no filter -6"),
        (of.feature_map_ref("conv", 0, ref=3), ValueError, "3 rows and ref=3; expected the photo"),
        (of.channel_energy_match("conv", torch.ones(6)), ValueError, "measure it at this layer"),
        (of.gram_match("conv", torch.ones(5, 6)), ValueError, "measure it at this layer"),
        (of.channel("conv", 5), FilterError, "layer 'conv' has no filter 5; .* 0 to 4"),
        (of.neuron("conv", 9), IndexError, "has no filter 9"),
        (of.neuron("conv", 0, x=7), ValueError, "nothing at x=7.*columns 0 to 6 and rows 0 to 3"),
        (of.neuron("conv", 0, y=-1), ValueError, "nothing at x=3, y=-1"),
        (of.channel_weight("conv", torch.ones(1)), ValueError, r"expected one for each.*\(5,\)"),
        (of.direction("conv", torch.ones(5, 2)), ValueError, r"weights of shape \(5, 2\) came"),
    ],
)
def test_what_does_not_fit_is_said(
    objective: Objective, error: type[Exception], message: str, code: Tensor
) -> None:
    with pytest.raises(error, match=message):
        loss_of(objective, code)


def test_a_neuron_needs_columns_and_rows() -> None:
    with pytest.raises(
        ArgumentError, match=r"\(1, 5\).*it has no columns x and rows y; use `channel`"
    ):
        loss_of(of.neuron("conv", 0), torch.ones(1, 5))


@pytest.mark.parametrize("filters", [1.0, [0.5], [[1, 2]], True])
def test_filters_are_integers(filters: object) -> None:
    with pytest.raises(TypeError, match="`filters` must be an int, or a sequence of ints"):
        of.feature_map_ref("conv", filters)


# --- down the gradient --------------------------------------------------------------------------------


OBJECTIVES = {
    "neuron": of.neuron("conv", 2),
    "channel": of.channel("conv", 2),
    "neuron_weight": of.neuron_weight("conv", torch.tensor(WEIGHT)),
    "channel_weight": of.channel_weight("conv", torch.tensor(WEIGHT)),
    "localgroup_weight": of.localgroup_weight("conv", torch.tensor(WEIGHT), wx=3, wy=2),
    "direction": of.direction("conv", torch.tensor(WEIGHT)),
    "direction_neuron": of.direction_neuron("conv", torch.tensor(WEIGHT)),
    "channel_interpolate": of.channel_interpolate("conv", 1, "conv", 3),
    "alignment": of.alignment("conv"),
    "diversity": -of.diversity("conv"),
    "blur_input_each_step": -of.blur_input_each_step(),
    "total_variation": of.total_variation(),
    "alpha_norm": of.alpha_norm(),
    "code_match": of.code_match("conv", torch.ones(5, 6, 8)),
    "feature_map": of.feature_map("conv", torch.ones(6, 8), [3, 1, 2]),
    "feature_map_ref": of.feature_map_ref("conv", [3, 1]),
    "channel_energy_match": of.channel_energy_match("conv", torch.full((5,), 9.0)),
    "gram_match": of.gram_match("conv", torch.eye(5)),
}


def test_every_objective_is_tried() -> None:
    others = {"Objective", "as_objective", "handle_batch", "wrap_objective"}
    assert set(OBJECTIVES) | others == set(of.__all__)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_factory_makes_an_objective_with_its_name_and_layers(name: str) -> None:
    objective = OBJECTIVES[name]
    assert isinstance(objective, of.Objective)
    assert objective.name == name
    assert objective.description.startswith(f"{name.title()} [")
    image = name in ("total_variation", "alpha_norm", "blur_input_each_step")
    assert objective.relevant_layers == (("input",) if image else ("conv",))
    made = getattr(of, name)
    assert signature(made).return_annotation is of.Objective
    assert made.__doc__


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_loss_has_the_dtype_of_the_code(name: str) -> None:
    code = torch.randn(3, CHANNELS, 6, 8, dtype=torch.bfloat16)
    assert loss_of(OBJECTIVES[name], code).dtype == torch.bfloat16


@pytest.mark.parametrize(
    "name", [name for name in OBJECTIVES if "weight" not in name and "direction" not in name]
)
def test_a_loss_is_where_its_code_is_whatever_the_default_device(name: str) -> None:
    """Weights are left out: torch takes what is given as one to the default device first."""
    code = torch.randn(3, CHANNELS, 6, 8)
    expected = loss_of(OBJECTIVES[name], code)
    with torch.device("meta"):
        assert_close(loss_of(OBJECTIVES[name], code), expected)


@pytest.mark.parametrize("row", [0, 2, -1])
@pytest.mark.parametrize(
    "make",
    [
        partial(of.neuron, "conv", 2),
        partial(of.channel, "conv", 2),
        partial(of.neuron_weight, "conv", torch.tensor(WEIGHT)),
        partial(of.channel_weight, "conv", torch.tensor(WEIGHT)),
        partial(of.localgroup_weight, "conv", torch.tensor(WEIGHT), wx=3, wy=2),
        partial(of.direction, "conv", torch.tensor(WEIGHT)),
        partial(of.direction_neuron, "conv", torch.tensor(WEIGHT)),
        partial(of.code_match, "conv", torch.ones(CHANNELS, HEIGHT, WIDTH)),
        partial(of.feature_map, "conv", torch.ones(HEIGHT, WIDTH), 1),
        partial(of.channel_energy_match, "conv", torch.full((CHANNELS,), 9.0)),
        partial(of.gram_match, "conv", torch.eye(CHANNELS)),
    ],
    ids=lambda make: make.func.__name__,
)
def test_one_row_of_the_batch_is_seen_as_if_it_were_alone(
    make: Callable[..., Objective], row: int, code: Tensor
) -> None:
    alone = code[row % 3][None]
    assert_close(loss_of(make(batch=row), code), loss_of(make(), alone))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_three_gradient_steps_lower_the_loss(name: str) -> None:
    image = torch.rand(3, 3, 8, 10, requires_grad=True)
    weight = torch.randn(5, 3, 3, 3) / 5

    def activations(layer: str) -> Tensor:
        return (
            image if layer == "input" else functional.leaky_relu(functional.conv2d(image, weight))
        )

    losses = []
    for _ in range(4):
        loss = OBJECTIVES[name](activations)
        assert loss.shape == ()
        (gradient,) = torch.autograd.grad(loss, image)
        with torch.no_grad():
            image -= 0.02 * gradient / gradient.square().mean().sqrt()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


# --- against Lucent -----------------------------------------------------------------------------------


SAME = [
    ("neuron", ("conv", 2), {}),
    ("neuron", ("conv", 2, 1, 4), {"batch": 1}),
    ("neuron", ("conv", 2), {"x": 5}),
    ("channel", ("conv", 2), {}),
    ("channel", ("conv", 2), {"batch": 2}),
    ("neuron_weight", ("conv", torch.tensor(WEIGHT)), {"batch": 0}),
    ("neuron_weight", ("conv", torch.tensor(WEIGHT)), {"x": 1, "y": 5}),
    ("neuron_weight", ("conv", None), {}),
    ("channel_weight", ("conv", torch.tensor(WEIGHT)), {}),
    ("channel_weight", ("conv", torch.tensor(WEIGHT)), {"batch": 1}),
    ("localgroup_weight", ("conv", torch.tensor(WEIGHT), 1, 2, 3, 4), {}),
    ("localgroup_weight", ("conv",), {"x": 3, "y": 1, "batch": 0}),
    ("direction", ("conv", torch.tensor(WEIGHT)), {}),
    ("direction", ("conv", torch.tensor(WEIGHT)), {"batch": 2}),
    ("direction_neuron", ("conv", torch.tensor(WEIGHT)), {}),
    ("direction_neuron", ("conv", torch.tensor(WEIGHT), 0, 5), {"batch": 1}),
    ("blur_input_each_step", (), {}),
    ("channel_interpolate", ("conv", 1, "other", 4), {}),
    ("alignment", ("conv",), {}),
    ("alignment", ("conv", 3), {}),
    ("diversity", ("conv",), {}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), SAME)
def test_value_gradient_and_description_are_lucents_to_the_last_bit(
    lucent: ModuleType, name: str, args: tuple[object, ...], kwargs: dict[str, object]
) -> None:
    """On square maps; Lucent's blur works where CUDA is or is not, but there alone."""
    device = "cuda:0" if torch.cuda.is_available() and name.startswith("blur") else "cpu"
    code = torch.randn(5, CHANNELS, 6, 6, device=device, requires_grad=True)
    ours, theirs = (getattr(module, name)(*args, **kwargs) for module in (of, lucent))
    loss, expected = loss_of(ours, code), loss_of(theirs, code)
    assert loss.item() == expected.item()
    gradients = [torch.autograd.grad(x, code)[0] for x in (loss, expected)]
    assert (gradients[0] - gradients[1]).abs().max() == 0
    assert (ours.name, ours.description) == (theirs.name, theirs.description)


def test_signatures_are_lucents(lucent: ModuleType) -> None:

    for name in {name for name, _, _ in SAME}:
        ours, theirs = (signature(getattr(module, name)).parameters for module in (of, lucent))
        assert list(ours) == list(theirs)
        for argument in theirs:
            assert ours[argument].default == theirs[argument].default


def test_lucents_neuron_finds_no_middle_of_a_wide_map_and_ours_does(lucent: ModuleType) -> None:
    """Should Lucent ever repair it, the note in our docstring has to go."""
    code = torch.rand(1, 5, 10, 20)
    assert loss_of(lucent.neuron("conv", 0), code.transpose(2, 3)).isnan()
    assert loss_of(of.neuron("conv", 0), code) == -code[0, 0, 5, 10]
    assert loss_of(of.neuron("conv", 0), code.transpose(2, 3)) == -code[0, 0, 5, 10]
