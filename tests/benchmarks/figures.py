"""A recipe's figures at a layer, all filters and photos counted, and recipes beside one another."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, geometric_mean, median
from typing import Any

import torch

from tests.benchmarks.grid import AUTHORS, PAPER, Cell
from tests.benchmarks.transfer import accuracy

FLOOR = 1e-6  # of a geometric mean: a share of 0 counts as this
BLANK_COVERAGE, BLANK_CONTRAST = 0.05, 0.1

Figures = dict[str, float]

FORMATS = {
    "robust": "9.4f", "share": "8.4f", "inner": "8.4f", "blur 2": "8.4f", "blur 4": "8.4f",
    "attained": "9.4f", "lift": "8.1f", "rank": "6.1f", "coverage": "9.2f", "worst": "6.2f",
    "contrast": "9.2f", "colours": "8.1f", "blank": "6.0f", "transfer": "9.2f", "seconds": "9.1f",
    "steps": "7.0f",
}  # fmt: skip


def is_blank(record: Mapping[str, Any]) -> bool:
    """Whether the filter fires next to nowhere, or all pixels of its picture are next to alike."""
    faint = record["coverage"] < BLANK_COVERAGE or record["contrast"] < BLANK_CONTRAST
    return bool(record["silent"] or faint)


def mean(values: Sequence[float]) -> float:
    return geometric_mean(max(value, FLOOR) for value in values)


def summary(cells: Sequence[Cell], judge: str = "efficientnet_lite0") -> Figures:
    """The figures of a recipe at a layer, every filter and photo counted."""
    records = [record for one in cells for record in one.records]
    column = {key: [record[key] for record in records] for key in records[0]}
    return {
        "robust": mean(column["robust_share"]),
        "share": mean(column["share"]),
        "inner": mean(column["inner_share"]),
        "blur 2": mean(column["share_blur_2"]),
        "blur 4": mean(column["share_blur_4"]),
        "attained": mean(column["attained"]),
        "lift": median(float("inf") if v is None else v for v in column["lift"]),
        "rank": median(column["rank"]),
        "coverage": fmean(column["coverage"]),
        "worst": min(column["coverage"]),
        "contrast": fmean(column["contrast"]),
        "colours": median(column["colours"]),
        "blank": sum(map(is_blank, records)),
        "transfer": _transfer(cells, judge),
        "seconds": sum(one.seconds for one in cells),
        "steps": fmean(one.steps for one in cells),
    }


def _transfer(cells: Sequence[Cell], judge: str) -> float:
    """See `transfer.accuracy`; of no meaning where each photo has filters of its own."""
    filters = [[record["filter"] for record in one.records] for one in cells]
    if len(cells) < 2 or any(numbers != filters[0] for numbers in filters):
        return float("nan")
    return accuracy(torch.stack([one.pictures for one in cells]), judge)


def tables(found: Mapping[tuple[str, str], Figures], names: Sequence[str]) -> Iterator[str]:
    """Figures by layer and recipe, and then each recipe beside the authors'."""
    layers = list(dict.fromkeys(layer for layer, _ in found))
    deep, wide = (max(map(len, words)) + 2 for words in (layers, names))
    yield f"{'':{deep}}{'':{wide}}" + "".join(f"{key:>{_width(f)}}" for key, f in FORMATS.items())
    for layer in layers:
        for name in names:
            figures = found[layer, name]
            cells = "".join(f"{figures[key]:{form}}" for key, form in FORMATS.items())
            yield f"{layer:{deep}}{name:{wide}}{cells}"
    if not set(AUTHORS) <= set(names):
        return
    yield (
        "\nratios to the better of the paper's two: robust share | attained; to the paper's: seconds; "
        "by layer, and = over all"
    )
    for name in names:
        parts = [
            " ".join(f"{r:6.2f}" for r in values) + f" ={geometric_mean(values):6.2f}"
            for values in (
                [ratio(found, layer, name, key) for layer in layers]
                for key in ("robust", "attained", "seconds")
            )
        ]
        yield f"{name:{wide}}" + " | ".join(parts)


def ratio(
    found: Mapping[tuple[str, str], Figures],
    layer: str,
    name: str,
    key: str,
    *,
    better: bool = True,
) -> float:
    """To the authors' figure; but for seconds, to the better of what they have before and after.

    Args:
        found: figures by layer and recipe.
        layer: where.
        name: whose.
        key: which figure.
        better: False for the recipe as it was published, with its last step.
    """
    rivals = AUTHORS if better and key != "seconds" else (PAPER,)
    return found[layer, name][key] / max(found[layer, rival][key] for rival in rivals)


def _width(form: str) -> int:
    return int(form.split(".", maxsplit=1)[0])
