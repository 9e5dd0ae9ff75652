"""Judge methods by what their pictures tell about a filter: `python -m tests.benchmarks.judge --help`.

Two-choice trials (`captum_featinv.studies.claims.telling`) with natural patches, none of a photo that
the picture at hand was made from. Every rival gets the seconds of a core that ours took a picture at
the layer. All pictures of a layer and method are written when they are done, so a run that was stopped
goes on.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from captum_featinv.codes import live_filters
from captum_featinv.images.display import as_saved
from captum_featinv.metrics.interval import Estimate, mean_estimate
from captum_featinv.metrics.table import as_table
from captum_featinv.network.reading import read_code
from captum_featinv.studies.claims.similarity import Similarity, another_network
from captum_featinv.studies.claims.telling import CALIBRATED, CANNOT_TELL, Queries, Telling
from tests.benchmarks.judged import PHOTOS, Place, Shares, network, photographs, queries_from
from tests.benchmarks.methods import METHODS, sheet
from tests.benchmarks.pictures import Made
from tests.benchmarks.stlpips import stlpips

LAYERS = {
    "vgg16": {"relu2_2": "features.8", "relu3_2": "features.13", "relu4_2": "features.20"},
    "lite0": {name: name for name in ("_blocks.4", "_blocks.8")},
}
OURS = "ours"
# These have steps as many as ours has, or are not of a filter: they are only shown at their own length.
SMOOTH_TOO = "ours, smooth"
AT_OWN_LENGTH = (OURS, "ours before", SMOOTH_TOO, "code inversion")
# The authors' recipe as it is, beside what it does in our seconds.
ALSO_AT_OWN_LENGTH = ("authors", "authors, not denoised")
OWN = ", at its own length"
_IN_SHEET = 4


class Row(NamedTuple):
    """What a method has at a layer; `telling` is None, and `told` empty, where nobody was asked."""

    name: str
    made: Made
    shares: Shares
    transfer: float
    telling: Telling | None
    told: Tensor


# --- what is made ------------------------------------------------------------------------------


def plan(
    methods: Sequence[str], seconds: float, *, own_length: bool
) -> Iterator[tuple[str, str, float | None]]:
    """Rows, methods and seconds: rivals in our seconds, then who is also shown at its own length."""
    for name in methods:
        yield name, name, None if name in AT_OWN_LENGTH else seconds
    for name in methods:
        if own_length and name in ALSO_AT_OWN_LENGTH:
            yield name + OWN, name, None


def judged(
    place: Place,
    out: Path,
    methods: Sequence[str],
    queries: Queries | None,
    *,
    own_length: bool = False,
) -> list[Row]:
    """Everybody's row, ours first."""
    seconds = place.made(out, OURS, None).seconds
    methods = [name for name in methods if not (name == SMOOTH_TOO and place.is_smooth)]
    rows = []
    for label, name, budget in plan(methods, seconds, own_length=own_length):
        rows.append(row_of(place, label, place.made(out, name, budget), queries))
        print(*_cells(rows[-1]), sep="  ", flush=True)
    return rows


def row_of(place: Place, name: str, made: Made, queries: Queries | None) -> Row:
    telling, told = None, torch.empty(0)
    if queries:
        telling = queries.ask(made.images, from_these_photos=True)
        told = queries.told(made.images, from_these_photos=True)
    return Row(name, made, place.shares(made.images), place.transfer(made.images), telling, told)


# --- what is said ------------------------------------------------------------------------------

HEAD = (
    "method", "told", "plain", "another's", "share", "robust", "blur 2", "rank", "transfer",
    "core s", "steps", "so?",
)  # fmt: skip


def _cells(row: Row) -> list[str]:
    told = row.telling
    said = [str(told.accuracy), str(told.plain), str(told.other)] if told else ["-"] * 3
    shares = [f"{one.mean().exp():.4f}" for one in row.shares[:3]]
    steps = "own" if row.made.steps is None else str(row.made.steps)
    rest = [f"{row.shares.rank:.1f}", f"{row.transfer:.2f}", f"{row.made.seconds:.2f}", steps]
    return [row.name, *said, *shares, *rest, told.verdict if told else "-"]


