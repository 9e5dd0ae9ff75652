from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from captum_featinv.metrics import specificity

ANY = pytest.mark.parametrize("shape", [(3, 5, 4, 7), (2, 3, 9), (2, 4, 2, 5, 3), (3, 5)], ids=str)

Problem = tuple[Tensor, Tensor, Tensor]


def problem(shape: tuple[int, ...]) -> Problem:
    """A code with silent places, a target map and the filters of interest."""
    code = torch.randn(shape, dtype=torch.float64).clamp(min=-0.3)
    target = torch.rand(shape[0], *shape[2:], dtype=torch.float64)
    return code, target, torch.tensor([2, 0, 1])[: shape[0]]


def by_row(
    code: Tensor, filters: Tensor, measure: Callable[[list[list[float]], int, int], float]
) -> Tensor:
    """A measure of each row from its maps as lists, the number of its filter and its own number."""
    rows = code.reshape(*code.shape[:2], -1).tolist()
    values = [measure(maps, k, n) for n, (maps, k) in enumerate(zip(rows, filters, strict=True))]
    return torch.tensor(values, dtype=torch.float64)


def square(one: list[float]) -> float:
    return sum(value**2 for value in one)


@ANY
def test_share_is_the_filters_part_of_the_squared_activation(shape: tuple[int, ...]) -> None:
    code, _, filters = problem(shape)
    expected = by_row(code, filters, lambda maps, k, _: square(maps[k]) / sum(map(square, maps)))
    assert_close(specificity.share(code, filters), expected)
    assert_close(specificity.leakage(code, filters), 1 - expected)


