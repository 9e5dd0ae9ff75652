from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from captum_featinv.objectives.code import CodeMatch, FeatureMapMatch

SHAPES = [(3, 5, 4, 7), (2, 3, 9), (2, 3, 2, 5, 3), (3, 5)]


@pytest.fixture(params=SHAPES, ids=str)
def code(request: pytest.FixtureRequest) -> Tensor:
    return torch.randn(request.param, dtype=torch.float64, requires_grad=True)


def scale_of(code: Tensor) -> Tensor:
    return torch.rand(len(code), dtype=code.dtype) + 0.5


def feature_map_match(code: Tensor) -> FeatureMapMatch:
    """Two rows share a filter where there are three; targets reach further than codes."""
    filters = torch.tensor([1, 2, 1])[: len(code)]
    target = 3 * torch.rand(len(code), *code.shape[2:], dtype=code.dtype)
    return FeatureMapMatch("layer", filters, target, scale_of(code))


def dense(match: FeatureMapMatch, code: Tensor, leakage: float) -> Tensor:
    """`1/2 ||F - s T||^2 / (s scale)`, T made in full and filters that are not k weighing `leakage`.

    s is a number, 1 without `outweigh`.
    """
    losses = []
    for row, k in enumerate(match.filters.tolist()):
        target = torch.zeros_like(code[row])
        target[k] = match.target[row]
        weight = torch.full((code.shape[1],), leakage, dtype=code.dtype)
        weight[k] = 1
        enough = 1.0
        if match.outweigh is not None:
            total = weight * code[row].square().reshape(len(weight), -1).sum(1)
            answer = max((code[row] * target).sum().item(), 1e-6 * target.square().sum().item())
            enough = max(1.0, match.outweigh * total.sum().item() / answer)
        squares = (code[row] - enough * target).square().reshape(len(weight), -1).sum(1)
        losses.append((weight * squares).sum() / 2 / enough / match.scale[row])
    return torch.stack(losses)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_matching_a_code_is_half_the_squared_distance_over_the_scale(
    shape: tuple[int, ...],
) -> None:
    code, target = torch.randn(2, *shape, dtype=torch.float64)
    scale = scale_of(code)
    expected = []
    for row in range(len(code)):
        pairs = zip(code[row].flatten().tolist(), target[row].flatten().tolist(), strict=True)
        expected.append(sum((f - t) ** 2 for f, t in pairs) / 2 / scale[row].item())
    loss = CodeMatch("layer", target, scale)({"layer": code}.__getitem__)
    assert_close(loss, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("leakage", [0.0, 0.3, 1.0, 2.5])
def test_matching_a_feature_map_is_the_dense_formula_in_value_and_gradient(
    code: Tensor, leakage: float
) -> None:
    match = feature_map_match(code)
    expected = dense(match, code, leakage)
    loss = match({"layer": code}.__getitem__, leakage)
    assert_close(loss, expected)
    weights = torch.randn(len(code), dtype=code.dtype)
    (expected_gradient,) = torch.autograd.grad(expected, code, weights)
    (gradient,) = torch.autograd.grad(loss, code, weights)
    assert_close(gradient, expected_gradient)


def test_the_written_down_gradient_is_the_numerical_one(code: Tensor) -> None:
    match = feature_map_match(code)
    assert torch.autograd.gradcheck(lambda code: match(lambda _: code, 0.7), (code,))


def test_leakage_weighs_all_alike_unless_told_otherwise(code: Tensor) -> None:
    match = feature_map_match(code)
    target = torch.zeros_like(code)
    target[torch.arange(len(code)), match.filters] = match.target
    whole = CodeMatch("layer", target, match.scale)
    assert_close(match(lambda _: code), whole(lambda _: code))


@pytest.mark.parametrize("kind", [CodeMatch, FeatureMapMatch])
def test_rows_are_problems_of_their_own(kind: type) -> None:
    code = torch.randn(3, 5, 4, 7, requires_grad=True)
    parts = [torch.rand(code.shape if kind is CodeMatch else (3, 4, 7)), scale_of(code)]
    if kind is FeatureMapMatch:
        parts.insert(0, torch.tensor([4, 0, 4]))
    losses = kind("layer", *parts)({"layer": code}.__getitem__)
    for row in range(3):
        alone = kind("layer", *(part[[row]] for part in parts))({"layer": code[[row]]}.__getitem__)
        assert_close(alone, losses[[row]])
    (gradient,) = torch.autograd.grad(losses[1], code)
    assert gradient[1].any()
    assert not gradient[[0, 2]].any()


def test_a_match_reads_its_own_layer() -> None:
    codes = {"this": torch.ones(1, 2, 3), "other": torch.zeros(1, 2, 3)}
    loss = CodeMatch("this", torch.zeros(1, 2, 3), torch.ones(1))(codes.__getitem__)
    assert loss.item() == 3


@pytest.mark.parametrize("size", [0.01, 1.0, 50.0])
def test_a_relative_match_is_one_for_silence_and_zero_at_its_target(
    size: float, code: Tensor
) -> None:
    rows, filters = torch.arange(len(code)), torch.tensor([1, 2, 1])[: len(code)]
    maps = size * torch.rand(len(code), *code.shape[2:], dtype=code.dtype)
    target = torch.zeros_like(code)
    target[rows, filters] = maps
    silence, ones = torch.zeros_like(code), torch.ones(len(code), dtype=code.dtype)
    for match in (
        CodeMatch.relative("layer", target),
        FeatureMapMatch.relative("layer", filters, maps),
    ):
        assert_close(match(lambda _: silence), ones)
        assert_close(match(lambda _: target), 0 * ones)


def test_what_leaks_is_rounded_by_no_more_than_the_codes_energy_is() -> None:
    """A code of one map that fits leaves nothing, but for the rounding of two large sums."""
    for _ in range(50):
        code = torch.zeros(4, 6, 9, 7)
        code[:, 2] = 1000 * torch.rand(4, 9, 7)
        match = FeatureMapMatch("layer", torch.full((4,), 2), code[:, 2], torch.ones(4))
        loss = match(lambda _, code=code: code, leakage=5.0)
        assert (loss.abs() < 1e-6 * code.square().flatten(1).sum(1)).all()
        code[:, 3, 0, 0] = 0.1
        code[:, 2] = 0
        quiet = FeatureMapMatch("layer", torch.full((4,), 2), code[:, 2], torch.ones(4))
        assert_close(quiet(lambda _, code=code: code), torch.full((4,), 0.005))


def test_a_match_is_where_its_code_is_whatever_the_default_device(code: Tensor) -> None:
    match = feature_map_match(code)
    (expected,) = torch.autograd.grad(match(lambda _: code).sum(), code)
    with torch.device("meta"):
        (gradient,) = torch.autograd.grad(match(lambda _: code).sum(), code)
    assert_close(gradient, expected)


def test_a_match_cannot_be_changed() -> None:
    match = feature_map_match(torch.rand(2, 3, 4, 5))
    for one in (match, CodeMatch("layer", match.target, match.scale)):
        with pytest.raises(FrozenInstanceError):
            one.scale = torch.ones(1)


@pytest.mark.parametrize("outweigh", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("leakage", [0.0, 0.3, 1.0])
def test_what_outweighs_is_asked_for_in_value_and_gradient(
    code: Tensor, leakage: float, outweigh: float
) -> None:
    """Whether the filter answers much, faintly, or with its sign turned."""
    match = replace(feature_map_match(code), outweigh=outweigh)
    for strength in (100.0, 1.0, 0.01, -1.0):
        factor = torch.ones_like(code)
        factor[torch.arange(len(code)), match.filters] = strength
        shown = (code.detach().abs() * factor).requires_grad_()
        expected = dense(match, shown, leakage)
        loss = match(lambda _, shown=shown: shown, leakage)
        assert_close(loss, expected, rtol=1e-6, atol=1e-9)
        weights = torch.randn(len(code), dtype=code.dtype)
        (expected_gradient,) = torch.autograd.grad(expected, shown, weights)
        (gradient,) = torch.autograd.grad(loss, shown, weights)
        assert_close(gradient, expected_gradient)


def test_a_filter_that_outweighs_the_others_is_asked_for_what_the_paper_asks(code: Tensor) -> None:
    plain = feature_map_match(code)
    shown = torch.zeros_like(code)
    shown[torch.arange(len(code)), plain.filters] = 0.9 * plain.target
    shown.requires_grad_()
    for match in (plain, replace(plain, outweigh=1.0)):
        loss = match(lambda _: shown)
        assert_close(loss, dense(plain, shown, 1.0))
    silent = torch.zeros_like(code)
    assert_close(replace(plain, outweigh=1.0)(lambda _: silent), plain(lambda _: silent))


def test_asked_for_as_much_as_outweighs_a_code_grows_no_fainter(code: Tensor) -> None:
    """The gradient is that of the cosine, which does not mind how strong a code is."""
    match = replace(feature_map_match(code), outweigh=1.0)
    shown = (10 + code.detach().abs()).requires_grad_()
    (gradient,) = torch.autograd.grad(match(lambda _: shown).sum(), shown)
    along = (gradient * shown).reshape(len(code), -1).sum(1)
    assert_close(along, torch.zeros_like(along))
    target = torch.zeros_like(code)
    target[torch.arange(len(code)), match.filters] = match.target
    cosine = torch.nn.functional.cosine_similarity(shown.flatten(1), target.flatten(1))
    (expected,) = torch.autograd.grad(cosine.sum(), shown)
    ours, theirs = gradient.flatten(1), -expected.flatten(1)
    assert_close(torch.nn.functional.cosine_similarity(ours, theirs), torch.ones_like(along))
    (paper,) = torch.autograd.grad(feature_map_match(code)(lambda _: shown).sum(), shown)
    assert ((paper * shown).reshape(len(code), -1).sum(1) > 0).all()
