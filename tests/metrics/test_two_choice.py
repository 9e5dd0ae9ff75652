import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from captum_featinv.metrics.two_choice import (
    accuracies,
    margins,
    of_another,
    of_own,
    relative,
)


def dice(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def always(filters: int, strong: int, weak: int, pictures: int) -> Tensor:
    return torch.ones(filters, strong, weak, filters, pictures, dtype=torch.bool)


def test_a_margin_is_the_mean_over_the_first_fair_pictures() -> None:
    strong = torch.rand(3, 2, 3, 5, generator=dice())
    weak = torch.rand(3, 4, 3, 5, generator=dice(1))
    fair = torch.rand(3, 2, 4, 3, 5, generator=dice(2)) < 0.5
    found = margins(strong, weak, fair, count=2)
    for k, a, b, j in ((0, 1, 3, 2), (2, 0, 0, 1), (1, 1, 2, 1)):
        asked = [e for e in range(5) if fair[k, a, b, j, e]][:2]
        expected = sum(float(strong[k, a, j, e] - weak[k, b, j, e]) for e in asked)
        assert float(found[k, a, b, j]) == pytest.approx(expected / len(asked), abs=1e-6)


def test_trials_without_a_fair_picture_do_not_count() -> None:
    fair = always(3, 1, 2, 2)
    fair[:, :, 1] = False
    strong, weak = torch.ones(3, 1, 3, 2), torch.zeros(3, 2, 3, 2)
    weak[:, 0] = 2
    found = margins(strong, weak, fair, count=2)
    assert found[:, :, 1].isnan().all()
    assert_close(accuracies(found), torch.zeros(3, 3))


def test_relative_margins_leave_out_the_own_pictures_and_those_asked() -> None:
    plain = torch.randn(4, 2, 3, 4, generator=dice())
    found = relative(plain)
    for k in range(4):
        for j in range(4):
            others = [i for i in range(4) if i not in (j, k)]
            expected = plain[k, :, :, j] - plain[k][..., others].mean(-1)
            assert_close(found[k, :, :, j], expected)


def test_perfect_pictures_score_one_and_another_filters_do_not() -> None:
    """A query is a filter's own direction, or that of nothing; pictures are these directions."""
    strong = torch.eye(5)[:, None, :, None].expand(-1, 3, -1, 2)
    weak = torch.zeros(5, 3, 5, 2)
    told = relative(margins(strong, weak, always(5, 3, 3, 2), count=4))
    table = accuracies(told)
    assert of_own(table).tolist() == [1] * 5
    assert of_another(table).tolist() == [0.5] * 5  # as unlike as all others are: a tie


def test_what_any_picture_would_win_is_told_by_guessing_once_the_others_are_asked() -> None:
    """Strong queries have structure, so they are more alike to every picture."""
    noise = torch.randn(40, 8, 40, 2, generator=dice())
    strong, weak = 2 + noise[:, :4], noise[:, 4:]
    plain = margins(strong, weak, always(40, 4, 4, 2), count=2)
    assert accuracies(plain).mean() > 0.8
    table = accuracies(relative(plain))
    assert of_own(table).mean().item() == pytest.approx(0.5, abs=0.06)
    assert of_another(table).mean().item() == pytest.approx(0.5, abs=0.06)


def test_the_other_filter_is_the_one_behind() -> None:
    table = torch.arange(9.0).reshape(3, 3)
    assert of_another(table).tolist() == [1, 5, 6]
