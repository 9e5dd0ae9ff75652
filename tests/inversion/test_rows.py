"""Some rows by themselves: on a reader that is written here, every step has a closed form."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import SGD
from torch.testing import assert_close

from captum_featinv import Recipe
from captum_featinv.errors import FeatInvWarning, LayerError
from captum_featinv.images.normalization import Normalization
from captum_featinv.inversion.rows import Question, Solution, SomeRows
from captum_featinv.inversion.solving import solve
from captum_featinv.inversion.targets import CodeRows, FilterRows, Rows, WholeCodes
from captum_featinv.network.inputs import Inputs
from captum_featinv.optimization.precision import PLAIN, Arithmetic
from captum_featinv.param.pixel import free_pixels
from tests.older import autocasts

PLAINEST = {
    "outweigh": None,
    "schedule": None,
    "transforms": (),
    "tolerance": None,
    "normalize_loss": False,
    "redirect": 0.0,
    "warmup": 0.0,
}
SHOWN = Normalization(0.0, 1.0)
Code = Callable[..., Tensor]


class Reading:
    """A reader of one layer, and what it was shown."""

    layers = ("a",)

    def __init__(self, code: Code = lambda image, *_: image) -> None:
        self.code = code
        self.seen: list[tuple[Any, ...]] = []

    def __call__(
        self, inputs: Inputs, *, own: bool = False, watch: Any = None
    ) -> dict[str, Tensor]:
        image, *_ = inputs.images
        last = image.is_contiguous(memory_format=torch.channels_last)
        half = autocasts()
        self.seen.append((image.requires_grad, own, half, last, image.dtype))
        code = self.code(*inputs.images, *inputs.extra)
        if watch:
            watch(code)
        return {"a": code}


def descent(rate: float, **changes: Any) -> Recipe:
    """Plain gradient descent on half a square."""
    return Recipe.default(**PLAINEST | {"optimizer": partial(SGD, lr=rate)} | changes)


def question(
    recipe: Recipe,
    *photos: Tensor,
    start: float | Tensor | None = None,
    reader: Any = None,
    spaces: tuple[Normalization, ...] | None = None,
    extra: tuple[Any, ...] = (),
    seed: int = 0,
) -> Question:
    starts = tuple(None if start is None else torch.zeros_like(photo) + start for photo in photos)
    spaces = (SHOWN,) * len(photos) if spaces is None else spaces
    return Question(reader or Reading(), Inputs(photos, extra), starts, spaces, recipe, seed)


def solved(asked: Question, target: Rows, way: Arithmetic = PLAIN) -> Solution:
    rows = SomeRows(asked, torch.arange(len(asked.inputs)), target, way)
    solution, interrupted = rows.solve(lambda: None)
    assert interrupted is False
    return solution


@pytest.fixture
def photo() -> Tensor:
    return torch.full((2, 3, 4, 5), 0.5, dtype=torch.float64)


# --- what became of them -----------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "diverged"), [(0.5, False), (2.2, False), (2.3, True)])
def test_a_run_has_diverged_where_its_error_is_half_as_large_again(
    photo: Tensor, rate: float, diverged: bool
) -> None:
    """A step of descent on half a square multiplies the distance by 1 - rate."""
    asked = question(descent(rate, n_steps=1), photo, start=0.6)
    solution = solved(asked, CodeRows({"a": photo}))
    assert_close(solution.images[0], photo + 0.1 * (1 - rate))
    assert_close(solution.errors, torch.full((2,), (0.1 * (1 - rate) / 0.5) ** 2).double())
    assert solution.diverged.tolist() == [diverged] * 2
    assert solution.failed.tolist() == [False] * 2


def test_a_row_that_is_lost_has_diverged_and_its_neighbour_has_not(photo: Tensor) -> None:
    start = torch.tensor([0.5, 0.6]).reshape(2, 1, 1, 1)
    asked = question(descent(1e30, pixels=free_pixels), photo.float(), start=start)
    solution = solved(asked, CodeRows({"a": photo.float()}))
    assert solution.diverged.tolist() == [False, True]
    assert solution.failed.tolist() == [False, False]
    assert_close(solution.images[0], start.expand_as(photo).float())


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_row_whose_picture_has_no_finite_code_fails_and_shows_its_start(
    photo: Tensor, bad: float
) -> None:
    def code(image: Tensor) -> Tensor:
        moved = (image - 0.6).abs().flatten(1).amax(1) > 0
        spoiled = moved & torch.tensor([False, True]) & (not image.requires_grad)
        return image + torch.where(spoiled, bad, 0.0).reshape(2, 1, 1, 1)

    asked = question(descent(0.5, n_steps=1), photo, start=0.6, reader=Reading(code))
    solution = solved(asked, CodeRows({"a": photo}))
    assert solution.failed.tolist() == [False, True]
    assert solution.errors[1] == torch.inf
    assert_close(solution.images[0][0], photo[0] + 0.05)
    assert_close(solution.images[0][1], torch.full_like(photo[1], 0.6))


def test_a_row_that_asks_for_nothing_or_never_fires_fails_and_shows_its_start() -> None:
    photo = torch.full((3, 2, 4, 5), 0.5)
    maps = torch.full((3, 4, 5), 0.5)
    maps[1] = 0
    sign = torch.tensor([1.0, 1.0, -1.0]).reshape(3, 1, 1, 1)
    asked = question(
        descent(0.5, n_steps=1), photo, start=0.6, reader=Reading(lambda image: sign * image)
    )
    solution = solved(asked, FilterRows("a", torch.tensor([0, 0, 1]), maps, torch.zeros(3)))
    assert solution.failed.tolist() == [False, True, True]
    assert solution.poor.tolist() == [False, False, True]  # of the second nothing was asked
    assert (solution.merit > 0).tolist() == [True, False, False]
    assert solution.merit[1:].tolist() == [-torch.inf] * 2  # silent, whatever its squares say
    moved = (solution.images[0] - 0.6).abs().flatten(1).amax(1) > 0.01
    assert moved.tolist() == [True, False, False]


def test_no_error_is_negative_though_rounding_would_have_it() -> None:
    photo = torch.rand(200, 4, 5, 5)
    photo[:, 1:] = 0
    asked = question(descent(0.0, n_steps=1), photo, start=photo)
    solution = solved(
        asked, FilterRows("a", torch.zeros(200, dtype=torch.long), photo[:, 0], torch.zeros(200))
    )
    assert (solution.errors >= 0).all()
    assert solution.errors.amax() < 1e-6
    assert not solution.errors.requires_grad


def test_what_comes_back_keeps_no_graph_of_the_weights(photo: Tensor) -> None:
    weight = torch.ones((), dtype=torch.float64, requires_grad=True)
    reader = Reading(lambda image: weight * image)
    solution = solved(
        question(descent(0.5), photo, start=0.6, reader=reader), CodeRows({"a": photo})
    )
    assert not solution.errors.requires_grad
    assert not solution.images[0].requires_grad


def test_rows_that_are_not_solved_are_their_start_images(photo: Tensor) -> None:
    asked = question(descent(0.5), photo, start=0.6)
    rows = SomeRows(asked, torch.arange(2), CodeRows({"a": photo}), PLAIN)
    solution = rows.unsolved()
    assert_close(solution.images[0], torch.full_like(photo, 0.6))
    assert_close(solution.errors, torch.full((2,), 0.04).double())
    assert not solution.failed.any()
    assert not solution.diverged.any()


# --- where they start --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [3, 8])
def test_rows_start_from_the_mean_colour_and_the_noise_of_the_seed(seed: int) -> None:
    """One throw for every row, and the next for the next input; a given start replaces its own."""

    def noise(shape: torch.Size, generator: torch.Generator) -> Tensor:
        return torch.rand(shape, generator=generator)

    photos = torch.rand(2, 3, 4, 5) + 4, torch.rand(2, 1, 6) - 9
    spaces = Normalization((0.1, 0.2, 0.3), 0.5), Normalization(None)
    asked = question(descent(0.0, noise=noise), *photos, spaces=spaces, seed=seed)
    target = CodeRows({"a": photos[0][[1, 0, 1]]})
    examples = torch.tensor([1, 0, 1])
    first, second = SomeRows(asked, examples, target, PLAIN).unsolved().images
    dice = torch.Generator().manual_seed(seed)
    throws = torch.rand(3, 4, 5, generator=dice), torch.rand(1, 6, generator=dice)
    assert_close(first, (throws[0] / 0.5).expand(3, -1, -1, -1))
    flat = photos[1][examples].flatten(1)
    mean, spread = (of.reshape(3, 1, 1) for of in (flat.mean(1), flat.std(1, correction=0)))
    assert_close(second, mean + throws[1] * spread / 0.25, atol=1e-5, rtol=1e-5)

    given = torch.rand(2, 3, 4, 5)
    starts = (given, None)
    mixed = Question(asked.reader, asked.inputs, starts, spaces, asked.recipe, seed)
    first, again = SomeRows(mixed, examples, target, PLAIN).unsolved().images
    assert_close(first, given[examples])
    assert torch.equal(again, second)


def test_an_even_photo_without_a_range_starts_from_itself() -> None:
    photo = torch.tensor([3.0, -7.0]).reshape(2, 1, 1, 1).expand(2, 1, 4, 5)
    still = descent(0.0, noise=lambda shape, _: torch.zeros(shape))
    asked = question(still, photo, spaces=(Normalization(None),))
    rows = SomeRows(asked, torch.arange(2), CodeRows({"a": photo}), PLAIN)
    assert_close(rows.unsolved().images[0], photo)
    assert asked.bounded == [False]
    assert question(still, photo, photo, spaces=(SHOWN, Normalization(None))).bounded == [
        True,
        False,
    ]


# --- how they are computed ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64], ids=str
)
def test_an_image_moves_little_by_little_in_any_precision(dtype: torch.dtype) -> None:
    """Steps of 0.0005 from 0.5, which bfloat16 and float16 would round away."""
    photo = torch.ones(1, 1, 4, 5, dtype=dtype)
    reader = Reading(lambda image: image.float() if dtype != torch.float64 else image)
    asked = question(descent(0.001), photo, start=0.5, reader=reader)
    target = photo.to(torch.float64 if dtype == torch.float64 else torch.float32)
    (image,) = solved(asked, CodeRows({"a": target})).images
    expected = torch.full_like(target, 1 - 0.5 * (1 - 0.001) ** 32).to(dtype)
    assert image.dtype == dtype
    assert {seen[-1] for seen in reader.seen} == {dtype}
    assert_close(image, expected, atol=0.004 if dtype == torch.bfloat16 else 1e-3, rtol=0)
    if dtype == torch.float64:
        assert_close(image, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("last", [True, False])
def test_steps_are_computed_in_the_way_that_is_asked_for_and_judged_plainly(
    half: bool, last: bool
) -> None:
    """Images of a step are its own; those that are judged are not, and come back."""
    photo = torch.rand(2, 3, 4, 5)
    reader = Reading()
    asked = question(descent(0.1, n_steps=3), photo, start=0.5, reader=reader)
    solved(asked, CodeRows({"a": photo}), Arithmetic(half, last))
    steps = [seen for seen in reader.seen if seen[0]]
    assert steps == [(True, True, half, last, torch.float32)] * 3
    judged = [seen for seen in reader.seen if not seen[0]]
    assert judged == [(False, False, False, False, torch.float32)] * 2


def test_what_else_the_model_takes_goes_with_its_example(photo: Tensor) -> None:
    gains = torch.tensor([1.0, 3.0]).double()
    reader = Reading(lambda image, gain, name: image * gain.reshape(-1, 1, 1, 1))
    asked = question(descent(0.1, n_steps=1), photo, start=0.6, reader=reader, extra=(gains, "n"))
    target = CodeRows({"a": torch.zeros_like(photo)[[1, 0, 1]]})
    rows = SomeRows(asked, torch.tensor([1, 0, 1]), target, PLAIN)
    (image,) = rows.solve(lambda: None)[0].images
    expected = 0.6 * (1 - 0.1 * gains[[1, 0, 1]].square())
    # What asks for nothing shows its start, so the steps are seen in another target.
    assert_close(image, torch.full_like(image, 0.6))
    target = CodeRows({"a": torch.full_like(image, 1e-9)})
    (image,) = SomeRows(asked, torch.tensor([1, 0, 1]), target, PLAIN).solve(lambda: None)[0].images
    assert_close(image[:, 0, 0, 0], expected, atol=1e-6, rtol=1e-6)


def test_each_input_has_its_space_its_format_and_its_dtype() -> None:
    photos = torch.rand(2, 3, 4, 5), torch.rand(2, 1, 6, dtype=torch.float64)
    spaces = Normalization(0.5, 0.25), Normalization(None)
    seen: list[tuple[Tensor, Tensor]] = []

    def code(image: Tensor, signal: Tensor) -> Tensor:
        seen.append((image, signal))
        return image + 0 * signal.mean().float()

    asked = question(descent(0.0), *photos, start=0.3, reader=Reading(code), spaces=spaces)
    images = solved(asked, CodeRows({"a": photos[0]}), Arithmetic(channels_last=True)).images
    for image, signal in seen:
        assert (image.dtype, signal.dtype) == (torch.float32, torch.float64)
        assert_close(image.detach(), torch.full_like(image, 0.3))
        assert_close(signal.detach(), torch.full_like(signal, 0.3))
    assert [image.dtype for image in images] == [torch.float32, torch.float64]


@pytest.mark.parametrize("normalize", [True, False])
def test_a_loss_is_normalised_if_the_recipe_says_so(photo: Tensor, normalize: bool) -> None:
    """By half the target's square, of 60 numbers 0.5."""
    asked = question(descent(0.5, n_steps=1, normalize_loss=normalize), photo, start=0.6)
    (image,) = solved(asked, CodeRows({"a": photo})).images
    rate = 0.5 / (60 * 0.25 / 2) if normalize else 0.5
    assert_close(image, photo + 0.1 * (1 - rate))


