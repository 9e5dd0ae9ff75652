"""A direction is a filter of a dictionary: same pictures, same numbers, in another basis."""

import pickle
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from transformers.utils import ModelOutput

from captum_featinv import FeatureMapInversion, views
from captum_featinv.codes import energies
from captum_featinv.errors import ArgumentError, ArgumentTypeError, LayerError
from captum_featinv.network import read_code
from captum_featinv.network.ablation import ablated
from tests.network.test_views import Net, as_tokens


def net(form: Any = lambda code: code) -> Net:
    return Net(form).eval()


def rotation(size: int = 5) -> Tensor:
    matrix: Tensor = torch.linalg.qr(torch.randn(size, size)).Q
    return matrix


# --- pictures in a basis -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "activation"), [("conv", None), ("relu", None), ("relu", torch.relu)]
)
def test_the_identity_gives_the_plain_picture_to_the_bit(layer: str, activation: Any) -> None:
    photos = torch.rand(2, 3, 9, 12) * 4 - 2
    view = views.directions(torch.eye(5), activation)
    plain, seen = (FeatureMapInversion(net(), layer, view=v) for v in (None, view))
    pictures = [fmi.attribute(photos, [3, 0], n_steps=20) for fmi in (plain, seen)]
    assert torch.equal(*pictures)
    assert plain.report(pictures[0], photos, [3, 0]) == seen.report(pictures[0], photos, [3, 0])


def test_a_permuted_identity_permutes() -> None:
    photos, order = torch.rand(1, 3, 9, 12) * 4 - 2, [4, 2, 0, 1, 3]
    view = views.directions(torch.eye(5)[order])
    plain = FeatureMapInversion(net(), "relu").attribute(photos, order, n_steps=8)
    seen = FeatureMapInversion(net(), "relu", view=view).attribute(photos, None, n_steps=8)
    # To rounding: energies of filters are summed in another order.
    assert_close(seen, plain, atol=1e-4, rtol=1e-4)


def test_shares_and_ranks_are_in_the_dictionary() -> None:
    """Beside a slow restatement: loops over places and directions of a rotated basis."""
    photos, matrix = torch.rand(1, 3, 9, 12) * 4 - 2, rotation()
    fmi = FeatureMapInversion(net(), "relu", view=views.directions(matrix))
    pictures = fmi.attribute(photos, [1, 4], n_steps=4)
    saved = fmi.normalization.to_display(pictures[0]).mul(255).round().clamp(0, 255) / 255
    with torch.no_grad():
        codes = net().relu(net().conv(fmi.normalization.to_model(saved)))
    for record, code in zip(fmi.report(pictures, photos, [1, 4]), codes, strict=True):
        squares = [0.0] * 5
        for k in range(5):
            for place in code.flatten(1).T:
                said = sum(float(w) * float(f) for w, f in zip(matrix[k], place, strict=True))
                squares[k] += said**2
        share = squares[record.filter] / sum(squares)
        assert record.share == pytest.approx(share, abs=2e-3)


def test_energies_are_those_of_the_directions() -> None:
    photos, matrix = torch.rand(3, 3, 9, 12), torch.randn(7, 5)
    code = read_code(net(), "relu", photos, view=views.directions(matrix, torch.relu))
    plain = read_code(net(), "relu", photos)
    expected = torch.einsum("kc,nchw->nkhw", matrix, plain).relu().sum((2, 3))
    assert_close(energies(code), expected)


def test_a_dictionary_sees_channels_as_they_would_be_seen_without_a_view() -> None:
    photos, matrix = torch.rand(2, 3, 26, 27), torch.randn(7, 5)
    expected = read_code(net(), "relu", photos, view=views.directions(matrix))
    last = net(lambda code: code.movedim(1, -1))
    assert_close(read_code(last, "said", photos, view=views.directions(matrix)), expected)
    tokens = net(lambda code: (as_tokens(code, 1), None))
    view = views.compose(views.field(0), views.tokens(1, (24, 25)), views.directions(matrix))
    assert_close(read_code(tokens, "said", photos, view=view), expected)


def test_the_layout_in_memory_is_the_codes() -> None:
    view, code = views.directions(torch.randn(6, 5)), torch.randn(2, 5, 4, 3)
    last = code.contiguous(memory_format=torch.channels_last)
    assert view(code).is_contiguous()
    assert view(last).is_contiguous(memory_format=torch.channels_last)
    assert_close(view(last), view(code))
    assert_close(view(code[:, :, 0, 0]), view(code)[:, :, 0, 0])


