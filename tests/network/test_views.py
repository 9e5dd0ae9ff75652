"""A view gives the picture of the filter that it shows, whatever form the layer's output has."""

import pickle
from collections import namedtuple
from copy import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import vit_b_16

from captum_featinv import CodeInversion, FeatureMapInversion, views
from captum_featinv.errors import ArgumentError, LayerError
from captum_featinv.network import read_code

Pair = namedtuple("Pair", "code logits")


class Said(nn.Module):
    """Says a code in some form, which a person picks apart again."""

    def __init__(self, form: Any) -> None:
        super().__init__()
        self.form = form

    def forward(self, code: Tensor) -> Any:
        return self.form(code)


class Net(nn.Module):
    def __init__(self, form: Any) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.conv, self.relu, self.said = nn.Conv2d(3, 5, 3), nn.ReLU(), Said(form)

    def forward(self, image: Tensor) -> Any:
        return self.said(self.relu(self.conv(image)))


def as_tokens(code: Tensor, prefix: int) -> Tensor:
    patches = code.flatten(2).mT
    return torch.cat([patches.new_full((len(code), prefix, patches.shape[2]), 9.0), patches], 1)


FORMS = {
    "dictionary": (lambda c: {"aux": None, "out": c}, views.field("out")),
    "tuple": (lambda c: (c.mean(), c), views.field(1)),
    "named tuple": (lambda c: Pair(c, c.mean()), views.field("code")),
    "channels last": (lambda c: c.movedim(1, -1), views.channels(-1)),
    "channels in the middle": (lambda c: c.movedim(1, 2), views.channels(-2)),
    "tokens": (lambda c: as_tokens(c, 0), views.tokens(grid=(7, 10))),
    "tokens behind others": (lambda c: as_tokens(c, 2), views.tokens(2, (7, 10))),
    "tokens in a tuple": (
        lambda c: (as_tokens(c, 1), None),
        views.compose(views.field(0), views.tokens(1, (7, 10))),
    ),
    "a function of one's own": (lambda c: [c / 2], lambda output: 2 * output[0]),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_view_gives_the_picture_of_the_plain_filter(name: str) -> None:
    form, view = FORMS[name]
    photos = torch.rand(2, 3, 9, 12) * 4 - 2
    plain = FeatureMapInversion(Net(form).eval(), "relu")
    seen = FeatureMapInversion(Net(form).eval(), "said", view=view)
    pictures = [fmi.attribute(photos, [4, 1], n_steps=12) for fmi in (plain, seen)]
    torch.testing.assert_close(pictures[1], pictures[0], atol=1e-5, rtol=1e-4)
    reports = [fmi.report(pictures[0], photos, [4, 1]) for fmi in (plain, seen)]
    for one, other in zip(*reports, strict=True):
        assert (one.filter, one.rank) == (other.filter, other.rank)
        assert one.share == pytest.approx(other.share, rel=1e-4)


def test_the_identity_gives_the_plain_picture_to_the_bit() -> None:
    photos = torch.rand(1, 3, 9, 12) * 4 - 2
    model = Net(lambda c: c).eval()
    pictures = [
        FeatureMapInversion(model, "relu", view=view).attribute(photos, 3, n_steps=6)
        for view in (None, lambda code: code, views.channels(1), views.compose())
    ]
    assert all(torch.equal(picture, pictures[0]) for picture in pictures)


def test_several_layers_have_a_view_each() -> None:
    photos = torch.rand(1, 3, 9, 12) * 4 - 2
    model = Net(lambda c: {"out": c}).eval()
    both = CodeInversion(model, ["relu", "said"], view={"said": views.field("out")})
    twice = CodeInversion(model, ["relu", "relu"])
    pictures = [inversion.attribute(photos, n_steps=5) for inversion in (both, twice)]
    torch.testing.assert_close(pictures[0], pictures[1])
    with pytest.raises(ArgumentError, match=r"views of 'conv', but the layers are relu, said"):
        CodeInversion(model, ["relu", "said"], view={"conv": views.field(0)}).attribute(photos)


def test_a_code_is_read_through_a_view() -> None:
    photos, model = torch.rand(20, 3, 9, 12), Net(lambda c: (None, c)).eval()
    with torch.no_grad():
        expected = model.relu(model.conv(photos))
    found = read_code(model, "said", photos, view=views.field(1), rows_at_once=3)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "view", [views.field("a"), views.tokens(1, (2, 3)), views.channels(-1), views.compose()]
)
def test_views_can_be_printed_compared_hashed_and_pickled(view: Any) -> None:
    assert pickle.loads(pickle.dumps(view)) == view
    assert repr(view) == repr(pickle.loads(pickle.dumps(view)))
    assert hash(view) == hash(pickle.loads(pickle.dumps(view)))
    assert view != views.field("b")


