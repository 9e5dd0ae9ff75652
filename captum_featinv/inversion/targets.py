"""What the code of each image has to become: the problems that an inversion solves, one a row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from captum_featinv.codes import Energy, feature_map_target
from captum_featinv.objectives.code import CodeMatch, FeatureMapMatch
from captum_featinv.objectives.objective import Activations


class RowLosses(Protocol):
    """The losses of some rows, (rows,), for what the layers put out."""

    def __call__(self, activations: Activations, leakage: float = 1.0) -> Tensor:
        """`leakage` weighs the activation of all filters but the one of interest, if there is one."""
        ...  # pragma: no cover


@dataclass(frozen=True)
class WholeCodes:
    """Every layer's whole code is given: one row an example, `codes[layer]` (rows, channel, ...)."""

    codes: Mapping[str, Tensor]

    @property
    def examples(self) -> Tensor:
        """Which example each row is of, (rows,)."""
        code = next(iter(self.codes.values()))
        return torch.arange(len(code), device=code.device)

    def objective(self, rows: Tensor, *, normalize: bool = True) -> RowLosses:
        """The losses of some rows: half the squared error, normalised or not, mean over layers."""
        targets = {layer: code[rows] for layer, code in self.codes.items()}
        parts = [
            CodeMatch(layer, target, _scale(target, normalize=normalize))
            for layer, target in targets.items()
        ]

        def objective(activations: Activations, leakage: float = 1.0) -> Tensor:  # noqa: ARG001
            return torch.stack([part(activations) for part in parts]).mean(0)

        return objective

    def impossible(self, rows: Tensor) -> Tensor:
        """Which of the rows ask for nothing at all, (rows,)."""
        energies = [code[rows].flatten(1).abs().sum(1) for code in self.codes.values()]
        return torch.stack(energies).sum(0) == 0

    def silent(self, _activations: Activations, rows: Tensor) -> Tensor:
        """No filter is singled out, so none of the rows is silent."""
        return torch.zeros_like(rows, dtype=torch.bool)


@dataclass(frozen=True)
class FilterMaps:
    """One filter has to carry the energy: one row an example and filter, examples first.

    Args:
        layer: the layer's name.
        code: its code for the examples, (examples, channel, *positions).
        filters: the filters, (filters,).
        places: where each filter may fire, (filters, *positions), or None for everywhere.
        energy: see `codes.feature_map_target`.
    """

    layer: str
    code: Tensor
    filters: Tensor
    places: Tensor | None
    energy: Energy

    @property
    def examples(self) -> Tensor:
        """Which example each row is of, (rows,)."""
        examples = torch.arange(len(self.code), device=self.code.device)
        return examples.repeat_interleave(len(self.filters))

    def filters_of(self, rows: Tensor) -> Tensor:
        """The filter of interest of each row, (rows,)."""
        return self.filters[rows % len(self.filters)]

    def maps(self, rows: Tensor) -> Tensor:
        """The target map of each row, (rows, *positions)."""
        code = self.code[rows // len(self.filters)]
        maps = feature_map_target(code, self.filters_of(rows), self.energy)
        return maps if self.places is None else maps * self.places[rows % len(self.filters)]

    def objective(self, rows: Tensor, *, normalize: bool = True) -> RowLosses:
        """The losses of some rows: half the squared error, normalised or not."""
        maps = self.maps(rows)
        scale = _scale(maps, normalize=normalize)
        return FeatureMapMatch(self.layer, self.filters_of(rows), maps, scale)

    def impossible(self, rows: Tensor) -> Tensor:
        """Which of the rows ask for nothing at all, (rows,)."""
        return self.maps(rows).reshape(len(rows), -1).abs().sum(1) == 0

    def silent(self, activations: Activations, rows: Tensor) -> Tensor:
        """Which of the rows' filters fire nowhere in the latest run, (rows,)."""
        own = activations(self.layer)[
            torch.arange(len(rows), device=rows.device), self.filters_of(rows)
        ]
        return own.reshape(len(rows), -1).amax(1) <= 0


Targets = WholeCodes | FilterMaps


def _scale(target: Tensor, *, normalize: bool) -> Tensor:
    """What makes the loss of an all-silent code 1, or 1 where nothing is asked for."""
    if not normalize:
        return target.new_ones(len(target))
    energy = 0.5 * target.reshape(len(target), -1).square().sum(1)
    return energy.where(energy > 0, 1)
