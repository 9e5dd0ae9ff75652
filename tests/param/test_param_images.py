"""The parameterizations of Lucent's kind by themselves: nothing here needs Lucent."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn
from torch.testing import assert_close

from captum_featinv import param
from captum_featinv.errors import ArgumentError, ArgumentTypeError
from captum_featinv.param.color import from_valid_rgb, mix_colors, separate_colors
from captum_featinv.param.parameterization import Parameterization

Make = Callable[..., Parameterization]

WAYS = [(fft, decorrelate) for fft in (True, False) for decorrelate in (True, False)]
EVERY: dict[str, Make] = {
    "image": lambda **options: param.image(9, 6, 0.3, 2, **options),
    "pixels of an image": lambda **options: param.image(9, 6, 0.3, 2, fft=False, **options),
    "fft_image": lambda **options: param.fft_image((2, 3, 6, 9), 0.3, **options),
    "pixel_image": lambda **options: param.pixel_image((2, 3, 6, 9), 0.3, **options),
    "lowres_tensor": lambda **options: param.lowres_tensor((2, 3, 6, 9), (1, 3, 2, 3), **options),
    "cppn": lambda **options: param.cppn(6, **options),
}


def dice(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def fitted(made: Parameterization, photo: Tensor, lr: float, steps: int) -> Tensor:
    """What Adam can make of a photo."""
    optimizer = torch.optim.Adam(made.parameters, lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        (made.draw() - photo).square().sum().backward()
        optimizer.step()
    return made.draw().detach()


def photo(*shape: int) -> Tensor:
    """Noise, the hardest of photos; but nowhere so dark or bright that Adam is slow to arrive."""
    return 0.2 + 0.6 * torch.rand(shape)


def smooth(batch: int, height: int, width: int) -> Tensor:
    """A soft blob on a slope, another one in each row and channel."""
    down = torch.linspace(-1, 1, height)[:, None]
    right = torch.linspace(-1, 1, width)
    phase = torch.arange(3.0 * batch).reshape(batch, 3, 1, 1) / 3
    return 0.5 + 0.3 * torch.cos(1.5 * down + phase) * torch.sin(1.5 * right - phase) + 0.1 * right


@pytest.fixture(params=EVERY)
def make(request: pytest.FixtureRequest) -> Make:
    return EVERY[request.param]


# --- any image can be reached -------------------------------------------------------------------


@pytest.mark.parametrize("size", [(8, 8), (9, 7), (6, 13)], ids=str)
@pytest.mark.parametrize(("fft", "decorrelate"), WAYS)
def test_adam_brings_an_image_to_any_photo(
    fft: bool, decorrelate: bool, size: tuple[int, int]
) -> None:
    goal = photo(2, 3, *reversed(size))
    made = param.image(*size, batch=2, fft=fft, decorrelate=decorrelate)
    assert_close(fitted(made, goal, 0.2, 500), goal, rtol=0, atol=0.02)


@pytest.mark.parametrize("channels", [1, 5])
def test_adam_brings_any_number_of_channels_to_any_photo(channels: int) -> None:
    goal = photo(1, channels, 6, 9)
    assert_close(
        fitted(param.image(9, 6, channels=channels), goal, 0.2, 400), goal, rtol=0, atol=0.02
    )


@pytest.mark.parametrize("unbounded", [param.pixel_image, param.fft_image])
def test_adam_brings_an_unbounded_image_anywhere(unbounded: Make) -> None:
    goal = 4 * torch.randn(2, 4, 7, 5)
    assert_close(fitted(unbounded(goal.shape), goal, 0.5, 800), goal, rtol=0, atol=0.05)


def test_a_low_resolution_reaches_a_smooth_photo() -> None:
    goal = smooth(2, 17, 24)
    made = param.lowres_tensor(goal.shape, (2, 3, 6, 7))
    assert_close(fitted(made, goal, 0.05, 300), goal, rtol=0, atol=0.03)


def test_a_low_resolution_reaches_nothing_finer() -> None:
    goal = photo(1, 3, 16, 16)
    made = param.lowres_tensor(goal.shape, (1, 3, 4, 4))
    assert (fitted(made, goal, 0.05, 300) - goal).std() > 0.8 * goal.std()


@pytest.mark.parametrize("normalize", [True, False])
def test_a_cppn_reaches_a_simple_photo(normalize: bool) -> None:
    # Normalised channels have a mean of 0 before the sigmoid, and a spread of 1.
    right = torch.linspace(-1.7, 1.7, 16).expand(1, 3, 16, 16)
    goal = torch.sigmoid(right) if normalize else smooth(1, 16, 16)
    made = param.cppn(
        16, num_hidden_channels=12, num_layers=4, normalize=normalize, generator=dice()
    )
    assert (fitted(made, goal, 0.01, 300) - goal).square().mean().sqrt() < 0.02


def test_a_cppn_starts_grey_and_draws_what_was_asked_for() -> None:
    parameters, draw = param.cppn(7, num_output_channels=2)
    assert isinstance(parameters, list)
    assert torch.equal(draw(), torch.full((1, 2, 7, 7), 0.5))


def test_a_cppn_takes_an_activation_that_does_not_double_the_channels() -> None:
    parameters, draw = param.cppn(5, num_hidden_channels=4, num_layers=3, activation_fn=nn.Tanh)
    shapes = [tuple(p.shape) for p in parameters if p.dim() == 4]
    assert shapes == [(4, 2, 1, 1), (4, 4, 1, 1), (3, 4, 1, 1)]
    assert draw().shape == (1, 3, 5, 5)


# --- the start ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(8, 8), (9, 7), (6, 13), (1, 4), (5, 1)], ids=str)
@pytest.mark.parametrize(("fft", "decorrelate"), WAYS)
def test_an_image_starts_at_a_photo(fft: bool, decorrelate: bool, size: tuple[int, int]) -> None:
    start = torch.rand(2, 3, *reversed(size))
    start[0, :, 0, 0] = torch.tensor([0.0, 1.0, 0.0])
    before = start.clone()
    _, draw = param.image(*size, fft=fft, decorrelate=decorrelate, init=start)
    assert_close(draw(), start, rtol=0, atol=1.1e-3)
    inside = (start > 2e-3) & (start < 1 - 2e-3)
    assert_close(draw()[inside], start[inside], rtol=0, atol=1e-5)
    assert torch.equal(start, before)


def test_an_image_of_other_channels_starts_at_a_photo() -> None:
    start = photo(1, 5, 4, 7)
    assert_close(param.image(7, 4, channels=5, init=start).draw(), start, rtol=0, atol=1e-5)


def test_all_rows_start_at_one_photo_and_part_from_there() -> None:
    start = photo(1, 3, 6, 9)
    (spectrum,), draw = param.image(9, 6, batch=3, init=start)
    assert_close(draw(), start.expand(3, -1, -1, -1), rtol=0, atol=1e-5)
    with torch.no_grad():
        spectrum[1].zero_()
    assert_close(draw()[[0, 2]], start.expand(2, -1, -1, -1), rtol=0, atol=1e-5)
    assert torch.equal(draw()[1], torch.full((3, 6, 9), 0.5))


@pytest.mark.parametrize("unbounded", [param.pixel_image, param.fft_image])
def test_an_unbounded_image_starts_anywhere(unbounded: Make) -> None:
    start = 9 * torch.randn(2, 4, 5, 7)
    assert_close(unbounded(start.shape, init=start).draw(), start, rtol=0, atol=2e-5)


def test_a_photo_leaves_the_dice_alone() -> None:
    start = photo(1, 3, 6, 9)
    before = torch.random.get_rng_state()
    param.image(9, 6, init=start)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("init", "options", "says"),
    [
        (torch.rand(1, 3, 9, 6), {}, "set w, h, batch and channels"),
        (torch.rand(1, 1, 6, 9), {}, "set w, h, batch and channels"),
        (torch.rand(2, 3, 6, 9), {"batch": 3}, "set w, h, batch and channels"),
        (torch.rand(3, 6, 9), {}, "must have shape"),
        (torch.rand(1, 3, 6, 9) - 0.5, {}, "if it is normalised"),
        (torch.full((1, 3, 6, 9), torch.nan), {}, "if it is normalised"),
        (torch.rand(1, 3, 6, 9), {"sd": 0.1}, "not from both"),
    ],
)
def test_a_start_of_another_kind_is_refused(
    init: Tensor, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ArgumentError, match=says):
        param.image(9, 6, init=init, **options)


@pytest.mark.parametrize("init", [np.zeros((1, 3, 6, 9)), torch.zeros(1, 3, 6, 9).byte()])
def test_a_start_that_is_no_floating_point_tensor_is_refused(init: Any) -> None:
    with pytest.raises(ArgumentTypeError, match="floating-point"):
        param.image(9, 6, init=init)


@pytest.mark.parametrize("options", [{"h": 0}, {"batch": 0}, {"channels": 0}, {"h": -1}])
def test_a_size_of_nothing_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ArgumentError, match="positive"):
        param.image(9, **options)


def test_a_network_without_layers_is_refused() -> None:
    with pytest.raises(ArgumentError, match="num_layers"):
        param.cppn(9, num_layers=0)


# --- dice, numbers, devices ---------------------------------------------------------------------


def test_a_generator_is_independent_of_the_global_dice_and_leaves_them_alone(make: Make) -> None:
    torch.manual_seed(1)
    first = make(generator=dice(5)).parameters
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    again = make(generator=dice(5)).parameters
    other = make(generator=dice(6)).parameters
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_a_generator_moves_on(make: Make) -> None:
    one = dice()
    assert not torch.equal(make(generator=one).parameters[0], make(generator=one).parameters[0])


def test_a_generator_throws_what_the_global_dice_of_its_seed_throw(make: Make) -> None:
    torch.manual_seed(5)
    for pair in zip(make().parameters, make(generator=dice(5)).parameters, strict=True):
        assert torch.equal(*pair)


def test_everything_is_float32_unless_told_otherwise(make: Make) -> None:
    parameters, draw = make()
    assert {p.dtype for p in parameters} == {draw().dtype} == {torch.float32}


def test_float64_is_kept_from_the_parameters_to_their_gradients(make: Make) -> None:
    parameters, draw = make(dtype=torch.float64)
    assert draw().dtype == torch.float64
    for gradient in torch.autograd.grad(draw().sum(), parameters):
        assert gradient.dtype == torch.float64


def test_a_float64_photo_comes_back_with_the_precision_of_float64() -> None:
    start = photo(1, 3, 6, 9).double()
    assert_close(param.image(9, 6, init=start).draw(), start, rtol=0, atol=1e-12)


def test_parameters_lie_where_they_are_told_to(make: Make) -> None:
    parameters, draw = make(device="meta")
    assert {p.device.type for p in parameters} == {draw().device.type} == {"meta"}


def test_parameters_are_leaves_that_want_gradients(make: Make) -> None:
    parameters, draw = make()
    assert all(p.is_leaf and p.requires_grad for p in parameters)
    assert draw().requires_grad


# --- frequencies, colours, low resolutions ------------------------------------------------------


@pytest.mark.parametrize("decay_power", [0, 1, 2])
def test_a_step_at_one_frequency_changes_a_wave_as_strong_as_in_photographs(
    decay_power: float,
) -> None:
    """One wave over the height, three over the width; by the inverse transform's own formula."""
    height, width = 8, 9
    (spectrum,), draw = param.fft_image((1, 1, height, width), 0, decay_power)
    with torch.no_grad():
        spectrum[0, 0, 1, 3, 0] = 1
    frequency = ((1 / height) ** 2 + (3 / width) ** 2) ** 0.5
    down, right = torch.arange(height)[:, None] / height, 3 * torch.arange(width) / width
    wave = 2 * torch.cos(2 * torch.pi * (down + right)) / (height * width) ** 0.5
    assert_close(draw()[0, 0], wave / frequency**decay_power / 4)


