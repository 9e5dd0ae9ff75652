"""What was found out about the claims on one network."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from captum_featinv.studies.claims.intricate import Trend
from captum_featinv.studies.claims.pictures import Pictures
from captum_featinv.studies.claims.randomised import Randomised
from captum_featinv.studies.claims.restyled import StyleFound
from captum_featinv.studies.claims.specific import Specific
from captum_featinv.studies.claims.telling import Telling


@dataclass(frozen=True)
class Claims:
    """The findings of each layer or measure, and the pictures that they were found on.

    Args:
        model: its description.
        random_weights: whether nothing was learned.
        judge: who compared pictures, in words.
        settings: filters, photos, steps, precision, pixels and seed.
        specific: claim 1, a finding a layer.
        trends: claim 2, a finding a measure.
        style: claim 3, a finding a layer.
        randomised: the sanity check, a finding a layer.
        pictures: what all of it was found on, layer by layer.
        telling: claim 4, a finding a layer; empty where it was not asked.
        teller: who compares patches for `telling`, or "not asked: " and why.
    """

    model: str
    random_weights: bool
    judge: str
    settings: Mapping[str, Any]
    specific: list[Specific]
    trends: list[Trend]
    style: list[StyleFound]
    randomised: list[Randomised]
    pictures: list[Pictures]
    telling: list[Telling] = field(default_factory=list)
    teller: str = ""
    """who compares patches for `telling`, or "not asked: " and why"""

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain numbers, without the pictures; intervals are value, low, high."""
        return {
            "model": self.model,
            "random_weights": self.random_weights,
            "judge": self.judge,
            "settings": dict(self.settings),
            "claim_1_specific": [asdict(s) | {"verdict": s.verdict} for s in self.specific],
            "claim_2_intricate": [
                asdict(t) | {"claimed": t.claimed, "verdict": t.verdict} for t in self.trends
            ],
            "claim_3_style": [asdict(s) | {"verdict": s.verdict} for s in self.style],
            "claim_4_telling": [asdict(t) | {"verdict": t.verdict} for t in self.telling],
            "judge_of_claim_4": self.teller,
            "sanity_check": [asdict(r) | {"verdict": r.verdict} for r in self.randomised],
        }
