"""What restyling asks of an image: a style's energies or Gram matrices, and its own content."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn import functional

from captum_featinv.errors import ArgumentError
from captum_featinv.metrics import style as metrics
from captum_featinv.network.reading import Codes
from captum_featinv.objectives.code import CodeMatch
from captum_featinv.objectives.moments import EnergyMatch, GramMatch, gram_of, maps_of
from captum_featinv.objectives.objective import Activations

Match = Literal["energies", "gram", "both"]
Distance = Callable[[Tensor, Tensor], Tensor]


class StyleDistances(NamedTuple):
    """How far pictures are from their style and from their content, each (rows,).

    Norms of differences over the norm of what they should be: 0 is reached, 1 is as far as a silent
    picture. Losses are squares of such.

    Args:
        energies: to the style's, per position, averaged over the style layers by their weights.
        gram: likewise to the style's Gram matrices.
        content: `||F - F*|| / ||F*||` at the content layer.
    """

    energies: Tensor
    gram: Tensor
    content: Tensor


@dataclass(frozen=True)
class StyleTarget:
    """What to match, where, and with which weights.

    Args:
        match: the style's energies (Xia et al.), its Gram matrices (Gatys et al.), or both alike.
        style_layers: the weight of each layer; only their proportions matter.
        content_layer: where the content is kept.
        content_weight: of the content, beside 1 for the style.
        smooth: compare softmaxes of codes (SWAG, arXiv 2104.05623).
    """

    match: Match
    style_layers: Mapping[str, float]
    content_layer: str
    content_weight: float
    smooth: bool

    def __post_init__(self) -> None:
        if self.match not in get_args(Match):
            known = ", ".join(map(repr, get_args(Match)))
            raise ArgumentError(f"match={self.match!r} is none of {known}")
        weights = [*self.style_layers.values(), self.content_weight]
        if not all(math.isfinite(w) and w >= 0 for w in weights) or not any(weights[:-1]):
            raise ArgumentError(
                "weights must be finite and at least 0, and one of the style layers above 0. Given: "
                f"{dict(self.style_layers)}, content_weight={self.content_weight}"
            )

    def losses(self, style: Codes, content: Codes) -> Callable[[Activations], Tensor]:
        """The loss of each row, from what the layers put out for it.

        `sum_l w_l d_l / sum_l w_l + content_weight d`, where each d is a squared distance over the
        square of what is to be reached: so layers, energies, Gram matrices and contents compare, and
        sizes of pictures do not matter. Where energies alone are matched, the content's is over the
        style's square there if that is larger: a photo in the energies of a painting of strong
        contrast has to leave its own code by more than the size of that, and would be held back at
        the contrast it has.

        Args:
            style: the codes of the style, (rows or 1, channel, *positions).
            content: the codes of the content, one row each.
        """
        total = sum(self.style_layers.values())
        parts = [
            (weight / total / len(matches), match)
            for layer, weight in self.style_layers.items()
            for matches in [self._matches(layer, style[layer], content[layer])]
            for match in matches
        ]
        kept = self._kept(style[self.content_layer], content[self.content_layer])

        def losses(activations: Activations) -> Tensor:
            def seen(layer: str) -> Tensor:
                return self._seen(activations(layer))

            styles = torch.stack([weight * match(seen) for weight, match in parts]).sum(0)
            return styles + self.content_weight * kept(seen)

        return losses

    def _matches(self, layer: str, style: Tensor, content: Tensor) -> list[EnergyMatch | GramMatch]:
        """The targets are sums over as many positions as the content has."""
        rows, style = len(content), self._seen(style)
        scale = maps_of(content).shape[2] / maps_of(style).shape[2]
        matches: list[EnergyMatch | GramMatch] = []
        if self.match != "gram":
            energies = (maps_of(style).sum(2) * scale).expand(rows, -1)
            matches.append(EnergyMatch.relative(layer, energies))
        if self.match != "energies":
            gram = (gram_of(style) * scale).expand(rows, -1, -1)
            matches.append(GramMatch.relative(layer, gram))
        return matches

    def _kept(self, style: Tensor, content: Tensor) -> CodeMatch:
        """The content's error, for energies over the larger of the two squares per position."""
        style, content = self._seen(style), self._seen(content)
        # Gram matrices pull hard enough, and would take the content along.
        if self.match != "energies":
            return CodeMatch.relative(self.content_layer, content)
        scale = maps_of(content).shape[2] / maps_of(style).shape[2]
        own, others = (0.5 * maps_of(code).square().sum((1, 2)) for code in (content, style))
        largest = torch.maximum(own, others * scale)
        return CodeMatch(self.content_layer, content, largest.where(largest > 0, 1))

    def _seen(self, code: Tensor) -> Tensor:
        return smoothed(code) if self.smooth else code

    def distances(self, codes: Codes, style: Codes, content: Codes) -> StyleDistances:
        """How far codes are from those of the style and of the content; never smoothed."""
        energies = self._mean(metrics.energy_distance, codes, style)
        grams = self._mean(metrics.gram_distance, codes, style)
        kept = CodeMatch.relative(self.content_layer, content[self.content_layer])
        squares = kept(codes.__getitem__)
        return StyleDistances(energies, grams, squares.sqrt())

    def _mean(self, distance: Distance, codes: Codes, style: Codes) -> Tensor:
        """The relative distance, averaged over the style layers."""
        total = sum(self.style_layers.values())
        parts = []
        for layer, weight in self.style_layers.items():
            size = distance(style[layer], torch.zeros_like(style[layer]))
            apart = distance(codes[layer], style[layer]) / size.where(size > 0, 1)
            parts.append(weight / total * apart)
        return torch.stack(parts).sum(0)


def smoothed(code: Tensor) -> Tensor:
    """`C M softmax(F)` over all channels and positions: peaks are flattened, the mean is 1.

    In residual networks a few activations rule Gram matrices; so Wang et al. 2021 smooth them.

    Example:
        >>> import torch
        >>> smoothed(torch.tensor([[[1.0, 1.0], [1.0, 1.0]]]))
        tensor([[[1., 1.],
                 [1., 1.]]])
    """
    flat = code.flatten(1)
    return functional.softmax(flat, dim=1).reshape(code.shape) * flat.shape[1]