def test_colours_mix_as_lucids_matrix_says_and_separate_again() -> None:
    table = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
    longest = (0.26**2 + 0.27**2 + 0.27**2) ** 0.5
    components = torch.randn(2, 3, 5, 4)
    mixed = mix_colors(components)
    for row in range(3):
        sums = sum(table[row, k] / longest * components[:, k] for k in range(3))
        assert_close(mixed[:, row], sums)
    assert_close(separate_colors(mixed), components, rtol=0, atol=1e-5)


def test_valid_colours_and_their_inverse() -> None:
    image = photo(2, 3, 5, 4)
    for decorrelate in (True, False):
        logits = from_valid_rgb(image, decorrelate=decorrelate)
        back = param.to_valid_rgb(lambda logits=logits: logits, decorrelate=decorrelate)
        assert_close(back(), image, rtol=0, atol=1e-5)


def test_only_three_channels_have_colours_to_decorrelate() -> None:
    with pytest.raises(ArgumentError, match="decorrelate=False"):
        param.to_valid_rgb(lambda: torch.zeros(1, 5, 4, 4), decorrelate=True)()


def test_a_low_resolution_is_interpolated_between_its_corners() -> None:
    (small,), draw = param.lowres_tensor((2, 1, 3, 5), (1, 1, 2, 2))
    with torch.no_grad():
        small.copy_(torch.tensor([[[[0.0, 4.0], [8.0, 12.0]]]]))
    plane = torch.tensor([[0.0, 1, 2, 3, 4], [4, 5, 6, 7, 8], [8, 9, 10, 11, 12]])
    assert_close(draw(), plane.expand(2, 1, 3, 5))


