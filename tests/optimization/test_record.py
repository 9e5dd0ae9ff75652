"""Rows settle when they stand still, not because nothing has reached them yet."""

import pytest
import torch
from torch import Tensor, nn

from captum_featinv import CodeInversion, FeatureMapInversion, Recipe
from captum_featinv.optimization.loop import Phase, follow
from captum_featinv.optimization.record import LOOK_EVERY, Record


def walked(paths: list[list[float]], **options: object) -> Record:
    """A record of rows that are at given values after given steps."""
    start = torch.tensor([[path[0]] for path in paths])
    record = Record((start,), (torch.zeros_like(start),), **options)
    for step in range(1, len(paths[0])):
        images = torch.tensor([[path[step]] for path in paths])
        record.note(step, (images,))
        if record.all_settled(step):
            break
    return record


def test_a_row_stays_as_it_was_when_it_settled() -> None:
    still = [0.0, *[1.0] * 10, *[1.0 + 0.3 * k for k in range(20)]]
    moving = [0.5 * k for k in range(31)]
    record = walked([still, moving], tolerance=1e-3)
    record.look((torch.tensor([[99.0], [98.0]]),))
    assert record.images[0].tolist() == [[1.0], [98.0]]


@pytest.mark.parametrize(("first", "settles"), [(0, True), (10, False)])
def test_no_row_settles_before_it_may(first: int, settles: bool) -> None:
    late = [1.0] * 11 + [1.0 + k for k in range(1, 9)]
    record = walked([late], tolerance=1e-3, first=first)
    record.look((torch.tensor([[7.0]]),))
    assert record.images[0].item() == (1.0 if settles else 7.0)


def test_a_row_that_is_lost_stays_as_it_last_was_seen() -> None:
    for bad in (float("nan"), float("inf")):
        path = [0.0, *[float(k) for k in range(1, 15)], *[bad] * 16]
        record = walked([path, [float(k) for k in range(31)]], tolerance=None)
        assert record.lost.tolist() == [True, False]
        assert record.images[0].tolist() == [[10.0], [30.0]]


def test_all_settled_ends_the_steps_and_nothing_else_does() -> None:
    record = walked([[1.0] * 30], tolerance=1e-3)
    assert record.all_settled(LOOK_EVERY)
    assert not record.all_settled(LOOK_EVERY + 1)
    assert not walked([[1.0] * 30], tolerance=None).all_settled(LOOK_EVERY)
    assert not walked([[float(k) for k in range(30)]], tolerance=1e-3).all_settled(LOOK_EVERY)


def test_size_is_measured_from_the_mean_colour_over_all_inputs() -> None:
    """A change of 0.1 is small beside 100 in another input of the same row, not by itself."""
    starts = (torch.zeros(1, 1), torch.zeros(1, 1))
    for far, settles in ((100.0, True), (0.0, False)):
        record = Record(starts, starts, 0.01)
        for step in range(1, LOOK_EVERY + 1):
            images = (torch.full((1, 1), 0.1 * step), torch.full((1, 1), far))
            record.note(step, images)
        assert record.all_settled(LOOK_EVERY) == settles


@pytest.mark.parametrize(("step", "settles"), [(0.5, False), (0.4, True)])
def test_a_row_settles_below_its_tolerance_and_not_at_it(step: float, settles: bool) -> None:
    """A step from 1 - `step` to 1, of the row's distance 1 from the mean colour."""
    record = walked([[0.0, *[1 - step] * 9, 1.0]], tolerance=0.5)
    assert record.all_settled(LOOK_EVERY) == settles


def test_a_row_that_stands_on_the_mean_colour_has_not_settled() -> None:
    record = walked([[0.0] * 11], tolerance=0.5)
    assert not record.all_settled(LOOK_EVERY)


def test_a_settled_row_is_not_lost_by_what_comes_after() -> None:
    path = [0.0, *[1.0] * 10, *[float("nan")] * 20]
    record = walked([path, [float(k) for k in range(31)]], tolerance=1e-3)
    assert record.lost.tolist() == [False, False]
    assert record.images[0].tolist() == [[1.0], [30.0]]


def test_nothing_is_left_to_do_where_each_row_is_lost_or_has_settled() -> None:
    paths = [[0.0, *[1.0] * 10], [0.0, *[float("nan")] * 10]]
    assert walked(paths, tolerance=1e-3).all_settled(LOOK_EVERY)


def test_a_row_is_as_far_from_the_mean_colour_as_all_its_numbers_together() -> None:
    """3, 4 and 12 in any dimension and any input are 13; the rows keep their own images."""
    images, others = torch.zeros(2, 3, 2, 2), torch.zeros(2, 1, 5)
    record = Record((images.clone(), others.clone()), (images + 1, others - 1), 1e-4)
    images[0, 0, 1, 0], images[0, 2, 0, 1], others[0, 0, 4] = 3, 4, 12
    images[1] = torch.nan
    size = record.look((images + 1, others - 1))
    assert size[0] == 13
    assert not torch.isfinite(size[1])
    assert record.lost.tolist() == [False, True]
    assert torch.equal(record.images[0], torch.stack([images[0] + 1, torch.zeros(3, 2, 2)]))
    assert torch.equal(record.images[1], torch.stack([others[0] - 1, torch.zeros(1, 5)]))
    assert Record((images[:1],), (images[:1] * 0,), None).look((images[:1],)).tolist() == [5]


def test_steps_end_where_all_have_settled_after_the_redirection() -> None:
    seen: list[Phase] = []

    def losses(images: tuple[Tensor, ...], phase: Phase) -> Tensor:
        seen.append(phase)
        return 0 * images[0].flatten(1).sum(1)

    image = torch.full((2, 3, 4, 5), 0.3)
    recipe = Recipe.default(n_steps=60, redirect=0.3, warmup=0.2, transforms=())
    found = follow(
        recipe, losses, (image,), (image - 0.1,), bounded=[True], seed=0, advance=lambda: None
    )
    assert len(seen) == 20  # the redirection ends with step 18, the next look is at 20
    assert torch.equal(found.images[0], image)
    assert not found.lost.any()


@pytest.mark.filterwarnings("ignore:photo 0")
def test_a_filter_that_wakes_late_is_not_taken_for_settled() -> None:
    """Its layer's gradients stay 0 for the first tenth of the steps."""

    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.relu, self.calls = nn.Conv2d(3, 2, 3), nn.ReLU(), 0

        def forward(self, image: Tensor) -> Tensor:
            self.calls += image.requires_grad
            return self.relu(self.conv(image if self.calls > 14 else 0 * image))

    torch.manual_seed(0)
    photo = torch.rand(1, 3, 9, 9) * 4 - 2
    inversion = CodeInversion(Late().eval(), "relu")
    start = torch.zeros_like(photo)
    found = inversion.attribute(photo, baselines=start, n_steps=80)
    assert (found - start).abs().max() > 0.5


@pytest.mark.slow
def test_no_live_filter_of_a_shufflenet_is_given_up() -> None:
    """Fourteen of 48 were, because nothing had reached them in the first step."""
    from torchvision.models import shufflenet_v2_x0_5

    torch.manual_seed(0)
    model, photo = shufflenet_v2_x0_5(weights=None).eval(), torch.rand(1, 3, 64, 64) * 4 - 2
    FeatureMapInversion(model, "stage2.0").attribute(photo, None)
