"""Every model that torchvision has: three of its layers each, or a sentence on why not."""

from collections.abc import Callable
from statistics import geometric_mean

import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models import get_model_builder, list_models

from captum_featinv import FeatureMapInversion, Recipe, views
from captum_featinv.codes import channel_dim_of
from captum_featinv.errors import LayerError
from captum_featinv.models import load_model
from captum_featinv.network import read_code
from tests.inversion.found_layers import in_two_steps

VIDEO, DETECTION = list_models(models.video), list_models(models.detection)
# Optical flow takes pairs of images, each of at least 128 px, and reuses its encoder for both.
FLOW = list_models(models.optical_flow)
SIZES = (32, 64, 96, 128, 224, 300)
CLIPS = ((8, 32), (8, 64), (16, 64), (16, 224))

# One of each kind of building block,
FAMILIES = [
    "alexnet", "resnet18", "squeezenet1_1", "mobilenet_v2", "shufflenet_v2_x0_5", "swin_t",
    "quantized_mobilenet_v2",
]  # fmt: skip
# the smallest of every other file of torchvision's, and of those in which not all are alike,
OTHERS = [
    "vgg11_bn", "googlenet", "inception_v3", "densenet121", "mobilenet_v3_small", "efficientnet_b0",
    "efficientnet_v2_s", "convnext_tiny", "mnasnet0_5", "regnet_x_400mf", "regnet_y_400mf",
    "resnext50_32x4d", "wide_resnet101_2", "swin_v2_t", "vit_b_32", "maxvit_t", "raft_small",
    "lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large", "fcn_resnet50", "fcos_resnet50_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn", "keypointrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn",
    "retinanet_resnet50_fpn", "ssd300_vgg16", "ssdlite320_mobilenet_v3_large", "r3d_18", "s3d",
    "mvit_v2_s", "swin3d_t", "quantized_resnet18", "quantized_shufflenet_v2_x0_5",
    "quantized_googlenet", "quantized_inception_v3", "quantized_mobilenet_v3_large",
]  # fmt: skip
# and what is left of them, for who has an hour.
REST = sorted(set(list_models()) - {*FAMILIES, *OTHERS})

# So few that a hundred networks take minutes, so many that filters gain; over a network's three layers,
# for a single filter of random weights may lose at first.
_STEPS = 6
_GAIN = 1.05
# Of these random weights frequencies gain too little to see in so few steps (1.01).
ON_PIXELS = {"wide_resnet101_2"}

pytestmark = [
    # The error of a whole code may grow in so few steps, while its filter gains. No other of our
    # warnings is fine: the filter fires, the model is in eval mode, the image is in range.
    pytest.mark.filterwarnings("ignore:.*the run diverged:captum_featinv.errors.FeatInvWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch.ao"),
]


def runnable(name: str) -> tuple[Callable[..., object], nn.Module, Tensor]:
    """What to call, the model, and the smallest image that it takes."""
    model = load_model(name, "random").model
    called = model.backbone if name in DETECTION else model
    sizes = [(frames, s, s) for frames, s in CLIPS] if name in VIDEO else [(s, s) for s in SIZES]
    if name in FLOW:
        sizes = [(128, 128)]
    for size in sizes:
        image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
        try:
            with torch.no_grad():
                called(image, *([image] if name in FLOW else []))
        except Exception:  # whatever a model says to a size that it cannot take
            if size is sizes[-1]:
                raise
        else:
            return called, model, image
    raise AssertionError


def outputs_of(
    called: Callable[..., object], model: nn.Module, *inputs: Tensor
) -> dict[str, Tensor]:
    """What every module put out in its last call, if one tensor, in the order of these calls."""
    found: dict[str, Tensor] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            found.pop(name, None)
            if isinstance(output, Tensor):
                found[name] = output

        return hook

    handles = [m.register_forward_hook(note(name)) for name, m in model.named_modules() if name]
    with torch.no_grad():
        called(*inputs)
    for handle in handles:
        handle.remove()
    return found


def is_of_windows(code: Tensor, image: Tensor) -> bool:
    """Whether these are tokens of windows, as inside MaxViT's blocks, which are refused."""
    try:
        views.found(code, image, "layer")
    except LayerError as error:
        return "windows" in str(error)
    return False


