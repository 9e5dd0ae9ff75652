"""Filters are silenced for a block, and what a class loses is what they gave."""

from collections.abc import Callable
from threading import Thread

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from torchvision.ops import Permute

from captum_featinv.errors import ArgumentError, FilterError, LayerError
from captum_featinv.network.ablation import ablated, ablation
from captum_featinv.network.losses import Ablation, Loss

StateOf = Callable[[nn.Module], dict[str, object]]


def linear_head(*before: nn.Module) -> nn.Sequential:
    """A layer, then the mean over places, then weights: class 1 gets 3, -2, 0.5, ... a filter."""
    head = nn.Linear(5, 2)
    with torch.no_grad():
        head.weight[1] = torch.tensor([3.0, -2.0, 0.5, 0.0, 1.0])
    return nn.Sequential(
        nn.Conv2d(3, 5, 3),
        nn.ReLU(inplace=True),
        *before,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        head,
    ).eval()


@pytest.mark.parametrize("filters", [[0], [1], [2, 4], [0, 1, 2, 3, 4], [-5]])
def test_a_linear_head_loses_exactly_what_the_filters_gave(
    filters: list[int], photos: Tensor
) -> None:
    model = linear_head()
    means = model[:2](photos).mean((0, 2, 3)).detach()
    expected = (model[-1].weight[1].detach() * means)[filters].sum()
    found = ablation(model, "1", filters, photos, 1)
    assert found.drop == pytest.approx(float(expected), abs=1e-5)
    assert found.score == pytest.approx(float(model(photos)[:, 1].mean().detach()), abs=1e-5)


def test_random_draws_are_seeded_as_many_and_of_others_only(photos: Tensor) -> None:
    model = linear_head()
    gains = (model[-1].weight[1] * model[:2](photos).mean((0, 2, 3))).detach()
    found = ablation(model, "1", [0], photos, 1, others=[0, 2, 4], draws=20, seed=3)
    possible = [float(gains[2]), float(gains[4])]
    nearest = {min(possible, key=lambda gain: abs(gain - drop)) for drop in found.random_drops}
    assert nearest == set(possible)
    for drop in found.random_drops:
        assert min(abs(gain - drop) for gain in possible) < 1e-5
    again = ablation(model, "1", [0], photos, 1, others=[0, 2, 4], draws=20, seed=3)
    assert again == found
    assert found.mean_random_drop == pytest.approx(sum(found.random_drops) / 20)


def test_on_pictures_beside_the_photos_filters_cost_what_they_give_there(photos: Tensor) -> None:
    model = linear_head()
    nearby = {"brighter": photos * 1.1, "noisy": photos + 0.1 * torch.randn_like(photos)}
    found = ablation(model, "1", [0, 2], photos, 1, others=range(5), draws=4, nearby=nearby)
    weights, losses = model[-1].weight[1].detach(), []
    assert [loss.picture for loss in found.losses] == ["as it is", "brighter", "noisy"]
    for loss, shown in zip(found.losses, (photos, *nearby.values()), strict=True):
        gains = weights * model[:2](shown).mean((0, 2, 3)).detach()
        losses.append(float(gains[[0, 2]].sum()))
        assert loss.drop == pytest.approx(losses[-1], abs=1e-5)
        assert loss.score == pytest.approx(float(model(shown)[:, 1].mean().detach()), abs=1e-5)
        pairs = [gains[[a, b]].sum().item() for a, b in ((1, 3), (1, 4), (3, 4))]
        assert all(min(abs(drop - pair) for pair in pairs) < 1e-5 for drop in loss.random_drops)
    assert found.drop_range == pytest.approx((min(losses), max(losses)), abs=1e-5)
    alone = ablation(model, "1", [0, 2], photos, 1, others=range(5), draws=4)
    assert found.random_drops == pytest.approx(alone.random_drops, abs=1e-5)
    assert alone.drop_range == (alone.drop, alone.drop)


def test_pictures_of_another_shape_are_not_beside_the_photos(photos: Tensor) -> None:
    with pytest.raises(ArgumentError, match="nearby 'half' has shape"):
        ablation(linear_head(), "1", [0], photos, 1, nearby={"half": photos[..., ::2]})


def told(*losses: tuple[float, list[float]]) -> Ablation:
    names = ["as it is", "JPEG 95", "1 px down"]
    pairs = zip(names, losses, strict=False)
    return Ablation([4], [Loss(name, 2.0, drop, random) for name, (drop, random) in pairs])