def paired(mine: Tensor, theirs: Tensor) -> Estimate:
    """How much more ours has than a rival, of the same filters, with the interval over filters."""
    return mean_estimate(mine - theirs, seed=0)


def verdict(more: Estimate, level: float = 0.0) -> str:
    """Who wins, if the whole interval is on one side."""
    if more.low > level:
        return "ours"
    return "RIVAL" if more.high < level else "open"


BESIDE = ("ours beside", "told", "", "share, times", "", "robust, times", "", "blur 2, times", "")


class Figures(NamedTuple):
    """What filters have with a method's pictures, (filters,) each."""

    name: str
    believed: bool
    """whether the judge can tell with these pictures"""
    told: Tensor
    shares: tuple[Tensor, Tensor, Tensor]
    """logarithms"""


def figures_of(row: Row) -> Figures:
    believed = row.telling is not None and row.telling.verdict != CANNOT_TELL
    return Figures(row.name, believed, row.told, row.shares[:3])


def pooled(places: Sequence[Sequence[Figures]]) -> list[Figures]:
    """The filters of several layers as one set, of the methods that all of them know."""
    tables = [{one.name: one for one in place} for place in places]
    names = [name for name in tables[0] if all(name in table for table in tables)]
    found = []
    for name in names:
        ones = [table[name] for table in tables]
        shares = tuple(
            torch.cat(parts) for parts in zip(*(one.shares for one in ones), strict=True)
        )
        told = torch.cat([one.told for one in ones])
        found.append(Figures(name, all(one.believed for one in ones), told, shares))
    return found


def beside(methods: Sequence[Figures]) -> Iterator[list[str]]:
    """Ours less each rival, or of shares over it, of the same filters, and who wins."""
    ours = next(one for one in methods if one.name == OURS)
    for one in methods:
        if one is ours:
            continue
        more = paired(ours.told, one.told)
        # Where the judge is not to be believed about either, nobody wins.
        believed = ours.believed and one.believed
        cells = [one.name, str(more), verdict(more) if believed else CANNOT_TELL]
        for mine, theirs in zip(ours.shares, one.shares, strict=True):
            times = Estimate(*torch.tensor(paired(mine, theirs)).exp().tolist())
            cells += [str(times), verdict(times, 1.0)]
        yield cells


def kept(rows: Sequence[Row], filters: Sequence[int]) -> dict[str, object]:
    """The figures of each filter, for whoever wants to count again."""
    return {
        row.name: {
            "filters": list(filters),
            "told": row.told.tolist(),
            **{key: getattr(row.shares, key).exp().tolist() for key in ("share", "robust", "blur")},
            "rank": row.shares.rank,
            "transfer": row.transfer,
            "seconds": row.made.seconds,
            "steps": row.made.steps,
            "telling": row.telling and row.telling.__dict__,
        }
        for row in rows
    }


# --- the command -------------------------------------------------------------------------------


def compare(options: argparse.Namespace) -> None:
    """Calibrate at every layer, and where the judge can tell, make, ask and print."""
    options.out.mkdir(parents=True, exist_ok=True)
    natural, photos = queries_from(), photographs(PHOTOS[: options.photos], options.size)
    asked: list[tuple[str, Place, Queries]] = []
    for name in options.networks:
        judge = JUDGES[options.judge](name)
        print(f"{network(name).description}, judged by {judge.description}; {len(natural)} photos")
        for layer, place in _places(name, options, photos, natural):
            queries = Queries(
                place.loaded, place.layer, list(place.filters), natural, judge, 0, options.size
            )
            told = queries.natural.value >= CALIBRATED
            doubt = "" if told else f": {CANNOT_TELL}"
            print(f"{layer}: natural patches told {queries.natural}{doubt}", flush=True)
            if told or options.anyway:
                asked.append((f"{name} {layer}", place, queries))
    found = []
    for title, place, queries in asked:
        print(f"\n{title}: {len(place.filters)} filters, {len(photos)} photos", flush=True)
        rows = judged(place, options.out, options.methods, queries, own_length=options.own_length)
        print(as_table(HEAD, map(_cells, rows), words=1), end="\n\n")
        found.append([figures_of(row) for row in rows])
        print(as_table(BESIDE, beside(found[-1]), words=1), flush=True)
        name = f"{title.replace(' ', '-')}-{options.size}-{options.judge}"
        figures = json.dumps(kept(rows, place.filters), indent=1)
        (options.out / f"{name}.json").write_text(figures)
        _sheet(place, rows).save(options.out / f"{name}.png")
    if len(found) > 1:
        print("\nfilters of all these layers together")
        print(as_table(BESIDE, beside(pooled(found)), words=1))


