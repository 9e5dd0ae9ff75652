"""What a step costs beside the bare truncated network, and what a filter costs in memory."""

import multiprocessing

import pytest
import torch
import torchvision
from torch import Tensor, nn

from captum_featinv import FeatureMapInversion, Recipe
from captum_featinv.optimization.precision import Arithmetic, candidates
from captum_featinv.transform import RandomBlur
from tests.benchmarks.memory import peak_megabytes
from tests.benchmarks.stopwatch import LEAST_ROUNDS, MOST_ROUNDS, Stopwatch

pytestmark = pytest.mark.bench

# Each with a size at which a step takes some tenths of a second: longer ones are never undisturbed.
LAYERS = {"relu1_2": (3, 224), "relu3_3": (15, 160), "relu4_3": (22, 128)}
BAR = 1.05
SMALL_BAR = 1.3
STEPS = 8


def run_bare(prefix: nn.Module, photos: Tensor, stopwatch: Stopwatch, way: Arithmetic) -> None:
    """Steps written by hand, in ours' precision and memory layout: forward, squared error, backward."""
    target = prefix(photos).detach()
    image = torch.zeros_like(photos).requires_grad_()
    optimizer = stopwatch.optimizer([image])

    def closure() -> Tensor:
        with way.active(image.device):
            laid = image.contiguous(memory_format=way.format_of(image))
            code = prefix(laid).float()
        loss = 0.5 * (code - target).square().sum()
        (image.grad,) = torch.autograd.grad(loss, image)
        return loss

    for _ in range(STEPS):
        optimizer.step(closure)


def run_ours(model: nn.Module, layer: int, photos: Tensor, stopwatch: Stopwatch) -> None:
    """As many of the default recipe's, all of them with a blur."""
    recipe = Recipe.default(
        optimizer=stopwatch.optimizer,
        couples_rows=False,
        n_steps=STEPS,
        tolerance=None,
        transforms=(RandomBlur(probability=1.0),),
    )
    FeatureMapInversion(model, model[layer], recipe=recipe).attribute(photos, 3)


def ratio_of(model: nn.Module, layer: int, photos: Tensor, bar: float, title: str) -> float:
    """How many times as long as the bare network's a step of ours takes."""
    prefix = nn.Sequential(*list(model)[: layer + 1])
    bare, ours = Stopwatch(), Stopwatch()
    way = candidates("auto", [photos])[0]
    for round_ in range(MOST_ROUNDS):
        run_bare(prefix, photos, bare, way)
        run_ours(model, layer, photos, ours)
        ratio = ours.seconds_a_step / bare.seconds_a_step
        if round_ + 1 >= LEAST_ROUNDS and ratio <= bar:
            break
    print(
        f"\n{title}, {way}: bare {1000 * bare.seconds_a_step:.2f} ms, "
        f"ours {1000 * ours.seconds_a_step:.2f} ms, ratio {ratio:.3f}"
    )
    return ratio


@pytest.mark.filterwarnings("ignore:filter")
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_step_costs_little_more_than_the_bare_network(layer: str, batch: int) -> None:
    model = torchvision.models.vgg16(weights=None).features.eval()
    number, size = LAYERS[layer]
    photos = torch.rand(batch, 3, size, size) * 4 - 2
    title = f"{layer} batch {batch}, {size} px"
    assert ratio_of(model, number, photos, BAR, title) <= BAR


@pytest.mark.filterwarnings("ignore:filter")
def test_a_step_of_a_small_network_is_not_all_overhead() -> None:
    """Two convolutions at 64 px, where whatever comes around them shows."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()
    ).eval()
    photos = torch.rand(1, 3, 64, 64) * 4 - 2
    assert ratio_of(model, 3, photos, SMALL_BAR, "two convolutions, 64 px") <= SMALL_BAR


def _peak_megabytes(filters: int) -> float:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 256, 3, padding=1), nn.ReLU()).eval()
    fmi = FeatureMapInversion(model, "1")
    photo = torch.rand(1, 3, 96, 96) * 4 - 2
    fmi.attribute(photo, list(range(filters)), n_steps=2, internal_batch_size=4)
    return peak_megabytes()


@pytest.mark.filterwarnings("ignore")
def test_memory_does_not_grow_with_the_number_of_filters() -> None:
    """256 filters rather than 4 add their pictures, 27 MB each time they are copied, and no code.

    Their targets alone would be 2.4 GB.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, maxtasksperchild=1) as pool:
        few, many = (pool.apply(_peak_megabytes, (filters,)) for filters in (4, 256))
    print(f"\npeak memory: 4 filters {few:.0f} MB, 256 filters {many:.0f} MB")
    pictures = 252 * 3 * 96 * 96 * 4 / 1024**2
    assert many - few < 4 * pictures
