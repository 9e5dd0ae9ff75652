"""Copies for other people's methods: of any model, and nothing is written in place."""

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from captum_featinv.studies.explain import layer_attribution
from captum_featinv.studies.quiet import scratch_copy


class Shifts(nn.Sequential):
    """Writes into its input."""

    def forward(self, image: Tensor) -> Tensor:
        image -= 0.3
        return super().forward(image)


def classifier(kind: type[nn.Sequential]) -> nn.Module:
    torch.manual_seed(2)
    return kind(
        nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 2),
    ).eval()  # fmt: skip


def test_a_classifier_that_writes_into_its_input_is_explained(photos: Tensor) -> None:
    found = layer_attribution(classifier(Shifts), "1", photos, 1, "LayerGradCam")
    plain = layer_attribution(classifier(nn.Sequential), "1", photos - 0.3, 1, "LayerGradCam")
    assert_close(found, plain)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_a_model_whose_weights_are_fresh_from_weight_norm_is_copied(photos: Tensor) -> None:
    model = classifier(nn.Sequential)
    expected = model(photos)
    torch.nn.utils.weight_norm(model[0])
    copied = scratch_copy(model)
    assert_close(copied(photos), expected)
    assert copied[0].weight_v is not model[0].weight_v


def test_a_compiled_model_is_copied_as_it_was(photos: Tensor) -> None:
    model = classifier(nn.Sequential)
    copied = scratch_copy(torch.compile(model, backend="eager"))
    assert type(copied) is nn.Sequential
    assert_close(copied(photos), model(photos))