@pytest.mark.parametrize("redirect", [0.0, 1.0])
def test_a_silent_unit_wakes_while_gradients_are_redirected(photo: Tensor, redirect: float) -> None:
    reader = Reading(lambda image: torch.relu(image - 0.6))
    asked = question(descent(1.0, n_steps=1, redirect=redirect), photo, start=0.5, reader=reader)
    (image,) = solved(asked, CodeRows({"a": torch.full_like(photo, 0.2)})).images
    assert_close(image, photo + (0.2 if redirect else 0.0))


@pytest.mark.parametrize(("warmup", "weight"), [(0.0, 1.0), (1.0, 0.0)])
def test_other_filters_weigh_nothing_in_the_first_step_of_a_warm_up(
    photo: Tensor, warmup: float, weight: float
) -> None:
    asked = question(descent(0.5, n_steps=1, warmup=warmup), photo, start=0.6)
    maps = torch.full((2, 4, 5), 0.9).double()
    (image,) = solved(asked, FilterRows("a", torch.tensor([0, 2]), maps, torch.zeros(2))).images
    expected = torch.full_like(photo, 0.6 * (1 - 0.5 * weight))
    expected[0, 0] = expected[1, 2] = 0.75
    assert_close(image, expected)


def test_a_layer_that_no_image_reaches_is_an_error_that_names_it(photo: Tensor) -> None:
    constant = torch.ones(2, 3, requires_grad=True).double()
    for code in (lambda image: image.detach(), lambda _: constant):
        asked = question(descent(0.5), photo, start=0.6, reader=Reading(code))
        with pytest.raises(LayerError, match="no gradient comes from layer a to the images") as got:
            solved(asked, CodeRows({"a": code(photo).detach()}))
        assert isinstance(got.value.__cause__, RuntimeError)


