"""The contact sheet: pictures in a labelled grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from PIL import Image, ImageDraw, ImageFont

from captum_featinv.errors import ArgumentError

_INK = (32, 32, 32)
_PALE = (110, 110, 110)
_PAPER = (255, 255, 255)

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def contact_sheet(
    rows: Sequence[Sequence[Image.Image]],
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    captions: Sequence[Sequence[str]] | None = None,
    *,
    title: str = "",
    cell: int | None = None,
) -> Image.Image:
    """Pictures in a labelled grid, at their own size.

    Args:
        rows: the pictures, row by row; rows may differ in length.
        row_labels: beside each row; a line break makes two lines.
        column_labels: above each column; likewise.
        captions: below each picture; likewise.
        title: above everything; likewise.
        cell: the width of a column in pixels; by default that of the widest picture.

    Returns:
        One RGB picture.

    Raises:
        ArgumentError: there are no rows, a row has no picture, or labels are not as many as rows.
    """
    if not rows or not all(rows) or len(rows) != len(row_labels):
        raise ArgumentError("a contact sheet needs a label and at least one picture for every row")
    widest = max(picture.width for row in rows for picture in row)
    width = max(cell or 0, widest)
    layout = _Layout(rows, row_labels, column_labels, captions or (), title, width)
    sheet = Image.new("RGB", layout.size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    layout.write_headings(draw)
    for number in range(len(rows)):
        layout.put_row(number, sheet, draw)
    return sheet


@dataclass(frozen=True)
class _Layout:
    """Where everything goes: lengths in pixels, all of them from the width of a column."""

    rows: Sequence[Sequence[Image.Image]]
    row_labels: Sequence[str]
    column_labels: Sequence[str]
    captions: Sequence[Sequence[str]]
    title: str
    width: int

    @cached_property
    def letter(self) -> int:
        return max(12, self.width // 11)

    @cached_property
    def font(self) -> _Font:
        return ImageFont.load_default(self.letter)

    @cached_property
    def small(self) -> _Font:
        return ImageFont.load_default(max(11, self.letter - 3))

    @cached_property
    def gap(self) -> int:
        return self.letter // 2

    @cached_property
    def line(self) -> int:
        return self.letter + self.letter // 3

    @cached_property
    def margin(self) -> int:
        """What the rows' labels need."""
        return max(_width_of(label, self.font) for label in self.row_labels)

    @cached_property
    def top(self) -> int:
        """Where the first row begins."""
        titled = _lines(self.title) * self.line + self.gap if self.title else 0
        above = self.line * max(map(_lines, self.column_labels), default=0)
        return self.gap + titled + (above + self.gap if above else 0)

    @cached_property
    def below(self) -> int:
        """What captions need below their pictures."""
        return self.line * max((_lines(text) for row in self.captions for text in row), default=0)

    @cached_property
    def heights(self) -> list[int]:
        """The tallest picture of each row."""
        return [max(picture.height for picture in row) for row in self.rows]

    @property
    def size(self) -> tuple[int, int]:
        columns = max(len(row) for row in self.rows)
        titled = 2 * self.gap + _width_of(self.title, self.font)
        return max(self._left_of(columns), titled), self._top_of(len(self.rows))

    def write_headings(self, draw: ImageDraw.ImageDraw) -> None:
        spacing = self.line - self.letter
        draw.multiline_text((self.gap, self.gap), self.title, _INK, self.font, spacing=spacing)
        for column, label in enumerate(self.column_labels):
            middle = self._left_of(column) + self.width // 2
            place = middle, self.top - self.gap - self.line * (_lines(label) - 1)
            _centred(draw, place, label, _INK, self.font, self.line)

    def put_row(self, number: int, sheet: Image.Image, draw: ImageDraw.ImageDraw) -> None:
        """The row's label, its pictures and their captions."""
        y, height = self._top_of(number), self.heights[number]
        beside = self.margin + self.gap, y + height // 2
        label = self.row_labels[number]
        draw.multiline_text(beside, label, _INK, self.font, "rm", align="right")
        for column, picture in enumerate(self.rows[number]):
            x = self._left_of(column)
            sheet.paste(picture.convert("RGB"), (x + (self.width - picture.width) // 2, y))
            if self.captions:
                place = x + self.width // 2, y + height + self.line - self.letter // 3
                caption = self.captions[number][column]
                _centred(draw, place, caption, _PALE, self.small, self.line)

    def _left_of(self, column: int) -> int:
        return self.margin + 2 * self.gap + column * (self.width + self.gap)

    def _top_of(self, number: int) -> int:
        return self.top + sum(self.heights[:number]) + number * (self.below + self.gap)


def _lines(text: str) -> int:
    return text.count("\n") + 1


def _centred(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    ink: tuple[int, int, int],
    font: _Font,
    line: int,
) -> None:
    """Lines below one another, the first on a place."""
    for number, words in enumerate(text.split("\n")):
        draw.text((place[0], place[1] + number * line), words, ink, font, anchor="ms")


def _width_of(text: str, font: _Font) -> int:
    return max(int(font.getlength(line)) + 1 for line in text.split("\n"))