@pytest.mark.parametrize(
    ("offset", "down", "right"),
    [(1, 1, 1), (True, 1, 2), ([0, 0, 1, 3], 1, 3), ((0, 0, 0, True), 0, 2)],
)
def test_an_offset_moves_a_low_resolution_and_reflects_what_comes_in(
    offset: Any, down: int, right: int
) -> None:
    still = param.lowres_tensor((2, 3, 6, 8), (2, 3, 3, 2), generator=dice()).draw()
    moved = param.lowres_tensor((2, 3, 6, 8), (2, 3, 3, 2), offset, generator=dice()).draw()
    assert_close(moved[:, :, down:, right:], still[:, :, : 6 - down, : 8 - right])
    for i in range(down):
        assert_close(moved[:, :, i, right:], still[:, :, down - i, : 8 - right])
    for i in range(right):
        assert_close(moved[:, :, down:, i], still[:, :, : 6 - down, right - i])


def test_an_offset_is_not_changed() -> None:
    offset = [0, 0, True, 1]
    param.lowres_tensor((2, 3, 6, 8), (2, 3, 3, 2), offset)
    assert offset == [0, 0, True, 1]


@pytest.mark.parametrize(
    ("underlying", "offset"),
    [((3, 2, 2), None), ((1, 3, 2, 2), -1), ((1, 3, 2, 2), 6), ((1, 3, 2, 2), [0, 1])],
)
def test_a_low_resolution_that_does_not_fit_is_refused(
    underlying: tuple[int, ...], offset: Any
) -> None:
    with pytest.raises(ArgumentError):
        param.lowres_tensor((1, 3, 6, 6), underlying, offset)


