"""The filters behind a prediction, and all that was measured on them."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from captum_featinv.images.normalization import Normalization
from captum_featinv.inversion.report import Report
from captum_featinv.network.losses import Ablation
from captum_featinv.studies.exemplars import Exemplar

UNTRAINED = (
    "the classifier was never trained, so its scores are noise, and so is what speaks for a class"
)


@dataclass(frozen=True)
class Explanation:
    """The filters behind a prediction, the strongest first, and all that was measured on them.

    Tensors are as Captum's visualisers, `to_image` and `heatmap.over_photo` take them.
    """

    description: str
    photo: Tensor
    """displayable, (1, C, H, W)"""
    layer: str
    method: str
    target: int
    category: str
    probability: float
    filters: list[int]
    attribution: Tensor
    """of the whole layer, (channel, h, w)"""
    code: Tensor
    """what the layer puts out, (channel, h, w)"""
    textures: Tensor
    """in the model's input space, (1, filter, C, H, W)"""
    normalization: Normalization
    report: Report
    exemplars: dict[int, list[Exemplar]] = field(default_factory=dict)
    ablation: Ablation | None = None
    precision: str = "auto"
    """of the search for the textures"""
    classifier_trained: bool = True

    @property
    def note(self) -> str:
        """What has to be known before anything of this is believed; mostly nothing."""
        return "" if self.classifier_trained else f"NOTE: {UNTRAINED}"

    def attribution_share(self, k: int) -> float:
        """A filter's part of all that speaks for the class; negative if it speaks against it."""
        by_filter = self.attribution.flatten(1).sum(1)
        return float(by_filter[k] / by_filter.clamp(min=0).sum().clamp(min=1e-30))

    def energy_share(self, k: int) -> float:
        """A filter's part of the layer's energy, the sum of activations, on the photo."""
        energy = self.code.flatten(1).clamp(min=0).sum(1)
        return float(energy[k] / energy.sum().clamp(min=1e-30))

    def to_dict(self) -> dict[str, Any]:
        """All numbers as plain values, as JSON wants them."""
        rows = zip(self.filters, self.report.to_dicts(), strict=True)
        return {
            "model": self.description,
            "layer": self.layer,
            "method": self.method,
            "class": self.target,
            "category": self.category,
            "probability": self.probability,
            "classifier_trained": self.classifier_trained,
            "note": self.note or None,
            "precision": self.precision,
            "filters": [
                {
                    **{name: value for name, value in record.items() if name != "photo"},
                    "attribution_share": self.attribution_share(k),
                    "energy_share": self.energy_share(k),
                    "exemplars": [e.to_dict() for e in self.exemplars.get(k, [])],
                }
                for k, record in rows
            ],
            "ablation": None if self.ablation is None else self.ablation.to_dict(),
        }