def test_tokens_are_laid_out_row_by_row() -> None:
    tokens = torch.arange(2 * 7 * 3).reshape(2, 7, 3)
    code = views.tokens(1, (2, 3))(tokens)
    assert code.shape == (2, 3, 2, 3)
    for row in range(2):
        for column in range(3):
            assert torch.equal(code[:, :, row, column], tokens[:, 1 + 3 * row + column])


@pytest.mark.parametrize(
    ("form", "view", "text"),
    [
        (lambda c: {"out": c}, views.field("aux"), "no field 'aux': it is dict with fields out"),
        (lambda c: (c,) * 2, views.field(5), "no field 5: it is tuple of 2"),
        (lambda c: c, views.tokens(), r"tokens have shape \(N, length, channel\).*\(1, 5, 7, 10\)"),
        (lambda c: as_tokens(c, 1), views.tokens(1), "70 tokens of patches are no square grid"),
        (lambda c: as_tokens(c, 0), views.tokens(0, (7, 9)), "0 tokens and a grid of 7 x 9"),
        (lambda c: c, lambda _: 3, "the view of layer 'said' gave int, expected a tensor"),
        (lambda c: c, lambda c: c["out"], "the view of layer 'said' failed on a tensor of shape"),
        (lambda c: c, lambda c: c.mean((1, 2, 3)), r"gave a tensor of shape \(1,\)"),
    ],
)
def test_a_view_that_does_not_fit_says_what_came(form: Any, view: Any, text: str) -> None:
    with pytest.raises(LayerError, match=text):
        FeatureMapInversion(Net(form).eval(), "said", view=view).attribute(
            torch.rand(1, 3, 9, 12), 0
        )


@pytest.mark.parametrize("dim", [0, 7, -4, -7])
def test_a_dimension_that_is_none(dim: int) -> None:
    with pytest.raises(ArgumentError, match=f"channels in dimension {dim} of a code of shape"):
        CodeInversion(Net(lambda c: c).eval(), "relu", channel_dim=dim).attribute(
            torch.rand(1, 3, 9, 12)
        )


@pytest.mark.parametrize("dim", [1, -3])
def test_dimensions_are_counted_from_both_ends(dim: int) -> None:
    photo, model = torch.rand(1, 3, 9, 12), Net(lambda c: c).eval()
    named = FeatureMapInversion(model, "relu", channel_dim=dim).attribute(photo, 2, n_steps=3)
    assert torch.equal(named, FeatureMapInversion(model, "relu").attribute(photo, 2, n_steps=3))


def test_a_view_and_a_channel_dimension_exclude_one_another() -> None:
    with pytest.raises(ArgumentError, match="say the same"):
        CodeInversion(Net(lambda c: c), "relu", view=views.field(0), channel_dim=1)


def test_objectives_of_a_renderer_cannot_see_through_a_view() -> None:
    fmi = FeatureMapInversion(Net(lambda c: (c,) * 2).eval(), "said", view=views.field(0))
    with pytest.raises(LayerError, match="or has a view"):
        fmi.objective(torch.rand(1, 3, 9, 12), 0)