# --- a reference in the batch -------------------------------------------------------------------


def test_the_reference_is_row_0_whatever_happens_to_the_image() -> None:
    reference = torch.rand(1, 3, 6, 9, requires_grad=True)
    before = reference.detach().clone()
    parameters, draw = param.with_reference(lambda: param.image(9, 6, batch=2), reference)()
    assert draw().shape == (3, 3, 6, 9)
    optimizer = torch.optim.Adam(parameters, lr=0.5)
    for _ in range(3):
        optimizer.zero_grad()
        draw().square().sum().backward()
        optimizer.step()
        assert torch.equal(draw()[:1], before)
    assert reference.grad is None
    assert draw()[1:].mean() < 0.48
    with torch.no_grad():
        reference.zero_()
    assert torch.equal(draw()[:1], before)


def test_row_0_has_no_gradient() -> None:
    parameters, draw = param.with_reference(param.image(9, 6), torch.rand(1, 3, 6, 9))()
    (gradient,) = torch.autograd.grad(draw()[0].sum(), parameters)
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_a_reference_of_another_size_is_resized() -> None:
    slope = torch.linspace(0, 1, 48).expand(1, 3, 20, 48)
    row = param.with_reference(param.image(12, 5), slope)().draw()[0]
    places = (torch.arange(12) + 0.5) / 12 * 48 / 47 - 0.5 / 47
    assert_close(row[:, :, 1:-1], places[1:-1].expand(3, 5, 10), rtol=0, atol=1e-3)


