from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.testing import assert_close

from captum_featinv import views
from captum_featinv.optimization.redirect import redirect_gradients

Change = Callable[[Tensor], Tensor]

RELUS: dict[str, Change] = {
    "layer": nn.ReLU(),
    "in place": nn.ReLU(inplace=True),
    "functional": functional.relu,
    "functional in place": lambda code: functional.relu(code, inplace=True),
    "threshold": nn.Threshold(0.0, 0.0),
    "relu6": nn.ReLU6(),
    "relu6 in place": nn.ReLU6(inplace=True),
}
TAILS: dict[str, Change] = {
    "alone": lambda code: code,
    "clone": Tensor.clone,
    "max pooling": nn.MaxPool2d(3, stride=2, ceil_mode=True),
    "average pooling": nn.AvgPool2d(2, stride=1),
    "concatenated": lambda code: torch.cat([code, code], 1),
    "pooled twice": nn.Sequential(nn.MaxPool2d(2, stride=1), nn.AvgPool2d((1, 2))),
}
# What moves numbers, or passes on all of them: none of it is silent, and a layer may end with it.
MOVES: dict[str, Change] = {
    "pooled": nn.MaxPool2d(2, stride=1),
    "concatenated": lambda x: torch.cat([x, x], 2),
    "stacked": lambda x: torch.stack([x, x], 1),
    "sliced": lambda x: x[:, :, 1:],
    "selected": lambda x: x[:, 1],
    "indexed": lambda x: x[:, [0, 2, 2]],
    "mean": lambda x: x.mean(1, keepdim=True),
    "padded": lambda x: functional.pad(x, [1, 2, 1, 0]),
    "gathered": lambda x: x.gather(1, torch.zeros_like(x, dtype=torch.long)),
    "rolled": lambda x: x.roll(2, 3),
    "cloned": Tensor.clone,
    "alias": torch.ops.aten.alias,
    "viewed": lambda x: x.view(-1),
    "flattened": lambda x: x.flatten(1),
    "reshaped": lambda x: x.mT.reshape(2, -1),
    "permuted": lambda x: x.permute(0, 2, 3, 1),
    "transposed": lambda x: x.transpose(1, 2),
    "cast": Tensor.double,
    "squeezed": lambda x: x[:, None].squeeze(1),
    "unsqueezed": lambda x: x[:, None],
    "expanded": lambda x: x[:, None].expand(-1, 4, -1, -1, -1),
    "plus a number": lambda x: x + 1,
    "minus a number": lambda x: x - 1,
    "native dropout": lambda x: torch.native_dropout(x, 0.0, train=True)[0],
    "times a number": lambda x: x * 2,
    "times a tensor that is a number": lambda x: x * torch.tensor(2.0),
    "by a number": lambda x: x / 3,
}
# What mixes channels or places, or normalises them: what was silent before is another layer's.
MIXES: dict[str, Change] = {
    "matrix": lambda x: x @ x.new_ones(9, 9),
    "batched matrix": lambda x: torch.bmm(x.flatten(0, 1), x.new_ones(6, 9, 9)),
    "vector": lambda x: x @ x.new_ones(9),
    "vector with bias": lambda x: torch.addmv(x.new_ones(42), x.flatten(0, 2), x.new_ones(9)),
    "linear": nn.Linear(9, 9),
    "linear without bias": nn.Linear(9, 9, bias=False),
    "batch norm": lambda x: functional.batch_norm(x, None, None, training=True),
    "layer norm": lambda x: functional.layer_norm(x, [9]),
    "group norm": lambda x: functional.group_norm(x, 1),
    "einsum": lambda x: torch.einsum("nchw,wv->nchv", x, x.new_ones(9, 9)),
    "attention": lambda x: functional.scaled_dot_product_attention(x, x.detach(), x.detach()),
    "fourier": lambda x: torch.fft.rfft(x).real,
    "interpolated": lambda x: functional.interpolate(x, x.shape[2:], mode="bilinear"),
    "sampled": lambda x: functional.grid_sample(x, x.new_zeros(2, 7, 9, 2), align_corners=True),
    "softmax": lambda x: x.softmax(1),
    "log softmax": lambda x: x.log_softmax(1),
    "cumsum": lambda x: x.cumsum(3),
    "convolution": lambda x: functional.conv2d(x, x.new_ones(3, 3, 1, 1)),
}


def gradients(network: Change, image: Tensor) -> tuple[Tensor, Tensor]:
    """Of a random sum of a network's output, redirected and not."""
    weights = torch.randn_like(network(image))
    redirected, plain = network(image), network(image)
    redirect_gradients(redirected)
    (first,) = torch.autograd.grad(redirected, image, weights)
    (second,) = torch.autograd.grad(plain, image, weights)
    return first, second


