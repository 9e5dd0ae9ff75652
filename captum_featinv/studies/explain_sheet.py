"""An explanation as one picture: a row a filter, where it fires, what it sees, what excites it."""

from collections.abc import Iterator
from textwrap import wrap
from typing import NamedTuple

from PIL import Image

from captum_featinv.images.display import to_image, to_picture
from captum_featinv.images.heatmap import Array, over_photo
from captum_featinv.images.sheet import contact_sheet
from captum_featinv.inversion.report import FilterRecord
from captum_featinv.studies.explanation import Explanation

_CELL = 160
_LINE = 100  # characters


def explanation_sheet(found: Explanation) -> Image.Image:
    """The picture of an explanation: first the prediction, then a row a filter.

    Args:
        found: what `explain` found.

    Returns:
        The picture, a contact sheet.
    """
    rows = [_first(found), *_one_a_filter(found)]
    columns = ["where (bright: most)", "what: its texture"]
    if any(found.exemplars.values()):
        columns.append("excites it most")
    edge = max(_CELL, *found.photo.shape[-2:])
    pictures = [[_at_size(to_picture(image), edge) for image in row.images] for row in rows]
    told = [] if found.ablation is None else found.ablation.lines()
    lines = [f"{found.description}, layer {found.layer}, {found.method}", found.note, *told]
    title = "\n".join(part for line in lines if line for part in wrap(line, _LINE))
    labels, captions = [row.label for row in rows], [row.captions for row in rows]
    return contact_sheet(pictures, labels, columns, captions, title=title, cell=_CELL)


class _Row(NamedTuple):
    label: str
    images: list[Array]
    captions: list[str]


def _first(found: Explanation) -> _Row:
    """Where the whole layer speaks for the class, and the photo."""
    speaks = over_photo(found.attribution.sum(0), found.photo)
    images = [speaks, to_image(found.photo[0], mean=None)]
    return _Row("prediction", images, ["what speaks for it", _prediction(found)])


def _one_a_filter(found: Explanation) -> Iterator[_Row]:
    """Where a filter fires, what it sees, and what excites it."""
    space = found.normalization
    textures = to_image(found.textures[0], space.mean, space.std)
    for k, texture, record in zip(found.filters, textures, found.report, strict=True):
        natural = found.exemplars.get(k, [])
        patches = [to_image(exemplar.patch, mean=None) for exemplar in natural]
        fires = float((found.code[k] > 0).float().mean())
        yield _Row(
            f"filter {k}\n{_percent(found.attribution_share(k))} of attribution\n"
            f"{_percent(found.energy_share(k))} of energy",
            [over_photo(found.code[k], found.photo), texture, *patches],
            [f"fires on {_percent(fires)}", _caption(record), *(_short(e.photo) for e in natural)],
        )


def _prediction(found: Explanation) -> str:
    return f"{found.category}: {_percent(found.probability)}"


def _caption(record: FilterRecord) -> str:
    if record.silent:
        return "never fires"
    return f"share {_percent(record.share)}, rank {record.rank}"


def _percent(share: float) -> str:
    return f"{share:.0%}" if abs(share) >= 0.095 else f"{share:.1%}"


def _short(name: str) -> str:
    return name if len(name) <= 22 else f"{name[:10]}...{name[-9:]}"


def _at_size(picture: Image.Image, edge: int) -> Image.Image:
    """Enlarged to a long edge, so that a patch of few pixels can be seen."""
    factor = edge / max(picture.size)
    if factor <= 1:
        return picture
    size = round(picture.width * factor), round(picture.height * factor)
    return picture.resize(size, Image.Resampling.BICUBIC)
