"""The loop by itself: what it draws, shows, bounds and hands out, on losses that are written here."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Generator, Tensor
from torch.optim import LBFGS, SGD, Adam
from torch.testing import assert_close

from captum_featinv import Recipe
from captum_featinv.images.denoise import total_variation_denoise
from captum_featinv.optimization.loop import (
    Found,
    Phase,
    arithmetics,
    follow,
    phase_of,
    start_image,
)
from captum_featinv.param.parameterization import Parameterization
from captum_featinv.param.pixel import byte_pixels, clamped_pixels, free_pixels, sigmoid_pixels

Images = tuple[Tensor, ...]
STILL = {"optimizer": partial(SGD, lr=0.0), "schedule": None, "transforms": (), "tolerance": None}


def nothing(images: Images, _phase: Phase | None = None) -> Tensor:
    return torch.stack([0 * image.flatten(1).sum(1) for image in images]).sum(0)


def total(images: Images, _phase: Phase | None = None) -> Tensor:
    return torch.stack([image.flatten(1).sum(1) for image in images]).sum(0)


def followed(
    recipe: Recipe,
    *starts: Tensor,
    losses: Callable[[Images, Phase], Tensor] = nothing,
    grey: float = 0.5,
    bounded: bool | list[bool] = True,
    seed: int = 0,
    advance: Callable[[], object] = lambda: None,
) -> Found:
    greys = tuple(torch.full_like(start, grey) for start in starts)
    inside = [bounded] * len(starts) if isinstance(bounded, bool) else bounded
    return follow(recipe, losses, starts, greys, bounded=inside, seed=seed, advance=advance)


class Brighter:
    """A transform that adds a number from the dice."""

    def draw(self, generator: Generator) -> Callable[[Tensor], Tensor]:
        number = torch.rand((), generator=generator).item()
        return lambda image: image + number


class Prepared:
    """One view, which has to be made ready for an image before it can be used."""

    def __init__(self) -> None:
        self.asked: list[Tensor] = []

    def draw(self, _generator: Generator) -> "Prepared":
        return self

    def ready_for(self, image: Tensor) -> Callable[[Tensor], Tensor]:
        self.asked.append(image)
        size = image.shape[1]
        return lambda image: image * size


@pytest.mark.parametrize("seed", [3, 4])
def test_distortions_are_those_that_the_seeds_dice_throw(seed: int) -> None:
    seen: list[Images] = []

    def losses(images: Images, phase: Phase) -> Tensor:
        seen.append(tuple(image.detach() for image in images))
        return nothing(images, phase)

    one, other = torch.rand(2, 3, 4, 5), torch.rand(2, 1, 6)
    recipe = Recipe.default(**STILL | {"transforms": (Brighter(), Brighter())}, n_steps=3)
    followed(recipe, one, other, losses=losses, seed=seed)
    dice = torch.rand(6, generator=torch.Generator().manual_seed(seed)).reshape(3, 2).sum(1)
    for numbers, images in zip(dice, seen, strict=True):
        assert_close(images[0], one + numbers)
        assert_close(images[1], other + numbers)


def test_a_view_is_made_ready_once_for_each_image() -> None:
    seen: list[Images] = []

    def losses(images: Images, phase: Phase) -> Tensor:
        seen.append(tuple(image.detach() for image in images))
        return nothing(images, phase)

    one, other = torch.rand(2, 3, 4, 5), torch.rand(2, 1, 6)
    view = Prepared()
    followed(Recipe.default(**STILL | {"transforms": (view,)}), one, other, losses=losses)
    assert [image.shape for image in view.asked] == [one.shape, other.shape]
    assert len(seen) == 32
    for images in seen:
        assert_close(images[0], 3 * one)
        assert_close(images[1], other)


def test_every_step_is_told_its_phase_and_counted() -> None:
    phases: list[Phase] = []
    steps: list[int] = []

    def losses(images: Images, phase: Phase) -> Tensor:
        phases.append(phase)
        return nothing(images)

    recipe = Recipe.default(**STILL, n_steps=12, redirect=0.5, warmup=0.25)
    found = followed(
        recipe, torch.rand(2, 3, 4, 5), losses=losses, advance=lambda: steps.append(len(phases))
    )
    assert phases == [phase_of(recipe, step) for step in range(12)]
    assert steps == list(range(1, 13))
    assert found.interrupted is False


def test_after_ctrl_c_the_images_are_as_far_as_they_came() -> None:
    steps: list[int] = []

    def advance() -> None:
        steps.append(1)
        if len(steps) == 3:
            raise KeyboardInterrupt

    start = torch.full((2, 3, 4, 5), 0.9)
    recipe = Recipe.default(**STILL | {"optimizer": partial(SGD, lr=0.1)})
    found = followed(recipe, start, losses=total, advance=advance)
    assert found.interrupted is True
    assert_close(found.images[0], start - 3 * 0.1)
    assert not found.images[0].requires_grad


def test_a_look_at_the_images_is_taken_at_every_tenth_step_and_the_one_before() -> None:
    """More would cost, less could not tell whether they stand still."""
    draws: list[int] = []

    def counted(start: Tensor, grey: Tensor) -> Parameterization:
        parameters, draw = clamped_pixels(start, grey)
        return Parameterization(parameters, lambda: draws.append(1) or draw())

    followed(Recipe.default(**STILL, pixels=counted, n_steps=35), torch.rand(1, 3, 4, 5))
    assert len(draws) == 35 + 2 * 3 + 1


def test_an_image_that_moves_in_place_is_not_taken_for_still() -> None:
    steps: list[int] = []
    recipe = Recipe.default(
        optimizer=partial(SGD, lr=1e-3), schedule=None, transforms=(), n_steps=40
    )
    start = torch.full((1, 3, 4, 5), 0.9)
    followed(recipe, start, losses=total, advance=lambda: steps.append(1))
    assert len(steps) == 40


@pytest.mark.parametrize(("redirect", "warmup"), [(0.5, 0.0), (0.0, 0.5), (0.1, 0.5)])
def test_a_still_image_ends_the_steps_once_both_phases_are_over(
    redirect: float, warmup: float
) -> None:
    steps: list[int] = []
    recipe = Recipe.default(
        **STILL | {"tolerance": 1e-4}, redirect=redirect, warmup=warmup, n_steps=40
    )
    followed(recipe, torch.rand(1, 3, 4, 5), advance=lambda: steps.append(1))
    assert len(steps) == 30  # of 40; phases end with step 20, the next look is at 30


@pytest.mark.parametrize("share", [0.9, 1.1])
def test_the_default_takes_what_moves_by_less_than_a_ten_thousandth_for_settled(
    share: float,
) -> None:
    """Of its distance from the mean colour: in 32 steps that is not a level of an 8-bit picture."""
    steps: list[int] = []
    rate = share * 1e-4 * 0.4
    recipe = Recipe.default(optimizer=partial(SGD, lr=rate), schedule=None, transforms=())
    start = torch.full((1, 3, 4, 5), 0.9, dtype=torch.float64)
    followed(recipe, start, losses=total, advance=lambda: steps.append(1))
    assert len(steps) == (10 if share < 1 else 32)


def test_only_what_has_a_displayable_range_is_kept_in_it() -> None:
    far = torch.tensor([-3.0, 0.25, 4.0]).reshape(1, 1, 3, 1)
    for pixels, inside in ((clamped_pixels, [0, 0.25, 1]), (sigmoid_pixels, None)):
        recipe = Recipe.default(**STILL, pixels=pixels, n_steps=2)
        bound, free = followed(recipe, far, far, bounded=[True, False]).images
        assert torch.equal(free, far)
        assert bound.min() >= 0
        assert bound.max() <= 1
        assert inside is None or bound.flatten().tolist() == inside


def test_pixels_that_have_no_bounds_are_kept_where_there_is_no_range() -> None:
    """A step of bytes is 255 times smaller in what is shown, and so is the gradient."""
    start = torch.rand(1, 3, 4, 5, dtype=torch.float64)
    options = STILL | {"optimizer": partial(SGD, lr=255.0), "n_steps": 1}
    for pixels, step in ((byte_pixels, 1 / 255), (free_pixels, 255.0)):
        recipe = Recipe.default(**options, pixels=pixels)
        for bounded in (True, False):
            (image,) = followed(recipe, start, losses=total, bounded=bounded).images
            assert_close(image, start - step)


def test_the_last_denoising_clamps_what_has_a_displayable_range() -> None:
    start = 3 * torch.rand(1, 3, 6, 7, dtype=torch.float64) - 1
    recipe = Recipe.paper(optimizer=partial(SGD, lr=0.0), n_steps=1, denoise=0.3)
    bound, free = followed(recipe, start, start, bounded=[True, False]).images
    assert_close(bound, total_variation_denoise(start.clamp(0, 1), 0.3))
    assert_close(free, total_variation_denoise(start, 0.3))


def test_a_clip_and_a_schedule_of_the_recipe_reach_the_steps() -> None:
    def halving(optimizer: torch.optim.Optimizer, _steps: int) -> torch.optim.lr_scheduler.StepLR:
        return torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)

    recipe = Recipe.default(
        **STILL | {"optimizer": partial(SGD, lr=0.4), "schedule": halving}, clip=0.25, n_steps=3
    )
    start = torch.full((1, 3, 4, 5), 0.9)
    (image,) = followed(recipe, start, losses=total).images
    assert_close(image, start - 0.25 * (0.4 + 0.2 + 0.1))


def test_a_start_image_is_the_mean_colour_and_the_noise_of_one_row() -> None:
    def ramp(shape: torch.Size, generator: Generator) -> Tensor:
        return torch.rand(shape, generator=generator) + torch.arange(shape[-1])

    grey = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    found = start_image(Recipe.default(noise=ramp), grey, torch.Generator().manual_seed(2))
    noise = ramp(torch.Size((3, 4, 5)), torch.Generator().manual_seed(2)).double()
    assert_close(found, torch.stack([grey[0] + noise, grey[1] + noise]))


def test_bfloat16_is_taken_for_a_line_search_too_where_it_is_asked_for() -> None:
    images = (torch.zeros(1, 3, 4, 5),)
    for optimizer in (LBFGS, Adam):
        asked = {"optimizer": optimizer, "schedule": None}
        assert arithmetics(Recipe.default(**asked, precision="bfloat16"), images)[0].half
        assert not arithmetics(Recipe.default(**asked, precision="float32"), images)[0].half


def test_auto_is_float32_for_a_line_search_even_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("captum_featinv.optimization.precision._has_bfloat16", lambda _: True)
    images = (torch.zeros(1, 3, 4, 5),)
    assert arithmetics(Recipe.default(), images)[0].half
    assert not arithmetics(Recipe.default(couples_rows=True), images)[0].half


def test_an_optimizer_that_looks_at_the_loss_is_shown_it_and_others_are_not() -> None:
    """Adding up the loss is one more call a step."""
    seen: list[object] = []

    class Looking(SGD):
        @torch.no_grad()
        def step(self, closure: Callable[[], Tensor]) -> None:  # type: ignore[override]
            seen.append(closure())

    start = torch.full((2, 3, 4, 5), 0.5)
    for coupled in (True, False):
        recipe = Recipe.default(
            **STILL | {"optimizer": partial(Looking, lr=0.0)}, couples_rows=coupled, n_steps=1
        )
        followed(recipe, start, losses=total)
    assert seen[0] == 2 * 3 * 4 * 5 * 0.5
    assert seen[1] is None