def test_the_tokens_of_a_vit_show_their_channels() -> None:
    """Each picture excites its own channel more; the first lies left of its GELU's lowest point."""
    torch.manual_seed(0)
    model = vit_b_16(image_size=32, weights=None).eval()
    photo = torch.rand(1, 3, 32, 32) * 4 - 2
    layer = "encoder.layers.encoder_layer_1.mlp.1"
    fmi = FeatureMapInversion(model, layer)
    code = read_code(model, layer, photo)
    assert torch.equal(code, read_code(model, layer, photo, view=views.tokens(prefix=1)))
    assert code.shape == (1, 3072, 2, 2)
    channels = code.amax((0, 2, 3)).topk(2).indices.tolist()
    report = fmi.report(fmi.attribute(photo, channels, n_steps=15), photo, channels)
    assert all(record.lift > 5 and record.rank == 0 for record in report)


# --- views by themselves -----------------------------------------------------------------------


class Output(dict[Any, Any]):
    """As transformers' `ModelOutput`: keys are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error


@pytest.mark.parametrize(
    ("output", "key", "expected"),
    [
        (Pair("c", "l"), "logits", "l"),
        (Pair("c", "l"), 1, "l"),
        (Output(items="mine", code="c"), "code", "c"),
        ({"code": "c"}, "code", "c"),
        ({0: "zero"}, 0, "zero"),
        (["a", "b"], -1, "b"),
    ],
)
def test_a_field_is_an_attribute_a_key_or_a_number(output: Any, key: Any, expected: str) -> None:
    assert views.field(key)(output) == expected


@pytest.mark.parametrize(
    ("output", "key", "expected"),
    [
        (Pair("c", "l"), "logits", Pair("c", "new")),
        (Pair("c", "l"), 0, Pair("new", "l")),
        ({"code": "c", "aux": "a"}, "code", {"code": "new", "aux": "a"}),
        ({"code": "c", "aux": "a"}, 1, {"code": "c", "aux": "new"}),
        (["a", "b"], -1, ["a", "new"]),
        (("a", "b"), 0, ("new", "b")),
        (SimpleNamespace(code="c", aux="a"), "code", SimpleNamespace(code="new", aux="a")),
    ],
)
def test_a_field_takes_another_value_in_a_copy(output: Any, key: Any, expected: Any) -> None:
    before = copy(output)
    changed = views.way_back(views.field(key))(output, "new")
    assert (changed, type(changed)) == (expected, type(output))
    assert output == before


@pytest.mark.parametrize(
    ("output", "key", "what"),
    [
        (Pair(1, 2), "code_", "'code_': it is Pair with fields code, logits"),
        (Pair(1, 2), 2, "2: it is Pair with fields code, logits"),
        ({"a": 1, 3: 2}, "b", "'b': it is dict with fields a, 3"),
        ([1, 2, 3], 3, "3: it is list of 3"),
        ((1,), "a", "'a': it is tuple of 1"),
        (None, 0, "0: it is NoneType"),
        (torch.zeros(2, 3), 2, r"2: it is a tensor of shape \(2, 3\)"),
    ],
)
def test_a_field_that_is_not_there_says_what_is(output: Any, key: Any, what: str) -> None:
    with pytest.raises(LayerError, match=f"has no field {what}$"):
        views.field(key)(output)


@pytest.mark.parametrize(
    ("length", "prefix", "grid", "shape"),
    [
        (50, 1, None, (7, 7)),
        (49, 0, None, (7, 7)),
        (1, 0, None, (1, 1)),
        (5, 4, None, (1, 1)),
        (12, 0, (3, 4), (3, 4)),
        (14, 2, (4, 3), (4, 3)),
    ],
)
def test_tokens_are_a_grid(length: int, prefix: int, grid: Any, shape: tuple[int, int]) -> None:
    output = torch.rand(2, length, 5)
    code = views.tokens(prefix, grid)(output)
    assert code.shape == (2, 5, *shape)
    assert torch.equal(code.flatten(2), output[:, prefix:].mT)


@pytest.mark.parametrize(
    ("length", "prefix", "grid"),
    [(8, 0, None), (10, 0, None), (50, 0, None), (1, 1, None), (1, 2, None), (5, 9, None)],
)
def test_tokens_that_are_no_grid_are_refused(length: int, prefix: int, grid: Any) -> None:
    with pytest.raises(LayerError, match=f"^{length - prefix} tokens|^0 tokens"):
        views.tokens(prefix, grid)(torch.rand(1, length, 2))


@pytest.mark.parametrize("output", [torch.rand(2, 5), torch.rand(2, 5, 3, 3), (torch.rand(1),)])
def test_tokens_have_three_dimensions(output: Any) -> None:
    with pytest.raises(LayerError, match=r"^tokens have shape"):
        views.tokens()(output)


def test_a_prefix_is_a_number_of_tokens() -> None:
    with pytest.raises(ArgumentError, match=r"at least 0\. Given: -1"):
        views.tokens(prefix=-1)
    assert views.tokens().prefix == 0


@pytest.mark.parametrize(
    ("dim", "shape"),
    [
        (1, (2, 3, 4, 5)),
        (2, (2, 4, 3, 5)),
        (3, (2, 5, 3, 4)),
        (-1, (2, 5, 3, 4)),
        (-3, (2, 3, 4, 5)),
    ],
)
def test_channels_are_moved_to_the_second_place(dim: int, shape: tuple[int, ...]) -> None:
    output = torch.rand(2, 3, 4, 5)
    code = views.channels(dim)(output)
    assert code.shape == shape
    assert torch.equal(code.movedim(1, dim), output)


@pytest.mark.parametrize("dim", [0, 4, -4, -5, 5, 8])
def test_the_batch_and_what_is_not_there_hold_no_channels(dim: int) -> None:
    with pytest.raises(ArgumentError, match=rf"dimension {dim} of .* expected 1 to 3, or -1 to -3"):
        views.channels(dim)(torch.rand(2, 3, 4, 5))


def test_channels_are_those_of_a_tensor() -> None:
    with pytest.raises(LayerError, match="one tensor with channels, but found list of 2"):
        views.channels(1)([1, 2])


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 8, 4, 4), None),
        ((1, 4, 4, 8), views.channels(-1)),
        ((1, 8), None),
        ((1, 32, 2, 1), None),
        ((1, 17, 8), views.tokens(1, (4, 4))),
    ],
)
def test_where_nobody_named_a_view_it_is_found(shape: Any, expected: Any) -> None:
    output, image = torch.rand(shape), torch.rand(1, 3, 32, 32)
    assert views.found(output, image, "x") == expected
    code = output if expected is None else expected(output)
    assert torch.equal(views.seen(output, image, "x"), code)


def test_a_guarded_view_passes_what_fits_and_the_librarys_own_errors() -> None:
    code, own = torch.rand(2, 3), LayerError("mine")

    def fail(_: Any) -> Tensor:
        raise own

    assert views.guarded(lambda output: output, "x")(code) is code
    with pytest.raises(LayerError, match=r"^mine$") as caught:
        views.guarded(fail, "x")(code)
    assert caught.value is own
    with pytest.raises(LayerError, match=r"'x' failed on a tensor of shape \(2, 3\)") as caught:
        views.guarded(lambda output: output.nothing, "x")(code)
    assert isinstance(caught.value.__cause__, AttributeError)
    for shape in ((), (4,)):
        with pytest.raises(LayerError, match="expected a tensor"):
            views.guarded(lambda _, shape=shape: torch.rand(shape), "x")(code)