def own_defaults(options: argparse.Namespace) -> None:
    """Every method as its authors ship it, on few filters; nobody is asked what these tell."""
    options.out.mkdir(parents=True, exist_ok=True)
    photos, natural = photographs(PHOTOS[: options.photos], options.size), queries_from()
    for name in options.networks:
        for layer, place in _places(name, options, photos, natural):
            rows = []
            for method in options.methods:
                rows.append(row_of(place, method, place.made(options.out, method, None), None))
                print(f"{name} {layer}", *_cells(rows[-1]), sep="  ", flush=True)
            print(as_table(HEAD, map(_cells, rows), words=1), flush=True)


def _places(
    name: str, options: argparse.Namespace, photos: Tensor, natural: Tensor
) -> Iterator[tuple[str, Place]]:
    loaded = network(name)
    seen = loaded.normalization.to_model(natural[: options.photos])
    for layer, module in LAYERS[name].items():
        if options.layers and layer not in options.layers:
            continue
        code = read_code(loaded.model, module, seen)
        filters = live_filters(code, options.filters, options.draw)
        yield layer, Place(name, module, options.draw, tuple(filters), photos)


def _sheet(place: Place, rows: Sequence[Row]) -> Image.Image:
    """The first filters' pictures of the first photo, beside it."""
    few = place.filters[:_IN_SHEET]
    columns = {"photo": as_saved(place.photos[:1]).expand(len(few), -1, -1, -1)}
    columns |= {_lines(row.name): row.made.images[: len(few), 0] for row in rows}
    captions = {"photo": [""] * len(few)}
    for row in rows:
        captions[_lines(row.name)] = [f"{one:.1%}" for one in row.shares.robust.exp()[: len(few)]]
    return sheet(few, columns, captions)


def _lines(name: str) -> str:
    return name.replace(", ", ",\n")


JUDGES: dict[str, Callable[[str], Similarity]] = {
    "another": lambda name: another_network(network(name)),
    "stlpips": lambda _: stlpips(),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="judge", description=__doc__)
    parser.add_argument("--networks", nargs="+", default=list(LAYERS), choices=LAYERS)
    parser.add_argument("--layers", nargs="+", metavar="L", help="default: all of the network's")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS, metavar="M")
    parser.add_argument("--filters", type=int, help="default: 10, or 2 with --own-defaults")
    parser.add_argument("--draw", type=int, default=2, help="seed of the filters")
    parser.add_argument("--photos", type=int, choices=(1, 2, 3), help="default: 2, or 1")
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--judge", default="another", choices=JUDGES)
    parser.add_argument(
        "--anyway", action="store_true", help="also where natural patches are not told"
    )
    parser.add_argument(
        "--own-defaults",
        action="store_true",
        help="every method at its own defaults, minutes a picture; default: relu3_2 alone",
    )
    parser.add_argument(
        "--own-length",
        action="store_true",
        help="the authors' recipe also with all of its steps, half an hour more a layer",
    )
    parser.add_argument("--out", type=Path, default=Path(".benchmarks/judge"))
    options = parser.parse_args()
    own = options.own_defaults
    options.filters = options.filters or (2 if own else 10)
    options.photos = options.photos or (1 if own else 2)
    if own and not options.layers:
        options.layers = ["relu3_2"]
    (own_defaults if own else compare)(options)


if __name__ == "__main__":
    main()
