import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from captum_featinv.errors import ArgumentError
from captum_featinv.objectives import channel_energy_match, gram_match
from captum_featinv.objectives.moments import EnergyMatch, GramMatch
from captum_featinv.style.recolour import recoloured
from captum_featinv.style.target import Match, StyleTarget, smoothed

MATCHES: list[Match] = ["energies", "gram", "both"]
CHANNELS = {"low": 3, "deep": 5}
WEIGHTS = {"low": 1.0, "deep": 3.0}


def codes(rows: int, *positions: int) -> dict[str, Tensor]:
    return {
        layer: torch.rand(rows, channels, *positions, dtype=torch.float64)
        for layer, channels in CHANNELS.items()
    }


def task(**changes: object) -> StyleTarget:
    fields = {"match": "energies", "content_weight": 0.7, "smooth": False, **changes}
    return StyleTarget(style_layers=WEIGHTS, content_layer="low", **fields)


def slow_means(code: Tensor) -> list[float]:
    return [math.fsum(maps) / len(maps) for maps in code.flatten(1).tolist()]


def slow_gram(code: Tensor) -> list[float]:
    maps = code.flatten(1).tolist()
    return [
        math.fsum(a * b for a, b in zip(m, n, strict=True)) / len(m) for m in maps for n in maps
    ]


def slow_loss(code: Tensor, style: Tensor, match: Match) -> float:
    """Squared distance of what is per position, over the square of the style's."""
    found = []
    for name, moments in (("energies", slow_means), ("gram", slow_gram)):
        if match in (name, "both"):
            own, other = moments(code), moments(style)
            found.append(math.dist(own, other) ** 2 / math.hypot(*other) ** 2)
    return math.fsum(found) / len(found)


@pytest.mark.parametrize("match", MATCHES)
@pytest.mark.parametrize("styles", [1, 3])
@pytest.mark.parametrize("smooth", [False, True])
def test_the_loss_is_the_slow_one_whatever_the_size_of_the_style(
    match: Match, styles: int, smooth: bool
) -> None:
    style, content, image = codes(styles, 6, 7), codes(3, 4, 5), codes(3, 4, 5)
    found = task(match=match, smooth=smooth).losses(style, content)(image.__getitem__)

    def seen(code: Tensor) -> Tensor:
        exponentials = code.exp()
        return exponentials / exponentials.mean() if smooth else code

    for row in range(3):
        expected = 0.0
        for layer, weight in WEIGHTS.items():
            other = seen(style[layer][row % styles])
            expected += weight / 4 * slow_loss(seen(image[layer][row]), other, match)
        own, kept = (seen(one["low"][row]).flatten().tolist() for one in (image, content))
        other = seen(style["low"][row % styles]).flatten().tolist()
        sizes = [math.hypot(*one) ** 2 / len(one) for one in (kept, other)]
        size = max(sizes) if match == "energies" else sizes[0]
        expected += 0.7 * math.dist(own, kept) ** 2 / len(own) / size
        assert found[row].item() == pytest.approx(expected)


def test_a_style_of_strong_contrast_is_not_held_back_by_a_faint_content() -> None:
    """A style ten times as strong has a hundredth of the pull to the content; a weak one all."""
    style, content, image = codes(1, 6, 7), codes(1, 4, 5), codes(1, 4, 5)

    def pull(strength: float, other: dict[str, Tensor] = style) -> float:
        styles = {layer: strength * code for layer, code in other.items()}
        weights = (task(content_weight=weight) for weight in (1.0, 0.0))
        with_it, without = (
            one.losses(styles, content)(image.__getitem__).item() for one in weights
        )
        return with_it - without

    assert pull(100) == pytest.approx(pull(10) / 100)
    assert pull(0.01) == pytest.approx(pull(0.001)) == pytest.approx(pull(0))
    assert pull(10) < pull(0.01) / 20


@pytest.mark.parametrize("match", MATCHES)
def test_the_losses_of_a_picture_in_its_own_style_are_zero_and_of_silence_one(match: Match) -> None:
    content = codes(2, 4, 5)
    losses = task(match=match).losses(content, content)
    zero = torch.zeros(2, dtype=torch.float64)
    assert_close(losses(content.__getitem__), zero)
    assert_close(losses(lambda layer: 0 * content[layer]), zero + 1 + 0.7)


def test_a_style_without_any_activation_gives_no_nan() -> None:
    content = codes(2, 4, 5)
    silent = {layer: 0 * code for layer, code in content.items()}
    assert torch.isfinite(task(match="both").losses(silent, content)(content.__getitem__)).all()
    assert all(torch.isfinite(d).all() for d in task().distances(content, silent, content))


def test_where_nothing_is_asked_for_at_the_content_layer_the_plain_error_counts() -> None:
    """Half the square, per position as everywhere."""
    content, image = codes(2, 4, 5), codes(2, 4, 5)
    silent = {layer: 0 * code for layer, code in content.items()}
    weights = (task(content_weight=weight) for weight in (0.7, 0.0))
    with_it, without = (one.losses(silent, silent)(image.__getitem__) for one in weights)
    expected = 0.7 * 0.5 * image["low"].flatten(1).square().sum(1)
    assert_close(with_it - without, expected)


