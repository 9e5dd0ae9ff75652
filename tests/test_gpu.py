"""What only a GPU can show; skipped where there is none."""

from collections.abc import Iterator

import pytest
import torch
import torchvision
from torch import Tensor

from captum_featinv import FeatureMapInversion, Recipe
from captum_featinv.optimization import loop

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


@pytest.fixture
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """From the third step on, where the host waits for the device it is an error."""
    whole = loop.descend

    def descend(*words: object, **options: object) -> Iterator[object]:
        for step, told in enumerate(whole(*words, **options)):
            if step == 2:
                torch.cuda.set_sync_debug_mode("error")
            yield told

    monkeypatch.setattr(loop, "descend", descend)
    yield
    torch.cuda.set_sync_debug_mode("default")


def inputs() -> Tensor:
    coarse = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return 4 * torch.nn.functional.interpolate(coarse, (96, 96), mode="bicubic") - 2


@pytest.mark.filterwarnings("ignore:filter")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_gpus_textures_have_the_shares_of_the_cpus(precision: str) -> None:
    model = torchvision.models.vgg16(weights=None).features.eval()
    recipe = Recipe.default(precision=precision)
    shares = []
    for device in ("cpu", "cuda"):
        fmi = FeatureMapInversion(model.to(device), "8", recipe=recipe)
        photo = inputs().to(device)
        textures = fmi.attribute(photo, [0, 5, 9, 30])
        assert textures.device.type == device
        shares.append([record.share for record in fmi.report(textures, photo, [0, 5, 9, 30])])
    assert shares[1] == pytest.approx(shares[0], rel=0.2)


@pytest.mark.filterwarnings("ignore:filter")
@pytest.mark.usefixtures("_no_waiting")
@pytest.mark.parametrize("recipe", [Recipe.default(tolerance=None), Recipe.smooth(tolerance=None)])
def test_no_step_waits_for_the_device(recipe: Recipe) -> None:
    model = torchvision.models.vgg16(weights=None).features.eval().to("cuda")
    torch.cuda.synchronize()
    with pytest.MonkeyPatch.context() as patch:
        # What comes after the last step reads results, and may wait.
        ended = loop._finished
        patch.setattr(
            loop,
            "_finished",
            lambda *words: (torch.cuda.set_sync_debug_mode("default"), ended(*words))[1],
        )
        FeatureMapInversion(model, "8", recipe=recipe).attribute(inputs().to("cuda"), [0, 5])


@pytest.mark.filterwarnings("ignore")
def test_the_command_line_takes_the_gpu_by_itself(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json
    from pathlib import Path

    from PIL import Image

    from captum_featinv.cli import main

    monkeypatch.chdir(str(tmp_path))
    Image.radial_gradient("L").convert("RGB").save("photo.png")
    words = "photo.png --model squeezenet1_1 --weights random --layer features.3 --size 64"
    assert main(["invert", *words.split(), "--steps=3", "--report=r.json"]) == 0
    assert json.loads(Path("r.json").read_text())["made"]["device"].startswith("cuda")
