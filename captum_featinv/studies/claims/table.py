"""The claims as text: tables for a terminal, and a verdict a claim."""

from collections.abc import Sequence
from typing import Protocol

from captum_featinv.studies.claims.measure import Claims


def as_text(claims: Claims) -> str:
    """All figures with their intervals, and what they say."""
    parts = [_heading(claims), _specific(claims), _trends(claims), _style(claims), _sanity(claims)]
    return "\n\n".join([*parts, "\n".join(verdicts(claims))])


def verdicts(claims: Claims) -> list[str]:
    """One line a claim: at how many layers, or in how many measures, it holds."""
    claimed = [trend for trend in claims.trends if trend.claimed]
    lines = [
        f"Claim 1, specific textures: holds at {_held(claims.specific)} layers",
        f"Claim 2, more intricate with depth: holds for {_held(claimed)} measures",
        f"Claim 3, style as energies: holds at {_held(claims.style)} layers",
        f"Sanity check, other weights: passed at {_held(claims.randomised)} layers",
    ]
    if claims.random_weights:
        lines.append(_RANDOM)
    return lines


_RANDOM = (
    "NOTE: the weights of this network are random, nothing was learned: these figures are a control, "
    "to be compared with those of trained weights."
)


def _heading(claims: Claims) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in claims.settings.items())
    lines = [claims.model, settings, f"Judge: {claims.judge}"]
    if claims.random_weights:
        lines.append(_RANDOM)
    return "\n".join([*lines, "In brackets: 95% bootstrap intervals."])


def _specific(claims: Claims) -> str:
    first = claims.specific[0]
    head = [
        "layer",
        f"top-1 (chance {first.chance_top1:.2f})",
        f"reciprocal rank (chance {first.chance_reciprocal_rank:.2f})",
        "content independence",
        "holds",
    ]
    rows = [
        [s.layer, str(s.top1), str(s.reciprocal_rank), str(s.independence), _yes(s.holds)]
        for s in claims.specific
    ]
    return _titled("Claim 1: every filter extracts a specific texture", [head, *rows])


def _trends(claims: Claims) -> str:
    layers = [s.layer for s in claims.specific]
    rows = [
        [
            trend.measure,
            *(f"{mean.value:.2f}" for mean in trend.means),
            str(trend.rho),
            _yes(trend.holds) if trend.claimed else "(not claimed)",
        ]
        for trend in claims.trends
    ]
    head = ["mean at one contrast", *layers, "rho with depth", "rises"]
    return _titled("Claim 2: higher layers, more colours and structure", [head, *rows])


def _style(claims: Claims) -> str:
    head = ["layer", "Gram distance due to energies", "holds"]
    rows = [[s.layer, str(s.explained), _yes(s.holds)] for s in claims.style]
    tables = [_titled("Claim 3: energies are why a Gram matrix represents style", [head, *rows])]
    for title, falls in (
        ("Falls of the layer's Gram distance to a style", [s.gram for s in claims.style]),
        ("Falls of the judge's distance to it", [s.judged for s in claims.style]),
    ):
        head = ["with energies", "the style's", "random", "its own", "style's - random"]
        rows = [
            [layer.layer, str(f.style), str(f.random), str(f.own), str(f.advantage)]
            for layer, f in zip(claims.style, falls, strict=True)
        ]
        tables.append(_titled(title, [head, *rows]))
    return "\n\n".join(tables)


def _sanity(claims: Claims) -> str:
    first = claims.randomised[0]
    head = ["layer", f"top-1 (chance {first.chance_top1:.2f})", "change", "passed"]
    rows = [[r.layer, str(r.top1), str(r.change), _yes(r.holds)] for r in claims.randomised]
    title = "Sanity check: with weights drawn anew the picture of a filter changes"
    return _titled(title, [head, *rows])


class _Finding(Protocol):
    @property
    def holds(self) -> bool: ...


def _held(findings: Sequence[_Finding]) -> str:
    held = sum(finding.holds for finding in findings)
    return f"{held} of {len(findings)}"


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def _titled(title: str, rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        )
        for row in rows
    ]
    return "\n".join([title, *lines])