@pytest.mark.parametrize(
    ("losses", "words", "overlaps", "as_much"),
    [
        (
            [(0.5, [0.1, 0.2]), (0.9, [0.4, -0.1])],
            "do not overlap: random filters cost less",
            False,
            0,
        ),
        ([(0.5, [0.1, 0.2]), (0.9, [0.6, 0.3])], "as much on the same picture in 0 of 4", True, 0),
        ([(0.5, [0.5, 0.2]), (0.9, [1.0, 0.3])], "as much on the same picture in 2 of 4", True, 2),
        ([(0.1, [0.5, 0.3]), (0.2, [1.0, 0.3])], "cost more in every trial", False, 4),
    ],
)
def test_whether_it_is_more_than_chance_is_said(
    losses: list[tuple[float, list[float]]], words: str, overlaps: bool, as_much: int
) -> None:
    found = told(*losses)
    assert found.overlaps is overlaps
    assert found.random_as_much == (as_much, 4)
    assert words in "\n".join(found.lines())


def test_every_figure_is_told_with_its_range() -> None:
    lines = told((0.5, [0.1, 0.3]), (0.9, [-0.5, 0.1]), (0.7, [0.2, 0.2])).lines()
    assert lines[:3] == [
        "score 2.00 (2.00 to 2.00)",
        "without this filter a loss of 0.50 (0.50 to 0.90)",
        "without a random one a loss of 0.20 (-0.20 to 0.20) on average; single draws -0.50 to 0.30",
    ]
    assert "2 pictures that nobody can tell from it (JPEG 95, 1 px down)" in lines[-1]
    assert told((0.5, [])).lines() == ["score 2.00", "without this filter a loss of 0.50"]


def test_too_few_others_are_refused(photos: Tensor) -> None:
    with pytest.raises(ArgumentError, match="there are 1; ablate fewer"):
        ablation(linear_head(), "1", [0, 1], photos, 1, others=[0, 1, 2])


def test_of_a_module_that_runs_twice_the_last_call_is_silenced(
    model: nn.Module, photos: Tensor
) -> None:
    """The in-place ReLU of the small network: 6 filters first, then 8."""
    with ablated(model, "relu", list(range(8)), photos):
        silent = model(photos)
    assert_close(silent, model.head.bias.expand(2, 4))


def test_a_layer_that_keeps_its_channels_last_loses_channels(photos: Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), Permute([0, 2, 3, 1]))
    expected = model(photos).clone()
    expected[..., [1, 3]] = 0
    with ablated(model, "1", [1, 3], photos):
        assert torch.equal(model(photos), expected)


def test_other_images_and_batches_may_be_shown(photos: Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    with ablated(model, "1", [2], photos):
        code = model(torch.rand(5, 3, 30, 20))
    assert code.shape[0] == 5
    assert not code[:, 2].any()
    assert code[:, [0, 1, 3]].any()


@pytest.mark.parametrize("error", [None, KeyError("mine"), KeyboardInterrupt()])
def test_the_model_comes_back_as_it_was(
    error: BaseException | None, model: nn.Module, photos: Tensor, state_of: StateOf
) -> None:
    before = state_of(model)
    if error is None:
        ablation(model, "conv2", [1], photos, 0, others=range(8))
    else:
        with pytest.raises(type(error)), ablated(model, "conv2", [1], photos):
            raise error
    assert state_of(model) == before


def test_what_is_not_there_is_named(model: nn.Module, photos: Tensor) -> None:
    with pytest.raises(FilterError, match=r"filters 0 to 7, not \[8, 99\]"):
        ablation(model, "conv2", [1, 8, 99], photos, 0)
    with pytest.raises(LayerError, match="conv2"), ablated(model, "conv3", [1], photos):
        pass


def test_a_layer_that_does_not_run_cannot_be_silenced(photos: Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    model[0].unused = nn.ReLU()
    with (
        pytest.raises(ArgumentError, match=r"layer '0\.unused' did not run"),
        ablated(model, "0.unused", [1], photos),
    ):
        pass


def test_a_model_that_writes_into_its_input_sees_the_same_photos_each_time(photos: Tensor) -> None:
    plain = linear_head()
    overwriting = nn.Sequential(nn.ReLU(inplace=True), *plain).eval()
    given = photos.clone()
    found = ablation(overwriting, "2", [0, 2], photos, 1, others=range(5), draws=3)
    assert torch.equal(photos, given)
    separate = nn.Sequential(nn.ReLU(), *plain).eval()
    assert found == ablation(separate, "2", [0, 2], photos, 1, others=range(5), draws=3)


def test_what_other_threads_run_meanwhile_keeps_its_filters(photos: Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    expected, seen = model(photos), []
    with ablated(model, "1", [0, 1, 2, 3], photos):
        thread = Thread(target=lambda: seen.append(model(photos)))
        thread.start()
        thread.join()
        assert not model(photos).any()
    assert torch.equal(seen[0], expected)