@pytest.fixture
def image() -> Tensor:
    """Mostly silent, so that whole pooling windows are, and below the 6 of ReLU6."""
    return (torch.randn(2, 3, 7, 9) - 1).requires_grad_()


@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
@pytest.mark.parametrize("relu", RELUS.values(), ids=RELUS)
def test_only_a_silent_unit_that_is_asked_for_more_is_given_a_gradient(
    image: Tensor, relu: Change, tail: Change
) -> None:
    code = relu(image.detach().clone()).requires_grad_()
    expected_output = tail(code)
    weights = torch.randn_like(expected_output)
    (arrived,) = torch.autograd.grad(expected_output, code, weights)
    expected = torch.zeros_like(image)
    for place, value in enumerate(image.flatten().tolist()):
        asked = arrived.flatten()[place].item()
        if value > 0 or asked < 0:  # to descend a negative gradient is to rise
            expected.flatten()[place] = asked

    output = tail(relu(image * 1))
    redirect_gradients(output)
    (gradient,) = torch.autograd.grad(output, image, weights)
    assert_close(gradient, expected)
    assert not torch.equal(gradient, expected * (image > 0))


def test_a_pooling_over_all_places_is_seen_through_with_channels_last_in_memory(
    image: Tensor,
) -> None:
    output = functional.adaptive_avg_pool2d(
        torch.relu(image * 1).contiguous(memory_format=torch.channels_last), 1
    )
    assert output.grad_fn is not None
    assert "Strided" in output.grad_fn.name()
    redirect_gradients(output)
    (gradient,) = torch.autograd.grad(output, image, -torch.ones_like(output))
    assert_close(gradient, torch.full_like(image, -1 / 63))


def scattered(code: Tensor) -> Tensor:
    """The two largest filters of each place, put back among zeros as sparse autoencoders do."""
    largest = torch.relu(code).topk(2, dim=1)
    return torch.zeros_like(code).scatter(1, largest.indices, largest.values)


@pytest.mark.parametrize(
    "select",
    [scattered, views.top_k(2), lambda code: code * (code > 0.5)],
    ids=["scattered", "product", "jump"],
)
def test_what_was_not_selected_is_given_a_gradient_if_it_is_asked_for_more(
    image: Tensor, select: Change
) -> None:
    weights = torch.randn_like(image)
    output = select(image * 1)
    fires = output.detach() != 0
    assert 0.02 < fires.float().mean() < 0.5
    redirect_gradients(output)
    (gradient,) = torch.autograd.grad(output, image, weights)
    assert_close(gradient, torch.where(fires, weights, weights.clamp(max=0)))


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
@pytest.mark.parametrize("pool", [nn.Identity(), nn.MaxPool2d(2, 1)], ids=["relu", "pooled relu"])
def test_what_moves_numbers_ends_a_layer_as_its_relu_does(
    image: Tensor, pool: nn.Module, move: Change
) -> None:
    """By autograd through what follows the ReLU, and the rule written out at the ReLU."""
    code = torch.relu(image.detach()).requires_grad_()
    weights = torch.randn_like(move(pool(code)))
    weights *= torch.rand_like(weights) > 0.4  # so that some places are not asked for anything
    (arrived,) = torch.autograd.grad(move(pool(code)), code, weights)
    output = move(pool(torch.relu(image * 1)))
    redirect_gradients(output)
    (gradient,) = torch.autograd.grad(output, image, weights)
    assert_close(gradient, torch.where(image > 0, arrived, arrived.clamp(max=0)))
    assert not torch.equal(gradient, arrived * (image > 0))


@pytest.mark.parametrize("mix", MIXES.values(), ids=MIXES)
def test_what_mixes_ends_what_is_followed(image: Tensor, mix: Change) -> None:
    redirected, plain = gradients(lambda x: mix(torch.relu(x * 1)), image)
    assert torch.equal(redirected, plain)


def test_a_relu_under_pooling_that_another_one_follows_is_another_layers(image: Tensor) -> None:
    redirected, plain = gradients(lambda x: torch.tanh(nn.MaxPool2d(2)(torch.relu(x * 1))), image)
    assert torch.equal(redirected, plain)


@pytest.mark.parametrize(("length", "followed"), [(20, True), (200, False)])
def test_a_long_chain_is_no_layers_end(image: Tensor, length: int, followed: bool) -> None:
    def chain(x: Tensor) -> Tensor:
        code = torch.relu(x * 1)
        for _ in range(length):
            code = code + 1
        return code

    redirected, plain = gradients(chain, image)
    assert torch.equal(redirected, plain) != followed


