"""A transformer that has learned digits: what the default shows of its channels, none of them blank."""

from dataclasses import asdict
from statistics import median

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from captum_featinv import FeatureMapInversion
from captum_featinv.network import read_code
from tests.benchmarks.figures import is_blank

# Of 1797 digits; the others say how well it has learned them.
_SEEN = 1408
_EPOCHS = 14
_BATCH = 32

pytestmark = pytest.mark.slow


def digits() -> tuple[Tensor, Tensor]:
    """Handwritten digits in random order, (1797, 1, 32, 32) in the model's space, and what they are."""
    datasets = pytest.importorskip("sklearn.datasets")
    bunch = datasets.load_digits()
    small = torch.from_numpy(bunch.images).float()[:, None] / 16
    order = torch.randperm(len(small), generator=torch.Generator().manual_seed(0))
    images = functional.interpolate(small[order], size=(32, 32), mode="bilinear")
    return (images - 0.5) / 0.25, torch.from_numpy(bunch.target)[order]


@pytest.fixture(scope="module")
def learned() -> tuple[nn.Module, Tensor]:
    """A transformer of three blocks on 16 patches and a class token, and digits it has not seen."""
    transformers = pytest.importorskip("timm.models.vision_transformer")
    images, numbers = digits()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.VisionTransformer(
            img_size=32,
            patch_size=8,
            in_chans=1,
            num_classes=10,
            embed_dim=64,
            depth=3,
            num_heads=4,
        )
        optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
        rate = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, 3e-3, total_steps=_EPOCHS * (_SEEN // _BATCH), pct_start=0.2
        )
        for _ in range(_EPOCHS):
            for some in torch.randperm(_SEEN).split(_BATCH):
                optimizer.zero_grad()
                functional.cross_entropy(model(images[some]), numbers[some]).backward()
                optimizer.step()
                rate.step()
    model.eval()
    optimizer.zero_grad()
    with torch.no_grad():
        told = model(images[_SEEN:]).argmax(1)
    accuracy = float((told == numbers[_SEEN:]).float().mean())
    print(f"\n{accuracy:.3f} of the digits that it has not seen")
    assert accuracy > 0.9
    return model, images[_SEEN:]


@pytest.mark.parametrize("layer", ["blocks.1", "blocks.1.mlp.act"])
def test_twenty_channels_at_random_are_shown_and_none_is_blank(
    layer: str, learned: tuple[nn.Module, Tensor]
) -> None:
    model, unseen = learned
    photo = unseen[:1]
    count = read_code(model, layer, photo).shape[1]
    dice = torch.Generator().manual_seed(0)
    channels = torch.randperm(count, generator=dice)[:20].tolist()
    fmi = FeatureMapInversion(model, layer, mean=0.5, std=0.25)
    report = fmi.report(fmi.attribute(photo, channels), photo, channels)
    print(f"\n{layer}, {count} channels\n{report}")
    ranks, lifts = [one.rank for one in report], [one.lift for one in report]
    print(f"first in its picture: {ranks.count(0)} of 20; lift {median(lifts):.1f} in the median")
    assert not [one.filter for one in report if is_blank(asdict(one))]
    assert median(ranks) == 0
    assert median(lifts) > 3
