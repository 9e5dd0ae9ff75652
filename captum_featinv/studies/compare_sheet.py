"""A comparison as one picture: a row a filter, a column a method, its numbers and seconds below."""

import re

import numpy as np
from PIL import Image

from captum_featinv.images.display import to_image, to_picture
from captum_featinv.images.heatmap import over_photo, signed
from captum_featinv.images.sheet import contact_sheet
from captum_featinv.studies.comparison import Answer, Comparison

# Captions need this many pixels.
_CELL = 140
_GREY = 0.9


def comparison_sheet(found: Comparison) -> Image.Image:
    """The picture of a comparison; a method that failed has an empty cell with its error's name.

    Args:
        found: what `compare` found.

    Returns:
        A row a filter, a column a method.
    """
    rows, captions = [], []
    for row in found.answers.values():
        rows.append([to_picture(_image(answer, found)) for answer in row.values()])
        captions.append([_caption(answer) for answer in row.values()])
    labels = [f"filter {k}" for k in found.answers]
    columns = [_head(name, found) for name in next(iter(found.answers.values()))]
    title = (
        f"{found.description}, layer {found.layer} (maps: bright is most; red is for, blue against)"
    )
    return contact_sheet(rows, labels, columns, captions, title=title, cell=_CELL)


def pictures_of(found: Comparison) -> dict[str, Image.Image]:
    """Each cell alone, by filter and method; what is the same for all filters is there for each."""
    return {
        f"{k}-{name}": to_picture(_image(answer, found))
        for k, row in found.answers.items()
        for name, answer in row.items()
        if not answer.error
    }


def _head(name: str, found: Comparison) -> str:
    """A method's name, with its steps where they are not its own number."""
    steps = found.steps.get(name)
    return _broken(name) if steps is None else f"{_broken(name)}\n{steps} steps"


def _image(
    answer: Answer, found: Comparison
) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    if answer.result is None:
        return np.full((*found.photo.shape[-2:], 3), _GREY, dtype=np.float32)
    if answer.kind == "map":
        return over_photo(answer.result, found.photo)
    if answer.kind == "attribution":
        return signed(answer.result[0])
    return to_image(answer.result[0], mean=None)


def _caption(answer: Answer) -> str:
    if answer.error:
        return f"failed:\n{answer.error.partition(':')[0]}"
    if answer.record is None:
        return f"{answer.seconds:.1f} s"
    record = answer.record
    share = f"{record.share:.0%}" if record.share >= 0.095 else f"{record.share:.1%}"
    lift = "inf" if record.lift == float("inf") else f"{record.lift:.3g}"
    return f"share {share}, rank {record.rank}\nlift {lift}, {answer.seconds:.1f} s"


def _broken(name: str) -> str:
    """A name in lines that fit above a column: `NeuronGuidedBackprop` in three."""
    return "\n".join(re.findall(r"[A-Z]?[^A-Z]+|[A-Z]+", name)) if len(name) > 15 else name