# Where these are lowest, by their closed forms: left of it they fall.
DIPS = {
    "gelu": (functional.gelu, -0.7517916243),
    "gelu by tanh": (lambda x: functional.gelu(x, approximate="tanh"), -0.7524613),
    "silu": (functional.silu, -1.2784645428),
    "silu in place": (lambda x: functional.silu(x * 1, inplace=True), -1.2784645428),
    "mish": (functional.mish, -1.1924312145),
    "hardswish": (functional.hardswish, -1.5),
}


@pytest.mark.parametrize(("dip", "lowest"), DIPS.values(), ids=DIPS)
def test_what_falls_before_it_rises_is_silent_where_it_falls(dip: Change, lowest: float) -> None:
    image = torch.linspace(-6, 6, 50, requires_grad=True)
    weights = torch.randn(50)
    output, plain = dip(image), dip(image)
    redirect_gradients(output)
    (gradient,) = torch.autograd.grad(output, image, weights)
    (expected,) = torch.autograd.grad(plain, image, weights)
    asks = (image < lowest) & (weights < 0)
    flat = (image <= -3) & (dip is functional.hardswish)
    expected = torch.where(asks, weights, torch.where(flat, weights.clamp(max=0), expected))
    assert_close(gradient, expected)


def test_a_filter_far_below_a_gelus_lowest_point_comes_back() -> None:
    """Asked for 1 from -3, where its own gradient points further down."""
    ends = []
    for redirect in (True, False):
        place = torch.tensor([-3.0], requires_grad=True)
        for _ in range(60):
            output = functional.gelu(place)
            if redirect:
                redirect_gradients(output)
            (gradient,) = torch.autograd.grad((output - 1).square().sum(), place)
            place = (place - 0.1 * gradient).detach().requires_grad_()
        ends.append(functional.gelu(place).item())
    assert ends[0] == pytest.approx(1, abs=0.01)
    assert ends[1] < 0


def test_each_of_two_concatenated_relus_is_redirected(image: Tensor) -> None:
    output = torch.cat([torch.relu(image), torch.relu(-3 * image)], 1)
    weights = torch.randn_like(output)
    redirect_gradients(output)
    (gradient,) = torch.autograd.grad(output, image, weights)
    one, other = weights.chunk(2, dim=1)
    expected = torch.where(image > 0, one, one.clamp(max=0))
    expected -= 3 * torch.where(image < 0, other, other.clamp(max=0))
    assert_close(gradient, expected)


@pytest.mark.parametrize("start", [0.0, -0.5])
@pytest.mark.parametrize(
    "relu",
    [
        lambda x, low: x.clamp(low, 6),
        lambda x, low: x.clamp_(low, 6),
        lambda x, low: functional.hardtanh(x, low, 6),
        lambda x, low: functional.hardtanh(x, low, 6, inplace=True),
        lambda x, low: functional.relu6(x - low) + low,
        lambda x, low: functional.relu6(x - low, inplace=True) + low,
    ],
    ids=["clamp", "clamp_", "hardtanh", "hardtanh_", "relu6", "relu6_"],
)
def test_a_unit_that_fires_as_much_as_a_relu6_lets_it_is_not_silent(
    relu: Callable[[Tensor, float], Tensor], start: float
) -> None:
    image = torch.tensor([[7.0, 3.0, -1.0]], requires_grad=True)
    output = relu(image * 1, start)
    redirect_gradients(output)
    (gradient,) = torch.autograd.grad(-output.sum(), image)
    assert gradient.tolist() == [[0, -1, -1]]


@pytest.mark.parametrize(
    "network",
    [
        nn.Conv2d(3, 4, 3),
        nn.LeakyReLU(0.2),
        nn.Tanh(),
        nn.Sequential(nn.ReLU(), nn.Conv2d(3, 4, 3)),
        nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2)),
    ],
    ids=str,
)
def test_nothing_changes_where_the_layer_does_not_end_in_a_relu(
    image: Tensor, network: nn.Module
) -> None:
    redirected, plain = gradients(network.eval(), image)
    assert torch.equal(redirected, plain)


@pytest.mark.parametrize("between", [nn.Conv2d(3, 4, 1), nn.AvgPool2d(2)], ids=str)
def test_the_relus_before_the_last_are_left_as_they_are(image: Tensor, between: nn.Module) -> None:
    redirected, _ = gradients(nn.Sequential(nn.ReLU(), between, nn.ReLU()), image)
    assert redirected.any()
    assert not redirected[image <= 0].any()


def test_only_the_coming_backward_pass_is_redirected(image: Tensor) -> None:
    relu = nn.ReLU()
    gradients(relu, image)
    (gradient,) = torch.autograd.grad(-relu(image).sum(), image)
    assert_close(gradient, -(image > 0).float())


def test_an_output_without_a_graph_is_left_alone() -> None:
    redirect_gradients(torch.relu(torch.randn(2, 3)))


