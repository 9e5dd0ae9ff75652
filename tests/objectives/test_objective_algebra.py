"""Sums, differences, products and quotients of losses, and what may stand for an objective."""

import operator
import warnings
from collections.abc import Callable
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from captum_featinv.errors import ArgumentError, ArgumentTypeError
from captum_featinv.objectives import (
    Objective,
    alignment,
    as_objective,
    blur_input_each_step,
    channel,
    channel_interpolate,
    code_match,
    handle_batch,
    total_variation,
    wrap_objective,
)

NUMBERS = [3, -0.25, True, np.float32(2.5), np.float64(0.3), np.int64(-4), np.uint8(7)]
NUMBERS += [torch.tensor(1.5), torch.tensor(2), Fraction(1, 4)]
OPERATORS = [operator.add, operator.sub, operator.mul]


@pytest.fixture(scope="module")
def lucent() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("lucent.optvis.objectives")


@pytest.fixture
def code() -> Tensor:
    return torch.randn(2, 5, 4, 7, requires_grad=True)


@pytest.fixture
def activations(code: Tensor) -> Callable[[str], Tensor]:
    return {"conv": code, "input": torch.rand(2, 3, 8, 9)}.__getitem__


def mean(activations: Callable[[str], Tensor]) -> Tensor:
    return activations("conv").mean()


def named(number: object) -> str:
    return f"{type(number).__name__}({number})"


@pytest.mark.parametrize("number", NUMBERS, ids=named)
@pytest.mark.parametrize("operate", OPERATORS)
def test_numbers_work_on_either_side(
    operate: Callable[..., Any], number: Any, activations: Callable[[str], Tensor], code: Tensor
) -> None:
    objective = channel("conv", 1)
    for result, expected in [
        (operate(objective, number), operate(objective(activations), float(number))),
        (operate(number, objective), operate(float(number), objective(activations))),
    ]:
        assert isinstance(result, Objective)
        torch.testing.assert_close(result(activations), expected)
        assert result(activations).dtype == torch.float32
        gradient, expected_gradient = (
            torch.autograd.grad(x, code)[0] for x in (result(activations), expected)
        )
        torch.testing.assert_close(gradient, expected_gradient)


@pytest.mark.parametrize("number", NUMBERS, ids=named)
def test_an_objective_can_be_divided_by_a_number(
    number: Any, activations: Callable[[str], Tensor]
) -> None:
    result = channel("conv", 1) / number
    torch.testing.assert_close(result(activations), channel("conv", 1)(activations) / float(number))


@pytest.mark.parametrize("operate", OPERATORS)
def test_objectives_and_functions_work_on_either_side(
    operate: Callable[..., Any], activations: Callable[[str], Tensor]
) -> None:
    first, second = channel("conv", 1), channel("conv", 2)
    torch.testing.assert_close(
        operate(first, second)(activations), operate(first(activations), second(activations))
    )
    torch.testing.assert_close(
        operate(first, mean)(activations), operate(first(activations), mean(activations))
    )
    torch.testing.assert_close(
        operate(mean, first)(activations), operate(mean(activations), first(activations))
    )


def test_an_expression_is_its_arithmetic(activations: Callable[[str], Tensor]) -> None:
    a, b, c = (channel("conv", k) for k in range(3))
    result = 1 - (2 * a - b / 4) * c + sum([a, b, mean]) - (-c)
    x, y, z = (objective(activations) for objective in (a, b, c))
    torch.testing.assert_close(
        result(activations), 1 - (2 * x - y / 4) * z + (x + y + mean(activations)) + z
    )


def test_operands_stay_as_they_are(activations: Callable[[str], Tensor]) -> None:
    first, second = channel("conv", 1), channel("conv", 2)
    before = (vars(first).copy(), vars(second).copy())
    for operate in OPERATORS:
        assert operate(first, second) is not first
    assert -first is not first
    assert (vars(first), vars(second)) == before
    with pytest.raises(AttributeError):
        first.name = "other"  # type: ignore[misc]


def test_a_sum_of_a_generator_can_be_called_again_and_again(
    activations: Callable[[str], Tensor],
) -> None:
    total = Objective.sum(channel("conv", k) for k in range(5))
    expected = -activations("conv").mean((0, 2, 3)).sum()
    torch.testing.assert_close(total(activations), expected)
    torch.testing.assert_close(total(activations), expected)


def test_a_sum_of_nothing_says_so() -> None:
    with pytest.raises(ArgumentError, match=r"no objectives to sum; was a generator"):
        Objective.sum(objective for objective in [])


@pytest.mark.parametrize(
    "divide",
    [
        lambda a, b: a / b,
        lambda a, _: 2 / a,
        lambda a, _: a / mean,
        lambda a, _: torch.tensor(2.0) / a,
        lambda a, _: np.float32(2) / a,
        lambda a, _: a / "2",
    ],
)
def test_dividing_by_an_objective_says_what_to_do_instead(divide: Callable[..., Any]) -> None:
    with pytest.raises(
        TypeError, match="divided by a number only; write the quotient as a function"
    ):
        divide(channel("conv", 1), channel("conv", 2))