@pytest.mark.parametrize(
    ("positions", "kept"),
    [
        ((6, 9), (2, 5)),
        ((1, 1), (1, 1)),
        ((3, 3), (1, 1)),
        ((2, 7), (2, 3)),
        ((4, 5), (2, 1)),
        ((5, 8, 3), (1, 4, 1)),
        ((20,), (16,)),
        ((), ()),
    ],
    ids=str,
)
def test_the_inner_code_is_what_lies_two_places_from_every_edge(
    positions: tuple[int, ...], kept: tuple[int, ...]
) -> None:
    """Or as far as a small map allows: place by place, in the order of the code."""
    code = torch.rand(2, 3, *positions)
    places = [
        place
        for place in np.ndindex(positions)
        if all(
            min(x, size - 1 - x) >= min(2, (size - 1) // 2)
            for x, size in zip(place, positions, strict=True)
        )
    ]
    found = specificity.inner(code)
    assert found.shape == (2, 3, *kept)
    expected = torch.stack([code[(..., *place)] for place in places], -1)
    assert torch.equal(found.reshape(2, 3, -1), expected)
    filters = torch.tensor([2, 0])
    share = specificity.share(expected, filters)
    assert_close(specificity.inner_share(code, filters), share)


@pytest.mark.parametrize(("margin", "kept"), [(0, 9), (1, 7), (3, 3), (4, 1), (9, 1)])
def test_the_margin_can_be_another(margin: int, kept: int) -> None:
    code = torch.rand(1, 2, 9)
    first = (9 - kept) // 2
    assert torch.equal(specificity.inner(code, margin), code[..., first : first + kept])


def test_a_filter_that_fires_at_the_frame_alone_has_no_inner_share() -> None:
    code = torch.rand(1, 3, 8, 9) + 0.1
    code[:, 0, 2:-2, 2:-2] = 0
    filters = torch.tensor([0])
    assert specificity.share(code, filters).item() > 0
    assert specificity.inner_share(code, filters).item() == 0
    assert specificity.inner_share(0 * code, filters).item() == 0


@ANY
def test_lift_is_the_share_over_the_share_in_the_photo(shape: tuple[int, ...]) -> None:
    code, _, filters = problem(shape)
    photo = torch.rand(shape, dtype=torch.float64)
    expected = specificity.share(code, filters) / specificity.share(photo, filters)
    assert_close(specificity.lift(code, photo, filters), expected)


@ANY
def test_rank_counts_the_filters_that_are_stronger(shape: tuple[int, ...]) -> None:
    code, _, filters = problem(shape)
    expected = by_row(
        code, filters, lambda maps, k, _: sum(square(one) > square(maps[k]) for one in maps)
    )
    assert specificity.rank(code, filters).tolist() == expected.tolist()


def test_ranks_of_all_filters_are_all_the_numbers_from_0() -> None:
    code = torch.randn(1, 6, 3, 5).expand(6, -1, -1, -1)
    assert sorted(specificity.rank(code, torch.arange(6)).tolist()) == list(range(6))
    assert specificity.rank(torch.ones(2, 3, 4), torch.tensor([0, 2])).tolist() == [0, 0]


@ANY
def test_coverage_is_the_share_of_places_where_the_filter_fires(shape: tuple[int, ...]) -> None:
    code, _, filters = problem(shape)
    expected = by_row(
        code, filters, lambda maps, k, _: sum(value > 0 for value in maps[k]) / len(maps[k])
    )
    assert_close(specificity.coverage(code, filters), expected)


@pytest.mark.parametrize("shape", [(3, 5, 4, 7), (2, 3, 9), (2, 4, 2, 5, 3)], ids=str)
def test_correlation_is_numpys(shape: tuple[int, ...]) -> None:
    code, target, filters = problem(shape)
    expected = by_row(
        code, filters, lambda maps, k, n: np.corrcoef(maps[k], target[n].flatten())[0, 1]
    )
    assert_close(specificity.correlation(code, target, filters), expected)
    assert_close(specificity.correlation(7 * code + 3, target / 2, filters), expected)


def test_a_code_without_positions_correlates_with_nothing() -> None:
    code, target, filters = problem((3, 5))
    assert specificity.correlation(code, target, filters).tolist() == [0, 0, 0]


@pytest.mark.parametrize("shape", [(3, 5, 4, 7), (2, 3, 9), (2, 4, 2, 5, 3)], ids=str)
def test_the_twin_is_the_other_filter_that_numpy_correlates_most(shape: tuple[int, ...]) -> None:
    code, _, filters = problem(shape)
    numbers, found = specificity.twins(100 + 7 * code, filters)
    for maps, k, number, value in zip(code, filters, numbers, found, strict=True):
        alike = np.corrcoef(maps.flatten(1).numpy())[k]
        alike[k] = -np.inf
        assert number == alike.argmax()
        assert value.item() == pytest.approx(alike.max())


def test_a_twin_may_be_the_least_unlike_and_its_correlation_never_leaves_1() -> None:
    ramp = torch.linspace(0, 1, 30)
    code = torch.stack([ramp, 1 - ramp, 3 * ramp + 1]).expand(2, -1, -1)
    numbers, found = specificity.twins(code, torch.tensor([0, 1]))
    assert numbers.tolist()[0] == 2
    assert numbers.tolist()[1] in (0, 2)
    assert_close(found, torch.tensor([1.0, -1.0]))
    assert found.abs().max() <= 1


@pytest.mark.parametrize(
    "code",
    [
        torch.rand(1, 1, 4, 7),  # one filter
        torch.rand(1, 3),  # no positions
        torch.rand(1, 3, 1, 1),  # one position
        torch.rand(1, 3, 4, 7) * torch.tensor([0.0, 1, 1])[:, None, None],  # it is silent itself
        torch.rand(1, 3, 4, 7) * torch.tensor([1.0, 0, 0])[:, None, None],  # all others are
        torch.rand(1, 3, 1, 1).expand(1, 3, 4, 7),  # all are constant
    ],
    ids=lambda code: str(tuple(code.shape)),
)
def test_where_nothing_can_be_compared_there_is_no_twin(code: Tensor) -> None:
    numbers, found = specificity.twins(code, torch.tensor([0]))
    assert (numbers.tolist(), found.tolist()) == ([-1], [0])


def test_a_silent_filter_is_nobodys_twin() -> None:
    """Though its correlation of 0 is more than that of the filter that is there."""
    ramp = torch.linspace(0, 1, 30)
    code = torch.stack([ramp, 0 * ramp, 1 - ramp])[None]
    numbers, found = specificity.twins(code, torch.tensor([0]))
    assert numbers.tolist() == [2]
    assert_close(found, torch.tensor([-1.0]))


@ANY
def test_attained_is_the_part_of_the_energy_asked_for(shape: tuple[int, ...]) -> None:
    code, target, filters = problem(shape)
    wanted = target.reshape(len(target), -1).tolist()
    expected = by_row(
        code,
        filters,
        lambda maps, k, n: (
            sum(y * t for y, t in zip(maps[k], wanted[n], strict=True)) / square(wanted[n])
        ),
    )
    assert_close(specificity.attained(code, target, filters), expected)


def test_the_very_code_that_was_asked_for_scores_best() -> None:
    filters, target = torch.tensor([3, 1]), torch.rand(2, 4, 7)
    code = torch.zeros(2, 5, 4, 7)
    code[[0, 1], filters] = target
    ones = torch.ones(2)
    assert_close(specificity.share(code, filters), ones)
    assert_close(specificity.attained(code, target, filters), ones)
    assert_close(specificity.correlation(code, target, filters), ones)
    assert_close(specificity.leakage(code, filters), 0 * ones)
    assert specificity.rank(code, filters).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        (lambda code, target, k: specificity.share(code, k), 0),
        (lambda code, target, k: specificity.leakage(code, k), 1),
        (lambda code, target, k: specificity.rank(code, k), 0),
        (lambda code, target, k: specificity.coverage(code, k), 0),
        (lambda code, target, k: specificity.lift(code, code, k), 1),
        (lambda code, target, k: specificity.lift(code, code + 1, k), 0),
        (lambda code, target, k: specificity.lift(code + 1, code, k), torch.inf),
        (lambda code, target, k: specificity.correlation(code, target, k), 0),
        (lambda code, target, k: specificity.correlation(code + target[:, None], 0 * target, k), 0),
        (lambda code, target, k: specificity.attained(code, target, k), 0),
        (lambda code, target, k: specificity.attained(code + 1, 0 * target, k), 0),
    ],
)
def test_silence_gives_a_number_and_never_nan(
    measure: Callable[[Tensor, Tensor, Tensor], Tensor], expected: float
) -> None:
    code, target, filters = torch.zeros(2, 3, 4, 7), torch.rand(2, 4, 7), torch.tensor([2, 1])
    assert measure(code, target, filters).tolist() == [expected, expected]