def test_a_silent_filter_learns_to_fire() -> None:
    conv = nn.Conv2d(3, 4, 3, bias=False)
    image = torch.zeros(1, 3, 8, 9, requires_grad=True)

    def pull(*, redirect: bool) -> Tensor:
        code = torch.relu(conv(image) - 0.1)
        if redirect:
            redirect_gradients(code)
        return torch.autograd.grad((code[:, 2] - 1).square().sum(), image)[0]

    assert not pull(redirect=False).any()
    pulled = torch.relu(conv(-10 * pull(redirect=True)) - 0.1)
    assert pulled[:, 2].amax() > 0


# --- ways to spell a ReLU ----------------------------------------------------------------------


class OwnRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x > 0)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        return gradient * ctx.saved_tensors[0]


SPELLINGS: dict[str, Change] = {
    "clamp": lambda x: x.clamp(min=0),
    "clamp in place": lambda x: (x * 1).clamp_(min=0),
    "clamp_min": lambda x: torch.clamp_min(x, 0),
    "clamp from both sides": lambda x: x.clamp(0, 60),
    "maximum": lambda x: torch.maximum(x, torch.zeros(())),
    "maximum of two that depend on it": lambda x: torch.max(x, 0 * x),
    "minimum of two that depend on it": lambda x: torch.min(torch.relu(x), 60 + 0 * x),
    "where of two that depend on it": lambda x: torch.where(x > 0, x, 0 * x),
    "where": lambda x: torch.where(x > 0, x, 0.0),
    "mask": lambda x: x * (x > 0),
    "minimum, turned and back": lambda x: -torch.minimum(-x, torch.zeros(())),
    "clamp from above, turned and back": lambda x: 0 - (0 - x).clamp(max=0),
    "turned twice": lambda x: torch.relu(x).neg().neg(),
    "hardtanh": lambda x: functional.hardtanh(x, 0, 1e9),
    "own function": OwnRelu.apply,
    "permuted and back": lambda x: torch.relu(x).permute(0, 2, 3, 1).permute(0, 3, 1, 2),
    "times 1": lambda x: torch.relu(x) * 1.0,
    "plus 0": lambda x: torch.relu(x) + 0,
    "cast": lambda x: torch.relu(x).double().float(),
    "viewed": lambda x: torch.relu(x).flatten(2).unflatten(2, x.shape[2:]),
    "dropout": lambda x: functional.dropout(torch.relu(x), training=False),
    "contiguous": lambda x: torch.relu(x).mT.contiguous().mT,
    "clamped in another precision": lambda x: x.double().clamp(min=0).float(),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("before", [nn.Conv2d(3, 5, 3), nn.Conv2d(3, 5, 3, bias=False)], ids=str)
def test_however_a_relu_is_spelt_it_is_redirected(
    image: Tensor, spelling: Change, before: nn.Module
) -> None:
    weights = torch.randn_like(before(image))
    gradients = []
    for relu in (torch.relu, spelling):
        output = relu(before(image))
        redirect_gradients(output)
        gradients.append(torch.autograd.grad(output, image, weights)[0])
    assert_close(gradients[1], gradients[0])


def test_branches_that_meet_are_the_end_of_what_is_followed(image: Tensor) -> None:
    """What is silent before a sum of two branches is another layer's."""
    weights = torch.randn_like(image)
    for end in (lambda x: torch.relu(x) + torch.relu(-x), lambda x: torch.relu(x) * x.sigmoid()):
        output, plain = end(image * 1), end(image * 1)
        redirect_gradients(output)
        (gradient,) = torch.autograd.grad(output, image, weights)
        (expected,) = torch.autograd.grad(plain, image, weights)
        assert_close(gradient, expected)


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("low", [0.0, -2.0])
def test_a_unit_right_at_the_lower_end_of_its_range_is_silent(low: float, inplace: bool) -> None:
    """Where torch lets no gradient pass, and one above the upper end stays as it is."""
    image = torch.tensor([low, low - 1, 7.0], requires_grad=True)
    code = functional.hardtanh(image * 1, low, 6, inplace=inplace)
    redirect_gradients(code)
    (gradient,) = torch.autograd.grad(-code.sum(), image)
    assert gradient.tolist() == [-1, -1, 0]


def test_where_nothing_arrives_nothing_is_redirected() -> None:
    class Nothing(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, code: Tensor) -> Tensor:
            return code.clone()

        @staticmethod
        def backward(ctx: object, gradient: Tensor) -> None:
            return None

    image = torch.randn(1, 2, 3, 3, requires_grad=True)
    code = Nothing.apply(functional.relu(functional.conv2d(image, torch.ones(2, 2, 1, 1))))
    redirect_gradients(code)
    assert torch.autograd.grad(-code.sum(), image, allow_unused=True) == (None,)
