import inspect
import warnings

import torch
from captum.attr import NoiseTunnel
from torch import Tensor, nn

from captum_featinv import FeatureMapInversion, render, style


def places_of(caught: list[warnings.WarningMessage]) -> set[tuple[str, int]]:
    assert caught
    return {(w.filename, w.lineno) for w in caught}


def line(offset: int) -> tuple[str, int]:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return __file__, frame.f_back.f_lineno + offset


def test_warnings_point_at_the_callers_line(model: nn.Module, photos: Tensor) -> None:
    """Whichever door, and whether it was noticed at once or deep inside."""
    bright = photos + 9
    fmi = FeatureMapInversion(model, "relu")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fmi.attribute(bright, 0, n_steps=1)
    assert places_of(caught) == {line(-1)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fmi.report(photos, bright, 0)
    assert places_of(caught) == {line(-1)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        style.restyle(model, bright, bright, style_layers=["relu"], content_layer="relu", n_steps=1)
    assert places_of(caught) == {line(-1)}
    model.train()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        render.render_vis(
            model, "relu:0", thresholds=(1,), show_image=False, progress=False, transforms=[]
        )
    assert places_of(caught) == {line(-3)}


def test_warnings_point_past_captum_at_who_called_it(model: nn.Module) -> None:
    tunnel = NoiseTunnel(FeatureMapInversion(model, "relu"))
    bright = torch.full((1, 3, 9, 9), 20.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tunnel.attribute(bright, nt_samples=2, neuron_selector=0, n_steps=1)
    assert places_of(caught) == {line(-1)}