def three_of(names: list[str]) -> list[str]:
    """An early, a middle and a late one."""
    return [names[len(names) // 8], names[len(names) // 2], names[-1 - len(names) // 8]]


def strongest(code: Tensor, image: Tensor) -> int:
    """The filter that fires most, wherever the code keeps its channels."""
    channels = code.movedim(channel_dim_of(code, image, "layer"), 1)
    return int(channels[0].flatten(1).clamp(min=0).sum(1).argmax())


def texture(
    called: Callable[..., object],
    module: nn.Module,
    image: Tensor,
    channel: int,
    *more: Tensor,
    recipe: Recipe,
) -> tuple[Tensor, float, float]:
    """The picture, the filter's share in it, and its share in the grey that the search starts from."""
    fmi = FeatureMapInversion(called, module, mean=0.5, std=0.25, recipe=recipe)
    shown, grey = (image - 0.5) / 0.25, torch.zeros_like(image)
    found: Tensor = fmi.attribute(shown, [channel], None, more or None)
    (reached,), (before,) = (
        fmi.report(picture, shown, channel, additional_forward_args=more or None)
        for picture in (found[:, 0], grey)
    )
    return found, reached.share, before.share


def check(name: str, recipe: Recipe) -> dict[str, float]:
    """Invert at three layers with feature maps: by what factor filters gain on grey."""
    called, model, image = runnable(name)
    more = [image] if name in FLOW else []
    codes = outputs_of(called, model, image, *more)
    others = outputs_of(called, model, image.flip(-1), *more)
    # Feature maps have the image's dimensions and are coarser grids over it.
    maps = {
        layer: code
        for layer, code in codes.items()
        if code.dim() == image.dim()
        and not torch.equal(code, others[layer])
        and code.is_floating_point()
        and len(code) == 1
        and code.shape[1] > 1
        and not is_of_windows(code, image)
    }
    modules = dict(model.named_modules())
    before = {key: value.clone() for key, value in model.state_dict().items()}
    # What RAFT computes from flow it has found so far is cut off from the images.
    layers = three_of([layer for layer in maps if name not in FLOW or "encoder" in layer[:16]])
    gains = {}
    for layer in layers:
        filter_ = strongest(maps[layer], image)
        found, share, at_first = texture(
            called, modules[layer], image, filter_, *more, recipe=recipe
        )
        assert found.shape == (1, 1, *image.shape[1:]), layer
        assert bool(torch.isfinite(found).all()), layer
        gains[layer] = share / at_first
    after = model.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert not any(module._forward_hooks for module in model.modules())
    assert all(p.grad is None for p in model.parameters())
    return gains


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_shows_its_filters(name: str) -> None:
    gains = check(name, Recipe.default(precision="float32", n_steps=_STEPS))
    assert len(gains) == 3
    assert geometric_mean(gains.values()) > _GAIN, gains


def test_every_file_of_torchvisions_is_asked() -> None:
    files = {get_model_builder(name).__module__ for name in list_models()}
    assert {get_model_builder(name).__module__ for name in (*FAMILIES, *OTHERS)} == files


@pytest.mark.parametrize(
    "name",
    [
        *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS),
        *(pytest.param(name, marks=pytest.mark.every) for name in REST),
    ],
)
def test_every_model_shows_its_filters(name: str) -> None:
    recipe = Recipe.fine if name in ON_PIXELS else Recipe.default
    gains = check(name, recipe(precision="float32", n_steps=_STEPS))
    print(f"\n{name}: " + ", ".join(f"{layer} x{gain:.2f}" for layer, gain in gains.items()))
    assert geometric_mean(gains.values()) > _GAIN, gains


# What a layer of each is: tokens behind one for the class, channels last, channels first.
TRANSFORMERS = {
    "vit_b_16": (224, "encoder.layers.encoder_layer_1.mlp.1", "encoder.layers.encoder_layer_11"),
    "swin_t": (64, "features.1.0.mlp.1", "features.7.1"),
    "convnext_tiny": (64, "features.1.0.block.4", "features.7.2"),
    "maxvit_t": (224, "blocks.0.layers.0", "blocks.3.layers.1"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers_and_their_kin_show_an_early_and_a_late_layer(name: str) -> None:
    size, *layers = TRANSFORMERS[name]
    model = load_model(name, "random").model
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    for layer in layers:
        code = read_code(model, layer, (image - 0.5) / 0.25)
        in_two_steps(model, layer, image, code)
        assert code.dim() == 4
        assert name != "vit_b_16" or code.shape[1:] in ((3072, 14, 14), (768, 14, 14))


@pytest.mark.slow
def test_maxvits_windows_are_told_from_its_maps() -> None:
    model = load_model("maxvit_t", "random").model
    attention = "blocks.0.layers.0.layers.window_attention"
    photo = torch.rand(1, 3, 224, 224)
    assert read_code(model, attention, photo).shape == (1, 64, 56, 56)
    with pytest.raises(LayerError, match=r"windows, places, channel.*choose the block around it"):
        read_code(model, f"{attention}.mlp_layer", photo)


def test_a_head_that_does_not_run_says_so() -> None:
    model = load_model("googlenet", "random").model
    with pytest.raises(LayerError, match=r"did not run.*auxiliary heads are skipped"):
        FeatureMapInversion(model, "aux1.conv").attribute(torch.rand(1, 3, 64, 64), 0, n_steps=2)


def test_a_layer_with_several_outputs_says_so() -> None:
    model = load_model("lraspp_mobilenet_v3_large", "random").model
    with pytest.raises(LayerError, match=r"choose a layer inside it.*views\.field\('low'\)"):
        FeatureMapInversion(model, "backbone").attribute(torch.rand(1, 3, 32, 32), 0, n_steps=2)


def test_a_layer_that_does_not_see_the_image_says_so() -> None:
    model = load_model("swin_v2_t", "random").model
    with pytest.raises(LayerError, match=r"no gradient.*does not depend on them.*choose another"):
        FeatureMapInversion(model, "features.1.0.attn.cpb_mlp").attribute(
            torch.rand(1, 3, 64, 64), 0, n_steps=2
        )


def test_a_layer_without_gradients_says_so() -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.relu(x.detach())

    with pytest.raises(LayerError, match="the model cuts gradients off"):
        FeatureMapInversion(Cut().eval(), "relu").attribute(torch.rand(1, 3, 8, 8), 0, n_steps=2)