def test_no_step_copies_the_directions_to_the_codes() -> None:
    view: Any = views.directions(torch.eye(5, dtype=torch.float64))
    code = torch.rand(1, 5, 2, 2)
    assert view._at("forth", code) is view._at("forth", code)
    assert view._at("back", code) is view._at("back", code)
    assert view._at("forth", code.double()).dtype == torch.float64


def test_a_silent_direction_is_woken() -> None:
    """It fires nowhere at the start: both its own activation and the layer's have to be passed."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    with torch.no_grad():
        model[0].bias.fill_(-0.05)
    matrix = torch.tensor(
        [[1.0, -1.0, 0, 0], [-1.0, 1.0, 0, 0], [0, 0, 1.0, -1.0], [0, 0, -1.0, 1]]
    )
    photo = torch.rand(1, 3, 14, 14) * 4 - 2
    fmi = FeatureMapInversion(model, "1", view=views.directions(matrix, torch.relu))
    report = fmi.report(fmi.attribute(photo, None), photo, None)
    assert [record.silent for record in report] == [False] * 4
    assert min(record.share for record in report) > 0.5


# --- the way back ------------------------------------------------------------------------------


def test_the_way_back_changes_what_directions_say_and_nothing_else() -> None:
    code, matrix = torch.randn(2, 5, 3, 4), torch.randn(3, 5)
    view: Any = views.directions(matrix)
    said = torch.randn(2, 3, 3, 4)
    changed = view.back(code, said)
    assert_close(view(changed), said, atol=1e-4, rtol=1e-4)
    others = views.directions(torch.linalg.svd(matrix).Vh[3:])
    assert_close(others(changed), others(code), atol=1e-4, rtol=1e-4)


def test_to_remove_a_direction_is_to_project_it_out() -> None:
    photos, direction = torch.rand(2, 3, 9, 12), torch.randn(1, 5)
    model = net()
    code = model(photos).detach()
    unit = direction[0] / direction.norm()
    along = torch.einsum("c,nchw->nhw", unit, code)
    expected = code - unit[None, :, None, None] * along[:, None]
    with ablated(model, "relu", [0], photos, views.directions(direction)):
        assert_close(model(photos), expected)
    assert torch.equal(model(photos), code)


def test_a_decoder_leaves_what_it_does_not_give_back() -> None:
    """Of an autoencoder that is far from perfect, its error stays in the code."""
    encoder, decoder = nn.Sequential(nn.Linear(5, 9), nn.ReLU()), nn.Linear(9, 5)
    view: Any = views.dictionary(encoder, decoder)
    code = torch.randn(2, 5, 3, 4)
    said = view(code)
    assert_close(view.back(code, said), code)
    silenced = said.index_fill(1, torch.tensor([2]), 0)
    change = torch.einsum("ck,nkhw->nchw", decoder.weight, silenced - said)
    assert_close(view.back(code, silenced), code + change, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("form", "view"),
    [
        (lambda c: {"aux": None, "out": c}, views.field("out")),
        (lambda c: (c.mean(), c), views.field(1)),
        (lambda c: [c, 1], views.field(0)),
        (lambda c: ModelOutput(logits=c, aux=(c,)), views.field(0)),
        (lambda c: ModelOutput(logits=c, aux=(c,)), views.field("logits")),
        (lambda c: c.movedim(1, -1), views.channels(-1)),
        (lambda c: as_tokens(c, 2), views.tokens(2, (7, 10))),
        (
            lambda c: (as_tokens(c, 1), None),
            views.compose(views.field(0), views.tokens(1, (7, 10)), views.directions(rotation())),
        ),
        (lambda c: as_tokens(c, 1), views.compose(views.tokens(1, (7, 10)))),
    ],
)
def test_views_know_the_way_back(form: Any, view: Any) -> None:
    output = form(torch.rand(2, 5, 7, 10))
    code = view(output)
    other = torch.rand_like(code)
    changed = view.back(output, other)
    assert type(changed) is type(output)
    assert_close(view(changed), other, atol=1e-5, rtol=1e-4)
    assert_close(view(output), code)  # the output itself stays as it was


def test_a_view_of_ones_own_without_a_way_back_says_what_to_do() -> None:
    model, photos = net(lambda code: [code]), torch.rand(1, 3, 9, 12)
    with (
        pytest.raises(ArgumentError, match="has to know the way back"),
        ablated(model, "said", [0], photos, lambda output: output[0]),
    ):
        pass
    with (
        pytest.raises(ArgumentError, match=r"views\.dictionary\(encoder, decoder\)"),
        ablated(model, "relu", [0], photos, views.dictionary(nn.Linear(5, 6))),
    ):
        pass


# --- encoders ----------------------------------------------------------------------------------


def test_an_encoder_of_vectors_is_applied_place_by_place() -> None:
    linear, conv = nn.Linear(5, 8), nn.Conv2d(5, 8, 1)
    with torch.no_grad():
        conv.weight.copy_(linear.weight[..., None, None])
        conv.bias.copy_(linear.bias)
    code = torch.randn(2, 5, 3, 4)
    assert_close(views.dictionary(linear)(code), conv(code))
    assert_close(views.dictionary(conv)(code), conv(code))
    assert_close(views.dictionary(lambda maps: conv(maps), maps=True)(code), conv(code))
    assert_close(views.dictionary(linear)(code[..., 0, 0]), conv(code)[..., 0, 0])


def test_an_encoder_in_training_mode_is_warned_of_and_comes_back_as_it_was() -> None:
    encoder = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU())
    fmi = FeatureMapInversion(net(), "relu", view=views.dictionary(encoder))
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    with pytest.warns(UserWarning, match="training mode"):
        fmi.attribute(torch.rand(1, 3, 9, 12), 0, n_steps=2)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert all(parameter.grad is None for parameter in encoder.parameters())


def test_top_k_keeps_the_largest_of_each_place() -> None:
    code = torch.randn(2, 6, 3, 4)
    found = views.top_k(2)(code)
    for row in range(2):
        for place in range(12):
            values = code[row].flatten(1)[:, place].tolist()
            least = sorted(values)[-2]
            expected = [max(value, 0.0) if value >= least else 0.0 for value in values]
            assert found[row].flatten(1)[:, place].tolist() == pytest.approx(expected)
    assert torch.equal(views.top_k(9)(code), code.relu())


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda: views.directions(torch.ones(5)),
            ArgumentError,
            r"shape \(5,\).*direction\[None\]",
        ),
        (lambda: views.directions([[1.0, torch.nan]]), ArgumentError, "NaN"),
        (lambda: views.directions(torch.empty(0, 5)), ArgumentError, r"shape \(0, 5\)"),
        (lambda: views.directions(torch.ones(2, 5) * 1j), ArgumentError, "real numbers"),
        (lambda: views.top_k(0), ArgumentError, "1 direction or more"),
        (lambda: views.dictionary(torch.eye(5)), ArgumentTypeError, "encoder .* function"),
        (lambda: views.dictionary(torch.relu, 3), ArgumentTypeError, "decoder .* function"),
    ],
)
def test_what_is_no_dictionary_is_refused_at_once(make: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize(
    ("view", "text"),
    [
        (views.directions(torch.ones(2, 4)), r"2 directions are of 4 channels, .*\(1, 5, 7, 10\)"),
        (views.dictionary(nn.Linear(4, 8)), r"failed on vectors of shape \(70, 5\).*maps=True"),
        (views.dictionary(nn.Conv2d(4, 8, 1)), r"failed on maps of shape \(1, 5, 7, 10\)"),
        (views.dictionary(lambda v: (v, v)), r"gave tuple .*lambda code"),
        (views.dictionary(lambda v: v.mean(0)), r"gave \(5,\) for \(70, 5\)"),
        (views.dictionary(nn.Conv2d(5, 8, 3)), r"gave \(1, 8, 5, 8\) for \(1, 5, 7, 10\)"),
    ],
)
def test_a_dictionary_that_does_not_fit_says_what_came(view: Any, text: str) -> None:
    with pytest.raises(LayerError, match=text):
        FeatureMapInversion(net(), "relu", view=view).attribute(torch.rand(1, 3, 9, 12), 0)


def test_dictionaries_can_be_printed_compared_hashed_and_pickled() -> None:
    view = views.directions(torch.randn(3, 5), views.top_k(2))
    view(torch.rand(1, 5, 2, 2))
    again = pickle.loads(pickle.dumps(view))
    assert again == view
    assert hash(again) == hash(view)
    assert repr(again) == repr(view)
    said = r"directions\(3 of 5 channels, [0-9a-f]{16}, activation=_TopK\(k=2\)\)"
    assert re.fullmatch(said, repr(view))
    assert repr(views.directions(torch.randn(3, 5), views.top_k(2))) != repr(view)
    named = repr(views.dictionary(nn.Linear(2, 3), torch.relu))
    assert re.fullmatch(r"dictionary\(Linear [0-9a-f]{16}, relu, maps=False\)", named)
    method = repr(views.dictionary(nn.Linear(2, 3).forward))
    assert re.fullmatch(r"dictionary\(Linear [0-9a-f]{16}\.forward, maps=False\)", method)
    assert views.directions(torch.randn(3, 5)) != view
    assert views.directions(torch.eye(2)) != "directions"
