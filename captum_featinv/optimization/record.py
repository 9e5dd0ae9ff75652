"""The images of a run as far as they came: which have settled, and which are lost."""

import torch
from torch import Tensor

from captum_featinv.network.inputs import Images

# Steps between two looks at the images: a look costs as much as a small network.
LOOK_EVERY = 10


class Record:
    """Keeps a row as it is once it has settled, and as it last was once it is no longer finite.

    Rows are looked at every tenth step, and at the end.

    Args:
        starts: the start images.
        greys: the mean colour of each, from which sizes are measured.
        tolerance: a row has settled when a step changes it by less than this share of its distance from
            the mean colour; never if None.
        first: the step from which rows may settle: before it, a row may stand still because nothing
            has reached it yet.
    """

    def __init__(
        self, starts: Images, greys: Images, tolerance: float | None, *, first: float = 0
    ) -> None:
        self.images = starts
        self.lost = torch.zeros(len(starts[0]), dtype=torch.bool, device=starts[0].device)
        self._greys, self._tolerance, self._first = greys, tolerance, first
        self._settled = self.lost
        self._before: Images | None = None

    def note(self, step: int, images: Images) -> None:
        """Take note of the images after a step, counted from 1, if it is a tenth or the one before."""
        if (step + 1) % LOOK_EVERY == 0 and self._tolerance is not None:
            self._before = tuple(image.clone() for image in images)
        elif step % LOOK_EVERY == 0:
            size = self.look(images)
            if self._before is not None and step > self._first:
                change = _distance(images, self._before)
                self._settled = self._settled | (change < (self._tolerance or 0.0) * size)

    def look(self, images: Images) -> Tensor:
        """Take over the images of those rows that neither have settled nor are lost.

        Returns:
            How far each row is from the mean colour, (rows,); not finite where the row is lost.
        """
        size = _distance(images, self._greys)
        self.lost = self.lost | ~((size < torch.inf) | self._settled)
        closed = self._settled | self.lost
        self.images = tuple(
            torch.where(closed.reshape(-1, *[1] * (new.dim() - 1)), old, new)
            for new, old in zip(images, self.images, strict=True)
        )
        return size

    def all_settled(self, step: int) -> bool:
        """Whether nothing is left to do; asked of the device after a look only."""
        looked = step % LOOK_EVERY == 0 and step > self._first
        return looked and self._tolerance is not None and bool((self._settled | self.lost).all())


def _distance(images: Images, others: Images) -> Tensor:
    parts = [
        torch.linalg.vector_norm(a - b, dim=tuple(range(1, a.dim())))
        for a, b in zip(images, others, strict=True)
    ]
    distance: Tensor = parts[0] if len(parts) == 1 else torch.stack(parts).square().sum(0).sqrt()
    return distance
