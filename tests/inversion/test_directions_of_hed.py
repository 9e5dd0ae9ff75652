"""A dictionary learnt on real weights: every part has a picture of its own."""

from math import exp, log
from statistics import fmean, median

import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor

from captum_featinv import FeatureMapInversion, directions, views
from captum_featinv.codes import live_filters
from captum_featinv.images import middle_of
from captum_featinv.models import LoadedModel, load_model
from captum_featinv.network import read_code

LAYER = "features.13"  # relu3_2
PHOTOS = ("astronaut", "coffee", "chelsea", "rocket", "immunohistochemistry")
# The benchmark's: the filter fires nowhere much, or there is nothing to see.
FIRES, SEEN = 0.05, 0.1


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return load_model("vgg16", "hed", pooling="average")


@pytest.fixture(scope="module")
def inputs(loaded: LoadedModel) -> Tensor:
    photos = [Image.fromarray(getattr(skimage.data, name)()) for name in PHOTOS]
    return loaded.normalization.to_model(torch.cat([middle_of(photo, 96) for photo in photos]))


@pytest.mark.slow
def test_every_part_that_nmf_finds_is_the_strongest_in_its_picture(
    loaded: LoadedModel, inputs: Tensor
) -> None:
    parts = directions.nmf(loaded.model, LAYER, inputs, 32)
    view = views.directions(parts, torch.relu)
    photo = inputs[:1]
    live = sorted(live_filters(read_code(loaded.model, LAYER, photo, view=view)))
    assert len(live) == 32
    fmi = FeatureMapInversion(loaded.model, LAYER, view=view)
    report = fmi.report(fmi.attribute(photo, live), photo, live)
    print(f"\n{report}")
    print(f"median lift {median(r.lift for r in report):.1f}")
    assert median(r.rank for r in report) == 0
    assert sum(r.rank == 0 for r in report) >= 28
    # A part that has a share p of the photo's code cannot rise more than 1 / p times.
    assert median(r.lift for r in report) >= 10
    assert exp(fmean(log(r.share) for r in report)) >= 0.25
    assert [r.filter for r in report if r.coverage < FIRES or r.contrast < SEEN] == []


@pytest.mark.slow
def test_the_identity_gives_the_plain_picture_to_the_bit(
    loaded: LoadedModel, inputs: Tensor
) -> None:
    identity = views.directions(torch.eye(256))
    plain, seen = (
        FeatureMapInversion(loaded.model, LAYER, view=view).attribute(
            inputs[:1], [3, 200], n_steps=8
        )
        for view in (None, identity)
    )
    assert torch.equal(plain, seen)
