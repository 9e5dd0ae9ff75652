"""What a step costs beside the bare truncated network, and what a filter costs in memory."""

import multiprocessing
import resource
from statistics import median
from time import perf_counter

import pytest
import torch
import torchvision
from torch import Tensor, nn

from captum_featinv import FeatureMapInversion, Recipe

pytestmark = pytest.mark.bench

LAYERS = {"relu1_2": 3, "relu3_3": 15, "relu4_3": 22}
STEPS, ROUNDS = 3, 5


def vgg() -> nn.Module:
    return torchvision.models.vgg16(weights=None).features.eval().requires_grad_(requires_grad=True)


def bare_seconds(prefix: nn.Module, photos: Tensor) -> float:
    """A step written by hand: forward, squared error, backward, Adam."""
    target = prefix(photos).detach()
    image = torch.zeros_like(photos).requires_grad_()
    optimizer = torch.optim.Adam([image], lr=0.05)
    start = perf_counter()
    for _ in range(STEPS):
        loss = 0.5 * (prefix(image) - target).square().sum()
        (image.grad,) = torch.autograd.grad(loss, image)
        optimizer.step()
    return (perf_counter() - start) / STEPS


def our_seconds(model: nn.Module, layer: int, photos: Tensor) -> float:
    """A step of the default recipe: what a run of some steps takes more than one of fewer."""
    fmi = FeatureMapInversion(model, model[layer], recipe=Recipe.default(tolerance=None))
    times = []
    for steps in (1, 1 + STEPS):
        start = perf_counter()
        fmi.attribute(photos, 3, n_steps=steps)
        times.append(perf_counter() - start)
    return (times[1] - times[0]) / STEPS


@pytest.mark.filterwarnings("ignore:filter")
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_step_costs_little_more_than_the_bare_network(layer: str, batch: int) -> None:
    model = vgg()
    prefix = nn.Sequential(*list(model)[: LAYERS[layer] + 1])
    photos = torch.rand(batch, 3, 224, 224) * 4 - 2
    bare, ours = [], []
    for round_ in range(ROUNDS + 1):
        times = bare_seconds(prefix, photos), our_seconds(model, LAYERS[layer], photos)
        if round_:  # the first one warms up
            bare.append(times[0])
            ours.append(times[1])
    ratio = median(o / b for o, b in zip(ours, bare, strict=True))
    print(
        f"\n{layer} batch {batch}: bare {median(bare):.3f} s, ours {median(ours):.3f} s, {ratio:.3f}"
    )
    assert ratio <= 1.10


def _peak_megabytes(filters: int) -> float:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 256, 3, padding=1), nn.ReLU()).eval()
    fmi = FeatureMapInversion(model, "1")
    photo = torch.rand(1, 3, 128, 128) * 4 - 2
    fmi.attribute(photo, list(range(filters)), n_steps=2, internal_batch_size=4)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.filterwarnings("ignore")
def test_memory_does_not_grow_with_the_number_of_filters() -> None:
    """256 filters rather than 4 add their pictures, 48 MB each time they are copied, and no code.

    Their targets alone would be 4 GB.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, maxtasksperchild=1) as pool:
        few, many = (pool.apply(_peak_megabytes, (filters,)) for filters in (4, 256))
    print(f"\npeak memory: 4 filters {few:.0f} MB, 256 filters {many:.0f} MB")
    pictures = 252 * 3 * 128 * 128 * 4 / 1024**2
    assert many - few < 4 * pictures
