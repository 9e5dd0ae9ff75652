"""Numbers as text: a table whose columns line up, for a terminal."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any


def as_table(head: Sequence[str], rows: Iterable[Sequence[Any]], *, words: int = 0) -> str:
    """A heading and rows below it, in columns.

    Args:
        head: the columns' names.
        rows: their cells. Numbers get three digits, truths become yes and no, None a dash; whatever
            else comes as it prints itself.
        words: how many columns, from the left, hold words and start at their left edge; the others end
            at their right edge.

    Returns:
        The lines, in one text.

    Raises:
        ValueError: a row has more or fewer cells than the heading.

    Example:
        >>> print(as_table(["layer", "share", "silent"], [["relu1", 0.12345, False]], words=1))
        layer  share  silent
        relu1  0.123      no
    """
    lines = [list(head), *([_text(cell) for cell in row] for row in rows)]
    columns = [_aligned(column, i < words) for i, column in enumerate(zip(*lines, strict=True))]
    return "\n".join("  ".join(line) for line in zip(*columns, strict=True))


def as_html(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """The same for a notebook: an HTML table, whatever the cells hold.

    Args:
        head: the columns' names.
        rows: their cells, written as in `as_table`.

    Returns:
        One `table` element, its text escaped.

    Example:
        >>> as_html(["filter", "share"], [[3, 0.12345]])
        '<table><tr><th>filter</th><th>share</th></tr><tr><td>3</td><td>0.123</td></tr></table>'
    """
    lines = [_line("th", head), *(_line("td", map(_text, row)) for row in rows)]
    return f"<table>{''.join(lines)}</table>"


def _line(tag: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"


def _aligned(cells: Sequence[str], to_the_left: bool) -> list[str]:
    width = max(map(len, cells))
    return [cell.ljust(width) if to_the_left else cell.rjust(width) for cell in cells]


def _text(cell: Any) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)
