"""The claims as figures, one each, and the pictures they are about."""

from collections import Counter
from collections.abc import Sequence
from textwrap import wrap

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from captum_featinv.images.display import to_image, to_picture
from captum_featinv.images.sheet import contact_sheet
from captum_featinv.metrics.interval import Estimate
from captum_featinv.studies.claims.findings import Claims
from captum_featinv.studies.claims.intricate import Trend

_INK, _RED, _BLUE, _PALE = "#222222", "#c0392b", "#1f6fb2", "#9a9a9a"
_COLUMNS = 3  # of the measures of claim 2
_LETTERS_AN_INCH = 11  # in a title


def figures(claims: Claims) -> dict[str, Figure]:
    """One figure a claim that was asked, by file name; pictures from all photos stand behind each.

    Args:
        claims: what `measure_claims` found.

    Returns:
        matplotlib's figures by file name, `claim_1.png` to `claim_4.png`.
    """
    drawn = {
        "claim_1.png": _specific(claims),
        "claim_2.png": _intricate(claims),
        "claim_3.png": _style(claims),
    }
    return drawn | ({"claim_4.png": _telling(claims)} if claims.telling else {})


def textures(claims: Claims, photo: int = 0) -> Image.Image:
    """The pictures from one photo: layers in rows, filters in columns."""
    rows = [
        [to_picture(image) for image in to_image(layer.images[:, photo], mean=None)]
        for layer in claims.pictures
    ]
    captions = [[str(number) for number in layer.filters] for layer in claims.pictures]
    labels = [layer.layer for layer in claims.pictures]
    return contact_sheet(rows, labels, [], captions, title=claims.model)


def _specific(claims: Claims) -> Figure:
    """Above, which filter is taken for which; below, the figures over layers."""
    layers, found, other = _names(claims), claims.specific, claims.randomised
    width = max(10.0, 2.3 * len(layers))
    figure = _figure(claims, "Claim 1: every filter extracts a specific texture", width, 6.6)
    upper, lower = figure.subfigures(2, 1, height_ratios=[1, 1.2], squeeze=False)[:, 0]
    panels = upper.subplots(1, len(layers), squeeze=False)[0]
    for axes, layer in zip(panels, found, strict=True):
        axes.imshow(layer.confusion, vmin=0, vmax=1, cmap="Greys")
        axes.set_title(f"{layer.layer}: {layer.verdict}", fontsize=10)
        axes.set_xlabel("is taken for filter", fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])
    panels[0].set_ylabel("picture of filter", fontsize=9)
    upper.colorbar(panels[0].images[0], ax=panels, shrink=0.7, label="share of photo pairs")
    top1, rank, index = lower.subplots(1, 3)
    _points(top1, layers, [s.top1 for s in found], _INK, "from another photo")
    _points(top1, layers, [r.top1 for r in other], _RED, "with weights drawn anew", 0.15)
    _chance(top1, [s.chance_top1 for s in found])
    _finish(top1, "own picture is nearest (top-1)", (-0.03, 1.03))
    _points(rank, layers, [s.reciprocal_rank for s in found], _INK, "from another photo")
    _chance(rank, [s.chance_reciprocal_rank for s in found])
    _finish(rank, "mean reciprocal rank", (-0.03, 1.03))
    _points(index, layers, [s.independence for s in found], _INK, "filter against photo")
    passed = Counter(r.verdict for r in other)
    label = "weights against photo (" + ", ".join(f"{v} {n}" for v, n in passed.items()) + ")"
    _points(index, layers, [r.change for r in other], _RED, label, 0.15)
    _level(index, 0, "alike")
    _finish(index, "what makes the picture (index)", (-1.03, 1.03))
    return figure


def _intricate(claims: Claims) -> Figure:
    """Every filter a point, every layer a mean with its interval."""
    layers, rows = _names(claims), len(claims.trends) // _COLUMNS
    title = "Claim 2: higher layers, more colours and structure (at one contrast)"
    figure = _figure(claims, title, 10.5, 3.1 * rows + 0.7)
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).flatten()
    for axes, trend in zip(panels, claims.trends, strict=True):
        _scatter(axes, trend)
        _points(axes, layers, trend.means, _INK, "mean of filters")
        rises = f"rises: {trend.verdict}" if trend.claimed else "not claimed"
        axes.set_title(f"{trend.measure}\nrho {trend.rho}, {rises}", fontsize=10)
        axes.set_ylim(bottom=0)
        axes.tick_params("x", rotation=25)
    return figure


