"""What layers put out in one run: the last call of each, or its calls for one example after another."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from captum_featinv.errors import LayerError

Place = torch.device | None
"""Where a replica of the layer ran; None for the layer itself."""


class Outputs:
    """Collects the outputs of one run.

    Args:
        names: of the layers.
        batch: how many examples the model was shown.
    """

    def __init__(self, names: Iterable[str], batch: int) -> None:
        self._kept: dict[str, dict[Place, list[Tensor]]] = {name: {} for name in names}
        self._batch = batch
        self._calls: Counter[tuple[str, Place]] = Counter()
        self._stopped: set[Place] = set()
        self._given: list[tuple[str, Tensor, float]] = []

    def count(self, name: str, place: Place) -> int:
        """Count one more call of a layer: the how manieth it is."""
        self._calls[name, place] += 1
        return self._calls[name, place]

    def reached(self, calls: Counter[str], place: Place) -> bool:
        """Whether every layer was called so often."""
        return all(self._calls[name, place] >= n for name, n in calls.items())

    def first_stop(self, place: Place) -> bool:
        """Whether the forward is stopped here for the first time: a model that went on caught it."""
        first = place not in self._stopped
        self._stopped.add(place)
        return first

    def keep(self, name: str, place: Place, code: Tensor) -> None:
        """Keep an output in place of the one before, or after it where both are parts of a batch."""
        parts = self._kept[name].get(place, [])
        rows = sum(map(_rows, parts)) + _rows(code)
        # A replica is shown part of the batch, so it cannot tell.
        fits = place is None and 0 < _rows(code) < rows <= self._batch
        continued = fits and parts[0].shape[1:] == code.shape[1:]
        self._kept[name][place] = [*parts, code] if continued else [code]

    def keep_clone(self, name: str, place: Place, code: Tensor) -> None:
        """Keep a clone, and watch what becomes of the output itself."""
        self._given.append((name, code, _version_of(code)))
        self.keep(name, place, code.clone())

    def overwritten(self) -> set[str]:
        """The layers of whose outputs one was written to since; those are forgotten."""
        found = {name for name, code, version in self._given if _version_of(code) != version}
        self._given = []
        return found

    @property
    def calls(self) -> Counter[str]:
        """How often each layer was called; the most of its replicas' numbers."""
        most: Counter[str] = Counter()
        for (name, _), calls in self._calls.items():
            most[name] = max(calls, most[name])
        return most

    @property
    def in_parts(self) -> bool:
        """Whether a layer was called for one part of the batch after another."""
        return any(len(self._whole(p)) > 1 for by in self._kept.values() for p in by.values())

    @property
    def missing(self) -> list[str]:
        """The layers that were not called."""
        return [name for name, outputs in self._kept.items() if not outputs]

    def output(self, name: str, device_ids: Sequence[int] | None) -> Tensor:
        """What a layer put out, its replicas' outputs joined in the order of these devices.

        Raises:
            LayerError: it was not called, or the order is not known.
        """
        outputs = {place: _joined(self._whole(p)) for place, p in self._kept[name].items()}
        if not outputs:
            raise LayerError("no output yet: call `run` first, inside the `with` block")
        if len(outputs) == 1:
            return next(iter(outputs.values()))
        if device_ids is None:
            raise LayerError(
                f"the layer ran on {len(outputs)} devices; pass `device_ids` to say in which order"
            )
        by_index = {place.index: output for place, output in outputs.items() if place}
        ordered = [by_index[index] for index in device_ids if index in by_index]
        return torch.cat([output.to(ordered[0].device) for output in ordered])

    def _whole(self, parts: list[Tensor]) -> list[Tensor]:
        """The parts if they are the batch, otherwise the last."""
        return parts if sum(map(_rows, parts)) == self._batch else parts[-1:]


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _rows(code: Tensor) -> int:
    return len(code) if code.dim() else 0


def _version_of(code: Tensor) -> float:
    """How often a tensor was written to; unlike itself where that is not known."""
    return math.nan if code.is_inference() else code._version
