"""The contact sheet: pictures in a labelled grid."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from captum_featinv.errors import ArgumentError

_INK = (32, 32, 32)
_PALE = (110, 110, 110)
_PAPER = (255, 255, 255)


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
        title: above everything.
        cell: the width of a column in pixels; by default that of the widest picture.
    """
    cells = [picture for row in rows for picture in row]
    if not rows or not all(rows) or len(rows) != len(row_labels):
        raise ArgumentError("a contact sheet needs a label and at least one picture for every row")
    width = max(cell or 0, *(picture.width for picture in cells))
    size = max(12, width // 11)
    font, small = ImageFont.load_default(size), ImageFont.load_default(max(11, size - 3))
    gap, line = size // 2, size + size // 3
    margin = max(_width_of(text, font) for label in row_labels for text in label.split("\n"))
    left = margin + 2 * gap
    above = line * max(map(_lines, column_labels), default=0)
    top = gap + (line + gap if title else 0) + (above + gap if above else 0)
    below = line * max((_lines(text) for row in captions or () for text in row), default=0)
    heights = [max(picture.height for picture in row) + below + gap for row in rows]
    columns = max(len(row) for row in rows)
    right = max(left + columns * (width + gap), 2 * gap + _width_of(title, font))
    sheet = Image.new("RGB", (right, top + sum(heights)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((gap, gap), title, _INK, font)
    for column, label in enumerate(column_labels):
        middle = left + column * (width + gap) + width // 2
        place = middle, top - gap - line * (_lines(label) - 1)
        _centred(draw, place, label, _INK, font, line)
    for number, (row, label) in enumerate(zip(rows, row_labels, strict=True)):
        y = top + sum(heights[:number])
        height = heights[number] - below - gap
        draw.multiline_text((margin + gap, y + height // 2), label, _INK, font, "rm", align="right")
        for column, picture in enumerate(row):
            x = left + column * (width + gap)
            sheet.paste(picture.convert("RGB"), (x + (width - picture.width) // 2, y))
            if captions:
                place = (x + width // 2, y + height + line - size // 3)
                _centred(draw, place, captions[number][column], _PALE, small, line)
    return sheet


def _lines(text: str) -> int:
    return text.count("\n") + 1


def _centred(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    ink: tuple[int, int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    line: int,
) -> None:
    """Lines below one another, the first on a place."""
    for number, words in enumerate(text.split("\n")):
        draw.text((place[0], place[1] + number * line), words, ink, font, anchor="ms")


def _width_of(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> int:
    return int(font.getlength(text)) + 1