@pytest.mark.parametrize("operand", ["conv:1", None, torch.ones(2), 1j, [1]], ids=repr)
@pytest.mark.parametrize("operate", OPERATORS)
def test_what_is_no_objective_is_no_operand(operate: Callable[..., Any], operand: Any) -> None:
    with pytest.raises(ArgumentTypeError, match=r"is no objective; expected an objective, a func"):
        operate(channel("conv", 1), operand)


def test_dividing_by_zero_fails_at_once() -> None:
    with pytest.raises(ZeroDivisionError):
        channel("conv", 1) / 0


def test_names_and_descriptions_are_joined_and_survive_scaling() -> None:
    one, two = channel("conv", 1), channel("conv", 2, batch=0)
    assert (one.name, one.description) == ("channel", "Channel [conv, 1, None]")
    both = 3 * (one + two) / 2 - 1
    assert both.name == "channel, channel"
    assert both.description == "Sum(Channel [conv, 1, None] +\nChannel [conv, 2, 0])"
    assert (one * two).description == "Product(Channel [conv, 1, None] *\nChannel [conv, 2, 0])"
    assert (one + mean).name == "channel, mean"
    assert repr(one) == "<Objective Channel [conv, 1, None]>"


def test_an_objective_without_a_name_has_none_and_equals_only_itself() -> None:
    one, other = Objective(mean), Objective(mean)
    assert (one.name, one.description, one.relevant_layers) == ("", "", ())
    assert repr(one) == "<Objective >"
    assert one != other
    assert len({one, other, one}) == 2


def test_long_arguments_are_cut_short_in_descriptions() -> None:
    assert alignment("a_layer_with_a_long_name").description == "Alignment [..., 2]"
    assert code_match("conv", torch.zeros(3, 4, 4)).description == "Code_Match [conv, ..., None]"
    fifteen, lines = "a" * 15, np.array([[1], [2]])
    assert alignment(fifteen).description == f"Alignment [{fifteen}, 2]"
    assert alignment(f"{fifteen}a").description == "Alignment [..., 2]"
    assert code_match("conv", lines).description == "Code_Match [conv, ..., None]"


def test_layers_are_known_by_underscored_names_each_once() -> None:
    first, second = channel("features.3.conv", 1), channel_interpolate("a.b", 0, "c", 1)
    assert first.relevant_layers == ("features_3_conv",)
    assert first.description == "Channel [features_3_conv, 1, None]"
    assert (first - 2 * second + first).relevant_layers == ("features_3_conv", "a_b", "c")
    assert (blur_input_each_step() + total_variation()).relevant_layers == ("input",)
    assert (first + mean).relevant_layers == ("features_3_conv",)


def test_a_dotted_layer_is_asked_for_with_underscores() -> None:
    asked = []

    def activations(name: str) -> Tensor:
        asked.append(name)
        return torch.ones(1, 2, 3, 3)

    assert channel("layer3.1.bn2", 1)(activations) == -1
    assert asked == ["layer3_1_bn2"]


def test_a_module_is_no_layers_name() -> None:
    with pytest.raises(
        ArgumentTypeError, match=r"must be a layer's name.*Conv2d.*not bound to a mo"
    ):
        channel(nn.Conv2d(3, 4, 1), 0)


def test_arguments_are_checked_as_pythons_are() -> None:
    with pytest.raises(TypeError, match="n_channel"):
        channel("conv")
    with pytest.raises(TypeError, match="unit"):
        channel("conv", 1, unit=2)


def test_ones_own_factory_becomes_a_factory_of_objectives(
    activations: Callable[[str], Tensor],
) -> None:
    @wrap_objective()
    def loudest(layer: str, batch: int | None = None) -> Callable[..., Tensor]:
        """Its docstring."""
        return handle_batch(batch)(lambda activations: -activations(layer).amax())

    objective = loudest("conv", batch=1)
    assert isinstance(objective, Objective)
    assert objective.description == "Loudest [conv, 1]"
    assert loudest.__doc__ == "Its docstring."
    assert objective(activations) == -activations("conv")[1].max()


@pytest.mark.parametrize(("batch", "row"), [(0, 0), (1, 1), (-1, 1), (-2, 0), (np.int64(1), 1)])
def test_a_row_of_the_batch_is_seen_alone(
    batch: int, row: int, activations: Callable[[str], Tensor]
) -> None:
    assert channel("conv", 3, batch=batch)(activations) == -activations("conv")[row, 3].mean()


@pytest.mark.parametrize("batch", [2, -3])
def test_a_row_that_is_not_there_is_said_so(
    batch: int, activations: Callable[[str], Tensor]
) -> None:
    with pytest.raises(ArgumentError, match=f"batch={batch}, but 'conv' has 2 rows"):
        channel("conv", 3, batch=batch)(activations)