def test_other_errors_come_through_as_they_are(photo: Tensor) -> None:
    def fails(image: Tensor) -> Tensor:
        if image.requires_grad:
            raise RuntimeError("out of memory")
        return image

    asked = question(descent(0.5), photo, start=0.6, reader=Reading(fails))
    with pytest.raises(RuntimeError, match=r"^out of memory$"):
        solved(asked, CodeRows({"a": photo}))


def test_a_question_cannot_be_changed(photo: Tensor) -> None:
    with pytest.raises(FrozenInstanceError):
        question(descent(0.5), photo).seed = 3  # type: ignore[misc]


# --- all rows ----------------------------------------------------------------------------------


def numbered(count: int) -> Tensor:
    return torch.arange(1.0, 1 + count).reshape(-1, 1, 1, 1).expand(-1, 3, 4, 5) / 10


def test_rows_come_back_in_their_order_whatever_way_each_is_computed_in() -> None:
    """The code of photos 1 and 2 of 5 is another one where channels lie last."""
    photos = numbered(5)

    def code(image: Tensor) -> Tensor:
        last = image.is_contiguous(memory_format=torch.channels_last)
        fragile = ((image - 0.2).abs() < 0.01) | ((image - 0.3).abs() < 0.01)
        return torch.where(fragile & last, 2 * image, image)

    reader = Reading(code)
    asked = question(descent(1.0, n_steps=2, precision="float32"), photos, start=0.9, reader=reader)
    targets = WholeCodes({"a": photos})
    for at_once in (2, 5, None):
        solution = solve(asked, targets.codes, targets, rows_at_once=at_once)
        assert_close(solution.images[0], photos)
        assert_close(solution.errors, torch.zeros(5))
        assert solution.failed.tolist() == solution.diverged.tolist() == [False] * 5
    assert (True, True, False, False, torch.float32) in reader.seen
    assert (True, True, False, True, torch.float32) in reader.seen


