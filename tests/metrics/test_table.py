import re
from pathlib import Path

import pytest

import captum_featinv
from captum_featinv.metrics.interval import Estimate
from captum_featinv.metrics.table import as_table


def test_words_start_at_the_left_of_their_column_and_numbers_end_at_its_right() -> None:
    text = as_table(["layer", "kind", "n"], [["a", "ReLU", 3], ["longer", "Conv2d", 1024]], words=2)
    assert text == (
        "layer   kind       n\n"
        "a       ReLU       3\n"
        "longer  Conv2d  1024"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (0.123456, "0.123"),
        (12345.6, "1.23e+04"),
        (12345, "12345"),
        (float("inf"), "inf"),
        (True, "yes"),
        (False, "no"),
        (None, "-"),
        ("0.50", "0.50"),
        (Estimate(0.5, 0.25, 1), "0.50 [0.25, 1.00]"),
    ],
)
def test_a_cell_is_written_as_its_kind_asks(cell: object, text: str) -> None:
    assert as_table(["x"], [[cell]]).splitlines()[1].strip() == text


def test_a_row_that_does_not_fit_the_heading_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        as_table(["a", "b"], [[1, 2], [3]])


def test_nobody_else_in_the_package_aligns_columns() -> None:
    package = Path(captum_featinv.__file__).parent
    padding = re.compile(r"\.[lr]just\(|:[<>]\d+")
    found = {p.name for p in package.rglob("*.py") if padding.search(p.read_text())}
    assert found == {"table.py"}
