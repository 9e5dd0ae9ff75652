from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import ref

import pytest
import torch
from captum.attr import LayerActivation
from torch import Tensor, nn
from torch.nn import functional
from torch.testing import assert_close
from torchvision.models import googlenet, resnet18

from captum_featinv.errors import ForwardError, LayerError
from captum_featinv.network.activations import Activations
from captum_featinv.network.hooking.outputs import Outputs

Change = Callable[[Tensor], Tensor]


class Apply(nn.Module):
    """A layer made of a function, which counts its calls."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function, self.calls = function, 0

    def forward(self, image: Tensor) -> Any:
        self.calls += 1
        return self.function(image)


@pytest.fixture
def image() -> Tensor:
    return torch.randn(2, 3, 9, 12)


@pytest.fixture
def net() -> nn.Sequential:
    layers = [nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Conv2d(4, 5, (2, 3)), nn.Sigmoid(), nn.Flatten()]
    return nn.Sequential(*layers).eval()


def hooks_of(model: nn.Module) -> list[list[Any]]:
    return [list(module._forward_hooks.values()) for module in model.modules()]


@contextmanager
def opened(model: nn.Module, *names: str) -> Iterator[Activations]:
    with Activations(model, {name: model.get_submodule(name) for name in names}) as activations:
        yield activations


@pytest.mark.parametrize("run", [1, 2, 3, 5])
def test_gives_what_the_prefix_of_the_model_gives(
    net: nn.Sequential, image: Tensor, run: int
) -> None:
    with opened(net, "3", "0", "1") as activations:
        for scale in range(1, run + 1):
            activations.run(scale * image)
        codes = {name: activations(name) for name in "013"}
    for name, code in codes.items():
        assert_close(code, net[: int(name) + 1](run * image))


def test_takes_another_batch_and_size_in_a_later_run(net: nn.Sequential, image: Tensor) -> None:
    other = torch.randn(3, 3, 7, 5)
    expected = net[:3](other)
    with opened(net, "2") as activations:
        activations.run(image)
        activations.run(other)
        assert_close(activations("2"), expected)


@pytest.mark.parametrize(("names", "calls"), [("0", 0), ("01", 0), ("43", 1), ("30", 1)])
def test_stops_after_the_last_layer_once_two_complete_runs_agree(names: str, calls: int) -> None:
    late = Apply(torch.neg)
    net = nn.Sequential(nn.ReLU(), nn.Tanh(), late, nn.ReLU(), nn.Tanh(), Apply(torch.neg))
    with opened(net, *names) as activations:
        activations.run(torch.rand(2, 3))
        activations.run(torch.rand(2, 3))
        assert late.calls == net[5].calls == 2
        activations.run(torch.rand(2, 3))
        activations.run(torch.rand(2, 3))
    assert late.calls == 2 + 2 * calls
    assert net[5].calls == 2


def test_gives_the_last_call_of_a_layer_that_is_called_more_than_once() -> None:
    relu = Apply(torch.relu)

    def model(image: Tensor) -> Tensor:
        return relu(relu(relu(image) - 1) - 1)

    image = torch.tensor([[0.5, 1.5, 2.5, 3.5]])
    with Activations(model, {"relu": relu}) as activations:
        for _ in range(5):
            activations.run(image)
            assert activations("relu").tolist() == [[0, 0, 0.5, 1.5]]


@pytest.mark.parametrize("name", ["layer1.0.relu", "layer2.1.relu", "layer2.0", "fc"])
def test_gives_what_captum_gives_for_the_last_call_of_a_reused_layer(name: str) -> None:
    net = resnet18(weights=None).eval()
    image = torch.randn(2, 3, 33, 40)
    expected = LayerActivation(net, net.get_submodule(name)).attribute(image)
    with torch.no_grad(), opened(net, name) as activations:
        for _ in range(2):
            activations.run(image)
            assert_close(activations(name), expected)


def _fill_first(code: Tensor) -> Tensor:
    code[:, 0] = 7
    return code


OVERWRITES: dict[str, Change] = {
    "a layer": nn.ReLU(inplace=True),
    "a function": lambda code: functional.relu(code, inplace=True),
    "a sum": lambda code: code.add_(1),
    "a part": _fill_first,
}


@pytest.mark.parametrize("others", [[], ["2"], ["2", "3"]])
@pytest.mark.parametrize("overwrite", OVERWRITES.values(), ids=OVERWRITES)
def test_sees_a_layer_as_it_was_before_it_was_overwritten(
    image: Tensor, overwrite: Change, others: list[str]
) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), Apply(overwrite), nn.Conv2d(4, 5, 1), nn.Tanh())
    expected = net[0](image)
    with opened(net, "0", *others) as activations:
        for _ in range(5):
            activations.run(image)
            assert_close(activations("0"), expected)
            (gradient,) = torch.autograd.grad(activations("0").sum(), net[0].bias)
            assert gradient.tolist() == [expected[:, 0].numel()] * 4


def test_sees_a_residual_branch_before_the_sum_is_written_into_it() -> None:
    block = resnet18(weights=None).layer1[0].eval()
    image = torch.randn(2, 64, 5, 7)
    expected = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(image)))))
    with opened(block, "bn2", "relu") as activations:
        for _ in range(2):
            activations.run(image)
            assert_close(activations("bn2"), expected)
            assert_close(activations("relu"), torch.relu(expected + image))


def test_sees_googlenets_layers_before_its_functional_inplace_relu() -> None:
    net = googlenet(weights=None, aux_logits=False, init_weights=False).eval()
    image = torch.randn(2, 3, 48, 33)
    code = net.maxpool2(net.conv3(net.conv2(net.maxpool1(net.conv1(image)))))
    branch = net.inception3a.branch1
    before = {"conv": branch.conv(code), "bn": branch.bn(branch.conv(code))}
    names = {name: f"inception3a.branch1.{name}" for name in before}
    with torch.no_grad(), opened(net, "inception3b.branch1", *names.values()) as activations:
        for _ in range(4):
            activations.run(image)
            for name, expected in before.items():
                assert_close(activations(names[name]), expected)


def test_gradients_reach_the_input_and_leave_the_weights_without(
    net: nn.Sequential, image: Tensor
) -> None:
    image.requires_grad_()
    (expected,) = torch.autograd.grad(net[:3](image).square().sum(), image)
    with opened(net, "2") as activations:
        for _ in range(2):
            activations.run(image)
            (gradient,) = torch.autograd.grad(activations("2").square().sum(), image)
            assert_close(gradient, expected)
    assert [weight.grad for weight in net.parameters()] == [None] * 4


@pytest.mark.parametrize("when", [0, 1])
@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, RuntimeError, None])
def test_leaves_no_hook_behind_however_the_block_ends(
    error: type[BaseException] | None, when: int
) -> None:
    net = nn.Sequential(nn.ReLU(), Apply(torch.neg), nn.Tanh())
    seen = []
    net[0].register_forward_hook(lambda *_: seen.append("user"))
    hooks = hooks_of(net)

    def fail(image: Tensor) -> Tensor:
        if net[1].calls > when and error is not None:
            raise error
        return image

    net[1].function = fail
    with pytest.raises(error or ZeroDivisionError), opened(net, "0", "2") as activations:  # noqa: PT012
        assert hooks_of(net) != hooks
        for _ in range(3):
            activations.run(torch.rand(2, 3))
        raise ZeroDivisionError
    assert hooks_of(net) == hooks
    assert len(seen) == (3 if error is None else when + 1)


def test_hooks_nothing_but_the_layers_asked_for(net: nn.Sequential) -> None:
    with opened(net, "1", "2"):
        assert [len(hooks) for hooks in hooks_of(net)] == [0, 0, 1, 1, 0, 0]
    with opened(net):
        assert not any(hooks_of(net))


def test_a_layer_that_does_not_run_is_named() -> None:
    head = nn.Linear(3, 4)
    model = nn.ReLU()
    with (
        Activations(model, {"relu": model, "aux.head": head}) as activations,
        pytest.raises(
            LayerError, match=r"hook did not obtain any outputs for given layer aux\.head"
        ),
    ):
        activations.run(torch.rand(2, 3))


@pytest.mark.parametrize(
    ("output", "what"),
    [
        (lambda image: (image, image), r"2 outputs \(tuple\)"),
        (lambda image: [image] * 3, r"3 outputs \(list\)"),
        (lambda image: {"out": image}, r"1 outputs \(dict\)"),
        (lambda image: None, "NoneType"),
    ],
)
def test_a_layer_that_does_not_put_out_one_tensor_is_named(
    output: Callable[[Tensor], Any], what: str
) -> None:
    net = nn.Sequential(nn.ReLU(), Apply(output))
    with (
        pytest.raises(LayerError, match=f"layer '1' puts out {what}"),
        opened(net, "0", "1") as codes,
    ):
        codes.run(torch.rand(2, 3))
    assert not any(hooks_of(net))


def test_a_tuple_of_one_tensor_is_that_tensor() -> None:
    net = nn.Sequential(Apply(lambda image: (2 * image,)))
    with opened(net, "0") as activations:
        for scale in range(1, 6):
            activations.run(scale * torch.ones(2, 3))
            assert_close(activations("0"), torch.full((2, 3), 2.0 * scale))


def test_a_photo_that_is_too_small_is_a_forward_error_with_its_shape(net: nn.Sequential) -> None:
    with (
        opened(net, "1") as activations,
        pytest.raises(ForwardError, match=r"shape \(2, 3, 2, 12\).*can be enlarged") as caught,
    ):
        activations.run(torch.rand(2, 3, 2, 12))
    assert isinstance(caught.value, RuntimeError)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert str(caught.value.__cause__) in str(caught.value)


@pytest.mark.parametrize(
    "kind", [ValueError, NotImplementedError, RecursionError, torch.cuda.OutOfMemoryError]
)
def test_an_error_of_the_model_that_is_not_about_its_inputs_stays_as_it_is(
    kind: type[Exception],
) -> None:
    error = kind("the model's own")

    def fail(_: Tensor) -> Tensor:
        raise error

    with opened(nn.Sequential(Apply(fail)), "0") as activations, pytest.raises(kind) as caught:
        activations.run(torch.rand(2, 3))
    assert caught.value is error


@pytest.mark.parametrize("device_ids", [[0, 1], [1, 0], [1, 2, 0]])
def test_joins_the_outputs_of_replicas_in_the_order_of_their_devices(device_ids: list[int]) -> None:
    outputs = Outputs(["relu"], 2)
    outputs.keep("relu", torch.device("cuda", 1), torch.ones(2, 3))
    outputs.keep("relu", torch.device("cuda", 0), torch.zeros(1, 3))
    joined = outputs.output("relu", device_ids)
    rows = [number for number in device_ids for _ in range(number + 1) if number < 2]
    assert joined.tolist() == [[row] * 3 for row in rows]
    outputs.keep("relu", torch.device("cuda", 0), torch.full((1, 3), 5.0))  # its last call, alone
    assert outputs.output("relu", [1, 0]).tolist() == [[1.0] * 3] * 2 + [[5.0] * 3]
    with pytest.raises(LayerError, match="2 devices; pass `device_ids`"):
        outputs.output("relu", None)


def test_what_an_earlier_run_put_out_is_let_go_of(net: nn.Sequential) -> None:
    image = torch.rand(2, 3, 12, 12, requires_grad=True)
    kept = []
    with opened(net, "1") as activations:
        for _ in range(6):
            activations.run(image)
            kept.append(ref(activations("1")))
        assert [one() is None for one in kept] == [True] * 5 + [False]