def test_after_ctrl_c_rows_are_as_far_as_they_came() -> None:
    """Of three chunks the first is done, the second has made one step, the third none."""
    photos, steps = numbered(5), [0]

    def code(image: Tensor) -> Tensor:
        steps[0] += image.requires_grad
        if image.requires_grad and steps[0] == 8:  # one trial, then five steps
            raise KeyboardInterrupt
        return image

    asked = question(descent(0.5, n_steps=5), photos, start=0.9, reader=Reading(code))
    targets = WholeCodes({"a": photos})
    with pytest.warns(FeatInvWarning, match="interrupted: the pictures are as far as they came"):
        solution = solve(asked, targets.codes, targets, rows_at_once=2)
    left = torch.tensor([0.5**5] * 2 + [0.5] * 2 + [1.0]).reshape(-1, 1, 1, 1)
    assert_close(solution.images[0], photos + left * (0.9 - photos))


@pytest.mark.parametrize(
    ("coupled", "at_once", "most"),
    [(False, 2, 2), (False, None, 5), (True, 2, 1), (True, None, 1)],
)
def test_so_many_rows_are_shown_at_once(coupled: bool, at_once: int | None, most: int) -> None:
    sizes: list[int] = []

    def code(image: Tensor) -> Tensor:
        sizes.append(len(image) if image.requires_grad else 0)
        return image

    recipe = descent(1.0, n_steps=2, couples_rows=coupled)
    asked = question(recipe, numbered(5), start=0.9, reader=Reading(code))
    targets = WholeCodes({"a": numbered(5)})
    solve(asked, targets.codes, targets, rows_at_once=at_once)
    assert max(sizes) == most


@pytest.mark.parametrize("title", ["a title", None])
def test_a_bar_counts_the_steps_of_all_chunks(
    title: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = question(descent(1.0, n_steps=4), numbered(5), start=0.9)
    targets = WholeCodes({"a": numbered(5)})
    solve(asked, targets.codes, targets, rows_at_once=2, title=title)
    shown = capsys.readouterr().err
    assert ("a title: 100%" in shown and "12/12" in shown) if title else not shown
