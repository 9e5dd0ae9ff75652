"""The claims as text: tables for a terminal, and a verdict a claim."""

from collections import Counter
from collections.abc import Sequence
from textwrap import fill
from typing import Protocol, get_args

from captum_featinv.metrics.interval import Estimate
from captum_featinv.metrics.table import as_table
from captum_featinv.metrics.verdict import FEWEST, Verdict
from captum_featinv.studies.claims.findings import Claims
from captum_featinv.studies.claims.telling import CANNOT_TELL

_Cell = str | Estimate

_WIDTH = 100

_RANDOM = (
    "NOTE: the weights of this network are random, nothing was learned: these figures are a control, "
    "to be compared with those of trained weights."
)
_INTERVALS = (
    "In brackets: 95% bootstrap intervals, over photos for claim 3, over filters elsewhere. Yes and no "
    "where whole intervals say so; undecided where they are too wide for that, or come from fewer than "
    f"{FEWEST} photos or filters."
)
_SPECIFIC = (
    "Is a picture nearest to its filter's picture from another photo, of all filters' (top-1, "
    "reciprocal rank)? And is it the filter that makes it (independence > 0), or the photo and the "
    "noise that it starts from (< 0)?"
)
_INTRICATE = (
    "Means of layers at one contrast, and Spearman's rho of filters' values with the order of layers; "
    "the paper's claim is that all but two rise."
)
_STYLE = (
    "Yes where energies, how much of each texture is there, are most of the squared Gram distance "
    "between photos, and where a photo comes nearer to another one (fall > 0) with the other's "
    "energies than with random ones."
)
_TELLING = (
    "Of two natural patches, one that excites the filter most and one that excites it least, how often "
    "is the first the one that is more like the filter's pictures from other photos than like other "
    "filters' (told, 0.5 is guessing)? The judge has to tell by natural patches of other photos as "
    "well (0.8 or more) and to guess by another filter's pictures (0.5 within the interval)."
)
_SANITY = (
    "The picture should not be told from other filters' pictures (top-1 at chance, its interval "
    "below a half), and should change more than by another photo (change > 0)."
)


class _Finding(Protocol):
    @property
    def verdict(self) -> str: ...


def as_text(claims: Claims) -> str:
    """All figures with their intervals, and what they say.

    Args:
        claims: what `measure_claims` found.

    Returns:
        Lines of at most about a hundred letters, with a table a claim and a verdict each at the
        end.
    """
    parts = [
        _heading(claims),
        _specific(claims),
        _intricate(claims),
        _style(claims),
        _telling(claims),
        _sanity(claims),
        "\n".join(_verdicts(claims)),
    ]
    return "\n\n".join(parts)


def _heading(claims: Claims) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in claims.settings.items())
    lines = [claims.model, settings, f"Judge: {claims.judge}", fill(_INTERVALS, _WIDTH)]
    return "\n".join([*lines, *_note(claims)])


def _specific(claims: Claims) -> str:
    head = ["layer", "top-1", "chance", "reciprocal rank", "chance", "independence", "so?"]
    rows: list[list[_Cell]] = [
        [
            s.layer,
            s.top1,
            f"{s.chance_top1:.2f}",
            s.reciprocal_rank,
            f"{s.chance_reciprocal_rank:.2f}",
            s.independence,
            s.verdict,
        ]
        for s in claims.specific
    ]
    return _titled("Claim 1: every filter extracts a specific texture", _SPECIFIC, head, rows)


def _intricate(claims: Claims) -> str:
    head = ["measure", *(layer.layer for layer in claims.specific), "rho", "rises?"]
    rows: list[list[_Cell]] = [
        [
            trend.measure,
            *(f"{mean.value:.2f}" for mean in trend.means),
            trend.rho,
            trend.verdict if trend.claimed else "(not claimed)",
        ]
        for trend in claims.trends
    ]
    title = "Claim 2: textures of higher layers have more colours and structure"
    return _titled(title, _INTRICATE, head, rows)


def _style(claims: Claims) -> str:
    head = ["layer", "due to energies", "so?"]
    rows: list[list[_Cell]] = [[s.layer, s.explained, s.verdict] for s in claims.style]
    title = "Claim 3: style combines textures, which is why a Gram matrix represents it"
    tables = [_titled(title, _STYLE, head, rows)]
    for what, falls in (
        ("fall of Gram distance", [s.gram for s in claims.style]),
        ("of the judge's", [s.judged for s in claims.style]),
    ):
        head = [what, "the style's", "random", "its own", "style's - random"]
        rows = [
            [layer.layer, fall.style, fall.random, fall.own, fall.advantage]
            for layer, fall in zip(claims.style, falls, strict=True)
        ]
        tables.append(as_table(head, rows, words=1))
    return "\n\n".join(tables)


def _telling(claims: Claims) -> str:
    head = ["layer", "told", "margin", "another filter's", "natural patches", "pixels", "so?"]
    rows: list[list[_Cell]] = [
        [
            t.layer,
            t.accuracy,
            f"{t.margin.value:.3f}",
            t.other,
            t.natural,
            str(t.side),
            t.verdict,
        ]
        for t in claims.telling
    ]
    title = "Claim 4: the picture tells what excites the filter"
    who = fill(claims.teller if not claims.telling else f"Judge: {claims.teller}", _WIDTH)
    return f"{_titled(title, _TELLING, head, rows)}\n{who}" if rows else f"{title}\n{who}"


def _sanity(claims: Claims) -> str:
    head = ["layer", "top-1", "chance", "change", "passed?"]
    rows: list[list[_Cell]] = [
        [r.layer, r.top1, f"{r.chance_top1:.2f}", r.change, r.verdict] for r in claims.randomised
    ]
    title = "Sanity check: with weights drawn anew the picture of a filter changes"
    return _titled(title, _SANITY, head, rows)


def _verdicts(claims: Claims) -> list[str]:
    """One line a claim: at how many layers, or in how many measures, it is so and not so."""
    claimed = [trend for trend in claims.trends if trend.claimed]
    return [
        f"Claim 1, specific textures: {_counted(claims.specific)} layers",
        f"Claim 2, more intricate with depth: {_counted(claimed)} measures",
        f"Claim 3, style as energies: {_counted(claims.style)} layers",
        f"Claim 4, pictures that tell: {_told(claims)}",
        f"Sanity check, other weights: {_counted(claims.randomised)} layers",
        *_note(claims),
    ]


def _told(claims: Claims) -> str:
    if not claims.telling:
        return claims.teller
    lost = sum(t.verdict == CANNOT_TELL for t in claims.telling)
    return f"{_counted(claims.telling)} layers" + (f", {CANNOT_TELL} {lost}" if lost else "")


def _note(claims: Claims) -> list[str]:
    return [fill(_RANDOM, _WIDTH)] if claims.random_weights else []


def _counted(findings: Sequence[_Finding]) -> str:
    found = Counter(finding.verdict for finding in findings)
    counts = ", ".join(f"{verdict} {found[verdict]}" for verdict in get_args(Verdict))
    return f"{counts} of {len(findings)}"


def _titled(title: str, question: str, head: Sequence[str], rows: Sequence[Sequence[_Cell]]) -> str:
    return "\n".join([title, fill(question, _WIDTH), as_table(head, rows, words=1)])
