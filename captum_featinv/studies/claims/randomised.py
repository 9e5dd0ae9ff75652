"""The sanity check: a picture of what was learned must change when the weights are drawn anew.

After Adebayo et al. 2018 (arXiv 1810.03292). Random networks invert well, so it is the picture that
is judged, not the error of its code.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from captum_featinv.metrics import identity
from captum_featinv.metrics.interval import Estimate, estimate, mean_estimate, resamples
from captum_featinv.metrics.verdict import FEWEST, Verdict, above, all_of
from captum_featinv.models import LoadedModel
from captum_featinv.models.copying import copied

# Not 0, which draws the weights of `load_model(name, "random")`.
_SEED = 1

# An interval of top-1 that reaches this far would hold most filters' being told as well.
_TOLD = 0.5


@dataclass(frozen=True)
class Randomised:
    """A layer's pictures beside those of the same filters, photos and seed with other weights.

    Intervals are over filters.
    """

    layer: str
    top1: Estimate
    """how often filter k's picture is nearest to its picture with random weights, of all filters'"""
    chance_top1: float
    """of guessing; what `top1` should be"""
    change: Estimate
    """`(other weights - other photo) / (other weights + other photo)` of the mean distances: above 0,
    a picture depends on the weights more than on the photo and the start noise, which goes with it"""
    filters: int
    """how many"""

    @property
    def verdict(self) -> Verdict:
        """Guessing explains what is left of the picture, and it changed more than by another photo."""
        return all_of(self._left_to_guess, above(self.change, 0, self.filters))

    @property
    def _left_to_guess(self) -> Verdict:
        """No where more are told than by guessing; yes takes an interval that could have shown it."""
        told = above(self.top1, self.chance_top1, self.filters)
        if told == "yes":
            return "no"
        return "yes" if self.filters >= FEWEST and self.top1.high < _TOLD else "undecided"


def reinitialised(loaded: LoadedModel, seed: int = _SEED) -> LoadedModel:
    """A copy with weights drawn anew: He's normal draw for convolutions, without biases.

    Normalisation layers start anew as PyTorch has it. The given model stays as it is.
    """
    model = copied(loaded.model)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for module in model.modules():
            _draw(module)
    description = f"{loaded.description}, weights drawn anew"
    return replace(
        loaded, model=model, description=description, random=True, classifier_trained=False
    )


def _draw(module: nn.Module) -> None:
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()
    # PyTorch's own draw for these lets activations die out over a dozen layers.
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def randomised(layer: str, trained: Tensor, crossed: Tensor, seed: int) -> Randomised:
    """The check at one layer.

    Args:
        layer: its name.
        trained: distances between the pictures, see `captum_featinv.metrics.identity`.
        crossed: distances from the pictures with random weights, (filters, P, filters, photos), to
            the pictures; the first P of the photos.
        seed: of the resamples.
    """
    same_photo = crossed.diagonal(dim1=1, dim2=3).permute(2, 0, 1)  # (P, filters, filters)
    found = (identity.ranks_among(same_photo) == 0).to(crossed).mean(0)
    weights = same_photo.diagonal(dim1=1, dim2=2).mean(0)
    photo = identity.within(trained)
    drawn = resamples(len(weights), seed)
    change = estimate(
        identity.content_independence(photo.mean(), weights.mean()),
        identity.content_independence(photo[drawn].mean(1), weights[drawn].mean(1)),
    )
    chance, _ = identity.chance(len(weights))
    return Randomised(layer, mean_estimate(found, seed), chance, change, len(weights))
