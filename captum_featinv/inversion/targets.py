"""What the code of each image has to become: the problems that an inversion solves, one a row."""

from dataclasses import dataclass

import torch
from torch import Tensor

from captum_featinv.codes import Energy, feature_map_target
from captum_featinv.metrics.specificity import share
from captum_featinv.network.reading import Codes
from captum_featinv.objectives.code import (
    CodeMatch,
    CodeMatches,
    FeatureMapMatch,
    half_square,
)

# The losses of some rows, (rows,), for what layers put out; `leakage` weighs all filters but the one of
# interest, if there is one.
RowLosses = CodeMatch | CodeMatches | FeatureMapMatch

# Not so near to 1 that rounding would decide where a filter is alone in its layer.
_CLEARLY_LESS = 0.9


@dataclass(frozen=True)
class WholeCodes:
    """Every layer's whole code is given: one row an example, `codes[layer]` (rows, channel, ...)."""

    codes: Codes

    @property
    def examples(self) -> Tensor:
        """Which example each row is of, (rows,)."""
        code = next(iter(self.codes.values()))
        return torch.arange(len(code), device=code.device)

    def __getitem__(self, rows: Tensor) -> "CodeRows":
        return CodeRows({layer: code[rows] for layer, code in self.codes.items()})

    def named(self, rows: Tensor) -> tuple[str, list[int]]:
        """What some rows are called, and which they are."""
        return "photo", sorted(set(self.examples[rows].tolist()))


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

    def __getitem__(self, rows: Tensor) -> "FilterRows":
        filters = self.filters[rows % len(self.filters)]
        codes = self.code[rows // len(self.filters)]
        maps = feature_map_target(codes, filters, self.energy)
        if self.places is not None:
            maps = maps * self.places[rows % len(self.filters)]
        return FilterRows(self.layer, filters, maps, share(codes, filters))

    def named(self, rows: Tensor) -> tuple[str, list[int]]:
        """What some rows are called, and which they are."""
        return "filter", sorted(set(self.filters[rows % len(self.filters)].tolist()))


@dataclass(frozen=True)
class CodeRows:
    """Whole codes that some rows have to have."""

    codes: Codes

    def losses(self, *, normalize: bool, outweigh: float | None = None) -> RowLosses:  # noqa: ARG002
        """Half the squared error of each row, normalised or not, mean over layers."""
        matches = tuple(
            CodeMatch(layer, target, _scale(target, normalize=normalize))
            for layer, target in self.codes.items()
        )
        return matches[0] if len(matches) == 1 else CodeMatches(matches)

    def impossible(self) -> Tensor:
        """Which of the rows ask for nothing at all, (rows,)."""
        energies = [code.flatten(1).abs().sum(1) for code in self.codes.values()]
        return torch.stack(energies).sum(0) == 0

    def silent(self, codes: Codes) -> Tensor:
        """No filter is singled out, so none of the rows is silent."""
        code = next(iter(codes.values()))
        return torch.zeros(len(code), dtype=torch.bool, device=code.device)

    def louder(self, codes: Codes, before: Codes) -> Tensor:  # noqa: ARG002
        """Nor does it answer more than before."""
        return self.silent(codes)

    def merit(self, codes: Codes, errors: Tensor) -> Tensor:  # noqa: ARG002
        """How good images with these codes and errors are, (rows,): how near, the nearest 0."""
        return -errors

    def poor(self, merit: Tensor) -> Tensor:
        """Nor is there a filter that could have too little."""
        return torch.zeros_like(merit, dtype=torch.bool)


@dataclass(frozen=True)
class FilterRows:
    """The map that one filter of each row has to show, while all others are silent.

    Args:
        layer: the layer's name.
        filters: (rows,).
        maps: (rows, *positions).
        shares: that the filters have of their layer's squared activation in the photos, (rows,).
    """

    layer: str
    filters: Tensor
    maps: Tensor
    shares: Tensor

    def losses(self, *, normalize: bool, outweigh: float | None = None) -> RowLosses:
        """Half the squared error of each row, normalised or not; see `FeatureMapMatch`."""
        scale = _scale(self.maps, normalize=normalize)
        return FeatureMapMatch(self.layer, self.filters, self.maps, scale, outweigh)

    def impossible(self) -> Tensor:
        """Which of the rows ask for nothing at all, (rows,)."""
        return self.maps.reshape(len(self.maps), -1).abs().sum(1) == 0

    def silent(self, codes: Codes) -> Tensor:
        """Which of the rows' filters fire nowhere, (rows,)."""
        rows = torch.arange(len(self.filters), device=self.filters.device)
        own = codes[self.layer][rows, self.filters]
        return own.reshape(len(rows), -1).amax(1) <= 0

    def louder(self, codes: Codes, before: Codes) -> Tensor:
        """Which of the rows' filters answer more than before where they are asked to, (rows,)."""
        return self._answer(codes) > self._answer(before)

    def merit(self, codes: Codes, errors: Tensor) -> Tensor:  # noqa: ARG002
        """How good images with these codes are, (rows,): the share that the filter has."""
        return share(codes[self.layer], self.filters)

    def poor(self, merit: Tensor) -> Tensor:
        """Which of the rows' filters have clearly less of their layer than in the photo, (rows,)."""
        return merit < _CLEARLY_LESS * self.shares

    def _answer(self, codes: Codes) -> Tensor:
        rows = torch.arange(len(self.filters), device=self.filters.device)
        own = codes[self.layer][rows, self.filters]
        return (own * self.maps).reshape(len(rows), -1).sum(1)


Targets = WholeCodes | FilterMaps
Rows = CodeRows | FilterRows


def _scale(target: Tensor, *, normalize: bool) -> Tensor:
    """What makes the loss of an all-silent code 1, or 1 where nothing is asked for."""
    return half_square(target) if normalize else target.new_ones(len(target))
