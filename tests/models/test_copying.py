"""A copy has equal weights of its own, however the model came by them."""

import pytest
import torch
from torch import nn

from captum_featinv.models import LoadedModel, average_pooling
from captum_featinv.models.copying import copied
from captum_featinv.studies.claims.randomised import reinitialised


def normed(pool: nn.Module) -> nn.Module:
    """A convolution whose weights are computed from others, fresh, so that a graph hangs on them."""
    torch.manual_seed(3)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), pool)
    torch.nn.utils.weight_norm(net[0])
    return net


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_a_fresh_weight_norm_is_copied_pooled_on_average_and_drawn_anew() -> None:
    image, model = torch.rand(2, 3, 7, 8), normed(nn.MaxPool2d(2))
    assert not model[0].weight.is_leaf
    expected = normed(nn.AvgPool2d(2))(image)
    torch.testing.assert_close(average_pooling(model)(image), expected)
    again = reinitialised(LoadedModel(model, "mine")).model
    assert again(image).shape == expected.shape
    assert torch.equal(model(image), normed(nn.MaxPool2d(2))(image))


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_the_weights_of_a_copy_are_its_own() -> None:
    model, image = normed(nn.ReLU()), torch.rand(1, 3, 5, 5)
    before, made = model(image), copied(model)
    with torch.no_grad():
        made[0].weight_g.mul_(2)
        made[0].bias.zero_()
    assert torch.equal(model(image), before)
    assert not torch.equal(made(image), before)


def test_weights_that_two_layers_share_are_shared_in_the_copy() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    made = copied(model)
    assert made[0].weight is made[1].weight
    assert made[0].weight is not model[0].weight