def _style(claims: Claims) -> Figure:
    """Left, what energies explain; then how far they bring a photo to a style."""
    found = claims.style
    layers = [f"{style.layer}\n{style.verdict}" for style in found]
    figure = _figure(claims, "Claim 3: energies are why a Gram matrix represents style", 11, 4.6)
    share, gram, judged = figure.subplots(1, 3)
    _points(share, layers, [s.explained for s in found], _INK, "due to energies")
    _level(share, 0.5, "half")
    _finish(share, "share of the squared Gram distance", None)
    for axes, falls in ((gram, [s.gram for s in found]), (judged, [s.judged for s in found])):
        _points(axes, layers, [f.style for f in falls], _BLUE, "the style's energies", -0.15)
        _points(axes, layers, [f.own for f in falls], _PALE, "its own energies")
        _points(axes, layers, [f.random for f in falls], _RED, "random energies", 0.15)
        _level(axes, 0, "as far as the photo")
    _finish(gram, "fall of the Gram distance to the style", None)
    _finish(judged, "fall of the judge's distance to it", None)
    return figure


def _telling(claims: Claims) -> Figure:
    """How often pictures point at the strongest patch, beside what the judge can tell."""
    found = claims.telling
    layers = [f"{t.layer}\n{t.verdict}" for t in found]
    figure = _figure(claims, "Claim 4: the picture tells what excites the filter", 10, 4.6)
    told, plain = figure.subplots(1, 2)
    _points(told, layers, [t.accuracy for t in found], _INK, "the filter's pictures")
    _points(told, layers, [t.natural for t in found], _BLUE, "natural patches", -0.15)
    _points(told, layers, [t.other for t in found], _RED, "another filter's pictures", 0.15)
    _points(plain, layers, [t.plain for t in found], _INK, "the filter's pictures")
    _points(plain, layers, [t.plain_other for t in found], _RED, "another filter's pictures", 0.15)
    for axes, title in ((told, "told, against other filters' pictures"), (plain, "without these")):
        _level(axes, 0.5, "guessing")
        _finish(axes, title, (-0.03, 1.03))
    return figure


def _figure(claims: Claims, title: str, width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained", dpi=110)
    settings = ", ".join(f"{name} {value}" for name, value in claims.settings.items())
    below = "\n".join(wrap(f"{claims.model}; {settings}", int(_LETTERS_AN_INCH * width)))
    figure.suptitle(f"{title}\n{below}", fontsize=11)
    return figure


def _names(claims: Claims) -> list[str]:
    return [layer.layer for layer in claims.specific]


def _points(
    axes: Axes,
    layers: Sequence[str],
    values: Sequence[Estimate],
    colour: str,
    label: str,
    shift: float = 0,
) -> None:
    """One point a layer, with its interval."""
    places = [number + shift for number in range(len(layers))]
    middle = [estimate.value for estimate in values]
    # An estimate may lie outside of its own percentiles, an error bar must not be negative.
    below = [max(0.0, estimate.value - estimate.low) for estimate in values]
    above = [max(0.0, estimate.high - estimate.value) for estimate in values]
    axes.errorbar(places, middle, [below, above], fmt="o-", color=colour, label=label, capsize=3)
    axes.set_xticks(range(len(layers)), layers, fontsize=8)


def _scatter(axes: Axes, trend: Trend) -> None:
    dice = torch.Generator("cpu").manual_seed(0)
    for number, values in enumerate(trend.values):
        places = number + 0.3 * (torch.rand(len(values), generator=dice, device="cpu") - 0.5)
        axes.scatter(places.tolist(), values, s=12, color=_BLUE, alpha=0.5, linewidths=0)


def _level(axes: Axes, height: float, label: str) -> None:
    axes.axhline(height, color=_PALE, linestyle=":", label=label)


def _chance(axes: Axes, levels: Sequence[float]) -> None:
    axes.plot(levels, ":", color=_PALE, label="chance")


def _finish(axes: Axes, title: str, limits: tuple[float, float] | None) -> None:
    axes.set_title(title, fontsize=10)
    axes.tick_params("x", rotation=25)
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.22), frameon=False)
    if limits is not None:
        axes.set_ylim(*limits)
