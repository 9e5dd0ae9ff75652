"""Nothing assumes a CPU: on the meta device a tensor made elsewhere, or read by the host, fails."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from captum_featinv import CodeInversion, FeatureMapInversion, Recipe


@pytest.mark.parametrize("recipe", [Recipe.default(tolerance=None), Recipe.paper(tolerance=None)])
def test_the_loop_runs_on_the_meta_device(model: nn.Module, photos: Tensor, recipe: Recipe) -> None:
    if recipe.denoise is not None:
        recipe = Recipe.paper(tolerance=None, denoise=None)
    fmi = FeatureMapInversion(model.to("meta"), "relu", recipe=recipe)
    textures, delta = fmi.attribute(
        photos.to("meta"), [0, (3, 1, 2)], n_steps=12, return_convergence_delta=True
    )
    assert textures.device.type == delta.device.type == "meta"
    assert textures.shape == (2, 2, 3, 13, 18)


def test_code_inversion_and_free_inputs_run_on_the_meta_device(
    model: nn.Module, photos: Tensor
) -> None:
    recipe = Recipe.default(tolerance=None)
    inversion = CodeInversion(model.to("meta"), ["conv1", "conv2"], mean=None, recipe=recipe)
    assert inversion.attribute(photos.to("meta"), n_steps=3).device.type == "meta"


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_models_of_other_precisions(model: nn.Module, photos: Tensor, dtype: torch.dtype) -> None:
    plain = FeatureMapInversion(model, "relu")
    other = FeatureMapInversion(deepcopy(model).to(dtype), "relu")
    textures = other.attribute(photos.to(dtype), [0, 3], n_steps=30)
    assert textures.dtype == dtype
    shares = [
        [record.share for record in fmi.report(pictures, inputs, [0, 3])]
        for fmi, pictures, inputs in (
            (plain, plain.attribute(photos, [0, 3], n_steps=30), photos),
            (other, textures, photos.to(dtype)),
        )
    ]
    assert shares[1] == pytest.approx(shares[0], rel=0.2)