def test_an_objective_stands_for_itself() -> None:
    objective = channel("conv", 1)
    assert as_objective(objective) is objective


def test_a_function_or_a_module_stands_for_an_objective(
    activations: Callable[[str], Tensor],
) -> None:
    class Mean(nn.Module):
        def forward(self, activations: Callable[[str], Tensor]) -> Tensor:
            return mean(activations)

    for function, name in [(mean, "mean"), (Mean(), "Mean")]:
        objective = as_objective(function)
        assert isinstance(objective, Objective)
        assert objective(activations) == mean(activations)
        assert (objective.name, objective.description) == (name, name)


def test_a_function_may_say_its_name_and_layers() -> None:
    def loudest(activations: Callable[[str], Tensor]) -> Tensor:
        return -activations("a_b").max()

    loudest.name, loudest.description, loudest.relevant_layers = "loud", "Loud [a_b]", ["a_b", "c"]
    objective = as_objective(loudest)
    assert (objective.name, objective.description) == ("loud", "Loud [a_b]")
    assert objective.relevant_layers == ("a_b", "c")
    assert (objective + mean).relevant_layers == ("a_b", "c")


@pytest.mark.parametrize(
    ("text", "layer"),
    [("conv:3", "conv"), (" layer3.1.bn2 : 3", "layer3_1_bn2"), ("a:b:3", "a:b")],
)
def test_a_string_stands_for_a_channel(text: str, layer: str) -> None:
    objective = as_objective(text)
    assert objective.relevant_layers == (layer,)
    code = torch.randn(2, 5, 4, 7)
    assert objective({layer: code}.__getitem__) == -code[:, 3].mean()


@pytest.mark.parametrize("text", ["conv", "conv:", "conv:x", ":3", " :3", "3", ""])
def test_a_string_without_a_channel_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="names no channel of a layer; expected 'layer:channel'"):
        as_objective(text)


@pytest.mark.parametrize("thing", [3, None, torch.ones(()), ("conv", 3)], ids=repr)
def test_nothing_else_stands_for_an_objective(thing: object) -> None:
    with pytest.raises(TypeError, match=r"no objective; pass an objective such as channel\('conv1"):
        as_objective(thing)


# --- with Lucent's objectives -----------------------------------------------------------------------


def test_expressions_mix_with_lucents(
    lucent: ModuleType, activations: Callable[[str], Tensor]
) -> None:
    ours, theirs = channel("conv", 1), lucent.channel("conv", 2)
    x, y = ours(activations), theirs(activations)
    for result, expected in [
        (ours + theirs, x + y),
        (theirs + ours, x + y),
        (ours - theirs, x - y),
        (theirs - ours, y - x),
        (theirs - 0.1 * ours, y - 0.1 * x),
        (0.5 * ours + theirs / 2, 0.5 * x + y / 2),
        (sum([theirs, ours]), x + y),
        (sum([ours, theirs]), x + y),
        (Objective.sum(o for o in (ours, theirs)), x + y),
        (lucent.Objective.sum([ours, theirs]), x + y),
        (ours * theirs, x * y),
        (1 - (ours - theirs), 1 - x + y),
    ]:
        assert callable(result)
        torch.testing.assert_close(result(activations), expected)


def test_mixed_sums_have_both_names(lucent: ModuleType) -> None:
    ours, theirs = channel("conv", 1), lucent.channel("conv", 2)
    both = "Sum(Channel [conv, 1, None] +\nChannel [conv, 2, None])"
    assert (ours + theirs).description == both
    assert lucent.Objective.sum([ours, theirs]).description == both
    assert isinstance(ours + theirs, Objective)
    assert isinstance(theirs + ours, lucent.Objective)
    assert (ours + theirs).name == (theirs + ours).name == "channel, channel"


def test_lucents_objective_is_wrapped_as_ours(
    lucent: ModuleType, activations: Callable[[str], Tensor]
) -> None:
    theirs = lucent.channel("conv", 2)
    objective = as_objective(theirs)
    assert isinstance(objective, Objective)
    assert (objective.name, objective.description) == (theirs.name, theirs.description)
    assert objective(activations) == theirs(activations)
    assert lucent.as_objective(objective) is objective


def test_lucent_refuses_products(lucent: ModuleType) -> None:
    """Not our doing; when it changes, the docstring of Objective has to."""
    with pytest.raises(TypeError, match="Can only multiply by int or float"):
        lucent.channel("conv", 2) * channel("conv", 1)


@pytest.mark.parametrize("number", [3, -0.3, np.float64(7)], ids=named)
def test_lucents_arithmetic_is_ours_to_the_last_bit(
    lucent: ModuleType, number: float, activations: Callable[[str], Tensor]
) -> None:
    ours, theirs = channel("conv", 1), lucent.channel("conv", 1)
    for operate in [*OPERATORS, operator.truediv]:
        assert (
            operate(ours, number)(activations).item() == operate(theirs, number)(activations).item()
        )