def test_distances_are_roots_of_the_losses_of_one_layer() -> None:
    style, content, image = codes(1, 6, 7), codes(3, 4, 5), codes(3, 4, 5)
    found = task().distances(image, style, content)
    for row in range(3):
        for match, distance in (("energies", found.energies), ("gram", found.gram)):
            expected = 0.0
            for layer, weight in WEIGHTS.items():
                loss = slow_loss(image[layer][row], style[layer][0], match)
                expected += weight / 4 * math.sqrt(loss)
            assert distance[row].item() == pytest.approx(expected)
        difference, kept = (image["low"] - content["low"])[row].norm(), content["low"][row].norm()
        assert found.content[row].item() == pytest.approx((difference / kept).item())


@pytest.mark.parametrize(
    "changes",
    [{"content_weight": -1.0}, {"content_weight": math.nan}, {"match": "style"}],
)
def test_what_cannot_be_asked_is_an_error(changes: dict[str, object]) -> None:
    with pytest.raises(
        ArgumentError, match=r"weights must be finite|is none of 'energies', 'gram'"
    ):
        task(**changes)


@pytest.mark.parametrize("weights", [{}, {"low": 0.0}, {"low": -1.0, "deep": 2.0}])
def test_style_layers_without_weight_are_an_error(weights: dict[str, float]) -> None:
    with pytest.raises(ArgumentError, match="one of the style layers above 0"):
        StyleTarget("energies", weights, "low", 1.0, smooth=False)


def test_the_objectives_of_the_authors_are_the_same_matches_in_their_scale() -> None:
    """`1/2 ||F 1 - E||^2 / (C M)` and `1/2 ||F F^T - G||^2 / (C^2 M)`, summed over rows."""
    code, energies, gram = torch.rand(2, 3, 4, 5), 9 * torch.rand(2, 3), 9 * torch.rand(2, 3, 3)
    flat = code.flatten(2)
    by_energies = 0.5 * (flat.sum(2) - energies).square().sum(1)
    by_gram = 0.5 * (flat @ flat.mT - gram).square().sum((1, 2))
    one = torch.ones(1)
    assert_close(EnergyMatch("conv", energies, one)(lambda _: code), by_energies)
    assert_close(GramMatch("conv", gram, one)(lambda _: code), by_gram)
    authors = channel_energy_match("conv", energies), gram_match("conv", gram)
    assert_close(authors[0](lambda _: code), by_energies.sum() / (3 * 20))
    assert_close(authors[1](lambda _: code), by_gram.sum() / (9 * 20))


def test_smoothing_keeps_the_order_and_makes_the_mean_one() -> None:
    code = 30 * torch.randn(2, 4, 5, 6, dtype=torch.float64)
    smooth = smoothed(code)
    assert_close(smooth.flatten(1).mean(1), torch.ones(2, dtype=torch.float64))
    order = code.flatten(1).argsort(dim=1)
    assert (smooth.flatten(1).gather(1, order).diff(dim=1) >= 0).all()


# --- colours -----------------------------------------------------------------------------------


def covariances(images: Tensor) -> Tensor:
    return torch.stack([torch.cov(image.flatten(1), correction=0) for image in images])


@pytest.mark.parametrize("rows", [1, 2])
def test_a_recoloured_image_has_the_styles_mean_and_covariance(rows: int) -> None:
    mixing = torch.rand(3, 3)
    image = torch.einsum("ij,bjhw->bihw", mixing, torch.randn(2, 3, 6, 7))
    style = torch.randn(rows, 3, 9, 4) * torch.tensor([1, 0.2, 3]).reshape(3, 1, 1) + 5
    found = recoloured(image, style)
    other = style.expand(2, -1, -1, -1)
    assert_close(found.mean((2, 3)), other.mean((2, 3)), rtol=1e-4, atol=1e-4)
    assert_close(covariances(found), covariances(other), rtol=1e-3, atol=1e-3)


def test_recolouring_moves_colours_no_further_than_it_must() -> None:
    """Along the axes of both covariances it is a shift and a stretch of each channel alone."""
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3).T[None]
    image = signs * torch.tensor([1, 2, 3])[:, None]
    style = signs * torch.tensor([2, 2, 1])[:, None] + 4
    stretch = torch.tensor([2, 1, 1 / 3])[:, None]
    assert_close(recoloured(image, style), image * stretch + 4)
    assert_close(recoloured(image, image), image)


def test_a_grey_picture_takes_colours_without_nan_and_gives_its_own() -> None:
    grey = torch.rand(1, 1, 6, 7).expand(1, 3, 6, 7)
    blank = torch.full((1, 3, 5, 5), 0.3)
    style = torch.rand(1, 3, 8, 8)
    for image, other in ((grey, style), (blank, style), (style, grey), (style, blank)):
        found = recoloured(image, other)
        assert torch.isfinite(found).all()
        assert_close(found.mean((2, 3)), other.mean((2, 3)), rtol=1e-4, atol=1e-4)
    assert_close(recoloured(style, blank), blank[..., :1, :1].expand(1, 3, 8, 8), atol=1e-5, rtol=0)


def test_colours_are_computed_in_double_precision_and_rounded_once() -> None:
    image, style = torch.rand(2, 3, 6, 7), torch.rand(1, 3, 8, 8)
    expected = recoloured(image.double(), style.double()).float()
    assert torch.equal(recoloured(image, style), expected)
