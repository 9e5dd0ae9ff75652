"""A step of our `render_vis` beside one of Lucent's: same objective, parameterization and image."""

import warnings

import pytest
import torchvision

from captum_featinv import param, render
from tests.benchmarks.stopwatch import LEAST_ROUNDS, MOST_ROUNDS, Stopwatch

pytestmark = pytest.mark.bench

LAYERS = {
    "relu1_2": ("features_3", 4.0),
    "relu2_2": ("features_8", 2.0),
    "relu3_3": ("features_15", 1.3),
}
STEPS = 6


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", LAYERS)
def test_a_step_is_faster_than_lucents(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lucent = pytest.importorskip("lucent.optvis.render", reason="Lucent is not installed")
    layer, bar = LAYERS[name]
    ours, theirs = Stopwatch(), Stopwatch()
    for round_ in range(MOST_ROUNDS):
        for call, stopwatch in ((render.render_vis, ours), (lucent.render_vis, theirs)):
            call(
                # A fresh model, or Lucent's would call the hooks of all its earlier runs.
                torchvision.models.vgg16(weights=None).eval(),
                f"{layer}:3",
                param_f=lambda: param.image(224),
                optimizer=stopwatch.optimizer,
                transforms=[],
                thresholds=(STEPS,),
                progress=False,
                show_image=False,
            )
        ratio = theirs.seconds_a_step / ours.seconds_a_step
        if round_ + 1 >= LEAST_ROUNDS and ratio >= bar:
            break
    print(
        f"\n{name}: Lucent {theirs.seconds_a_step:.4f} s, ours {ours.seconds_a_step:.4f} s, "
        f"{ratio:.2f} times faster"
    )
    assert ratio >= bar