def test_a_reference_takes_the_images_number_type() -> None:
    both = param.with_reference(param.image(9, 6, dtype=torch.float64), torch.rand(1, 3, 6, 9))
    assert both().draw().dtype == torch.float64


def test_a_reference_goes_with_any_form() -> None:
    reference = torch.rand(1, 3, 6, 6)
    parameters, draw = param.cppn(6)
    for form in (
        lambda: param.cppn(6),
        (iter(parameters), draw),
        Painting(),
        torch.rand(1, 3, 6, 6),
    ):
        both = param.with_reference(form, reference)
        for _ in range(2):
            listed, draw_both = both()
            assert listed
            assert torch.equal(draw_both()[:1], reference)
            assert len(draw_both()) == 2


@pytest.mark.parametrize(
    ("reference", "error"),
    [
        (torch.rand(3, 6, 9), ArgumentError),
        (torch.rand(2, 3, 6, 9), ArgumentError),
        (torch.zeros(1, 3, 6, 9).byte(), ArgumentTypeError),
        (None, ArgumentTypeError),
    ],
)
def test_a_reference_that_is_not_one_photo_is_refused(reference: Any, error: type) -> None:
    with pytest.raises(error, match="reference"):
        param.with_reference(param.image(9, 6), reference)


def test_a_reference_of_other_channels_is_refused() -> None:
    _, draw = param.with_reference(param.image(9, 6), torch.rand(1, 1, 6, 9))()
    with pytest.raises(ArgumentError, match="1 channels but the images have 3"):
        draw()


# --- forms --------------------------------------------------------------------------------------


class Painting(nn.Module):
    """An image as Captum's optim writes it down, with a parameter that is not to be changed."""

    def __init__(self) -> None:
        super().__init__()
        self.canvas = nn.Parameter(torch.rand(1, 3, 6, 6))
        self.frame = nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self) -> Tensor:
        return self.canvas * self.frame


def test_a_function_and_its_pair_are_the_same_form() -> None:
    pair = param.cppn(6)
    for form in (pair, lambda: pair, lambda: (iter(pair.parameters), pair.draw)):
        parameters, draw = param.as_param(form)
        assert isinstance(parameters, list)
        assert all(a is b for a, b in zip(parameters, pair.parameters, strict=True))
        assert draw is pair.draw


def test_a_single_parameter_is_not_taken_apart() -> None:
    code = torch.zeros(4, 2, requires_grad=True)
    assert param.as_param(([code], code.sum)).parameters == [code]
    (parameter,) = param.as_param(lambda: (code, code.sum)).parameters
    assert parameter is code


def test_a_module_is_a_form() -> None:
    painting = Painting()
    parameters, draw = param.as_param(painting)
    assert len(parameters) == 1
    assert parameters[0] is painting.canvas
    assert torch.equal(draw(), painting.canvas)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_start_image_is_a_form(channels: int) -> None:
    start = photo(2, channels, 6, 9)
    parameters, draw = param.as_param(start)
    assert_close(draw(), start, rtol=0, atol=1e-5)
    assert parameters[0].requires_grad


@pytest.mark.parametrize(
    "other", [None, 128, "image", (), (1, 2, 3), ([torch.zeros(1)], torch.zeros(1)), lambda: 3]
)
def test_anything_else_is_no_form_and_the_message_says_what_is(other: Any) -> None:
    with pytest.raises(ArgumentTypeError, match=r"\(parameters, draw\).*nn\.Module.*but found: "):
        param.as_param(other)


@pytest.mark.parametrize("parameters", [3, [3], [{"params": []}]])
def test_parameters_must_be_tensors(parameters: Any) -> None:
    with pytest.raises(ArgumentTypeError, match="list of tensors"):
        param.as_param((parameters, torch.zeros))


@pytest.mark.parametrize("empty", [nn.ReLU(), ([], torch.zeros), lambda: (iter([]), torch.zeros)])
def test_a_form_without_parameters_is_refused(empty: Any) -> None:
    with pytest.raises(ArgumentError, match="nothing to optimise"):
        param.as_param(empty)


def test_a_start_image_of_another_shape_or_range_is_refused() -> None:
    for wrong in (torch.rand(3, 6, 9), 2 * torch.ones(1, 3, 6, 9)):
        with pytest.raises(ArgumentError):
            param.as_param(wrong)
