"""timm's families, a small member of each: two layers of it are found, and each gives a picture."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from captum_featinv import views
from captum_featinv.metrics.table import as_table
from tests.inversion.found_layers import early_and_late, in_two_steps, maps_of, outputs_of

pytestmark = [
    pytest.mark.slow,
    # The error of a whole code may grow in two steps, while its filter gains.
    pytest.mark.filterwarnings("ignore:.*the run diverged:captum_featinv.errors.FeatInvWarning"),
]

# A small member, a small image on which it still has several places at its end, and what it is made
# with: of families that begin with 86 million parameters, fewer blocks.
FAMILIES: dict[str, tuple[str, int, dict[str, int]]] = {
    "vision_transformer": ("vit_tiny_patch16_224", 64, {"img_size": 64}),
    "deit": ("deit_tiny_distilled_patch16_224", 64, {"img_size": 64}),
    "eva": ("eva02_tiny_patch14_224", 64, {"img_size": 64}),
    "beit": ("beit_base_patch16_224", 64, {"img_size": 64, "depth": 3}),
    "naflexvit": ("naflexvit_base_patch16_gap", 64, {"img_size": 64, "depth": 3}),
    "vision_transformer_sam": ("samvit_base_patch16_224", 64, {"img_size": 64, "depth": 3}),
    "vision_transformer_relpos": ("vit_relpos_small_patch16_224", 64, {"img_size": 64}),
    "vision_transformer_hybrid": ("vit_tiny_r_s16_p8_224", 64, {"img_size": 64}),
    "cait": ("cait_xxs24_224", 64, {"img_size": 64}),
    "coat": ("coat_lite_tiny", 64, {"img_size": 64}),
    "convit": ("convit_tiny", 64, {"img_size": 64}),
    "crossvit": ("crossvit_tiny_240", 240, {}),
    "levit": ("levit_128s", 64, {"img_size": 64}),
    "mlp_mixer": ("mixer_s32_224", 64, {"img_size": 64}),
    "pit": ("pit_ti_224", 64, {"img_size": 64}),
    "twins": ("twins_svt_small", 64, {"img_size": 64}),
    "xcit": ("xcit_nano_12_p16_224", 64, {"img_size": 64}),
    "tnt": ("tnt_s_patch16_224", 64, {"img_size": 64}),
    "volo": ("volo_d1_224", 64, {"img_size": 64}),
    "vitamin": ("vitamin_small_224", 64, {"img_size": 64}),
    "swin_transformer": ("swin_tiny_patch4_window7_224", 64, {"img_size": 64}),
    "swin_transformer_v2": ("swinv2_tiny_window8_256", 64, {"img_size": 64}),
    "swin_transformer_v2_cr": ("swinv2_cr_tiny_224", 64, {"img_size": 64}),
    "mvitv2": ("mvitv2_tiny", 64, {"img_size": 64}),
    "hiera": ("hiera_tiny_224", 64, {"img_size": 64}),
    "hieradet_sam2": ("hieradet_small", 64, {}),
    "nest": ("nest_tiny", 64, {"img_size": 64}),
    "pvt_v2": ("pvt_v2_b0", 64, {}),
    "gcvit": ("gcvit_xxtiny", 64, {"img_size": 64}),
    "davit": ("davit_tiny", 64, {}),
    "focalnet": ("focalnet_tiny_srf", 64, {}),
    "maxxvit": ("maxvit_rmlp_pico_rw_256", 64, {"img_size": 64}),
    "mobilevit": ("mobilevit_xxs", 64, {"img_size": 64}),
    "edgenext": ("edgenext_xx_small", 64, {}),
    "efficientformer_v2": ("efficientformerv2_s0", 64, {"img_size": 64}),
    "efficientvit_msra": ("efficientvit_m0", 64, {"img_size": 64}),
    "efficientvit_mit": ("efficientvit_b0", 64, {}),
    "fastvit": ("fastvit_t8", 64, {}),
    "tiny_vit": ("tiny_vit_5m_224", 64, {}),
    "visformer": ("visformer_tiny", 64, {"img_size": 64}),
    "sequencer": ("sequencer2d_s", 64, {"img_size": 64}),
    "repvit": ("repvit_m0_9", 64, {"img_size": 64}),
    "convmixer": ("convmixer_768_32", 64, {}),
    "convnext": ("convnext_atto", 64, {}),
    "metaformer": ("poolformer_s12", 64, {}),
    "mambaout": ("mambaout_femto", 64, {}),
    "inception_next": ("inception_next_atto", 64, {}),
    "swiftformer": ("swiftformer_xs", 64, {"img_size": 64}),
    "shvit": ("shvit_s1", 64, {}),
    "starnet": ("starnet_s050", 64, {}),
    "efficientvim": ("efficientvim_m1", 64, {}),
    "iformer": ("iformer_t", 64, {}),
    "lowformer": ("lowformer_b0", 64, {}),
    "cpubone": ("cpubone_nano", 64, {}),
    "resnet": ("resnet10t", 64, {}),
    "regnet": ("regnetx_002", 64, {}),
    "mobilenetv3": ("mobilenetv3_small_050", 64, {}),
    "ghostnet": ("ghostnet_050", 64, {}),
    "hrnet": ("hrnet_w18_small", 64, {}),
    "densenet": ("densenet121", 64, {}),
}  # fmt: skip
Row = list[str]


@pytest.fixture(scope="module")
def rows() -> Iterator[list[Row]]:
    """A table of what was tried, printed at the end."""
    written: list[Row] = []
    yield written
    head = ["family", "model", "size", "layer", "code", "seen as", "picture"]
    print("\n" + as_table(head, written, words=7))


@pytest.mark.parametrize("family", FAMILIES)
def test_an_early_and_a_late_layer_of_a_family_are_found_and_shown(
    family: str, rows: list[Row]
) -> None:
    model, image = made(family)
    maps, outputs = maps_of(model, image), outputs_of(model, image)
    for layer in early_and_late(model, maps):
        code, seen = maps[layer], views.found(outputs[layer], image, layer, model)
        row = [family, FAMILIES[family][0], str(FAMILIES[family][1]), layer]
        row += ["x".join(map(str, code.shape[1:])), "it is" if seen is None else str(seen)]
        in_two_steps(model, layer, image, code)
        rows.append([*row, "ok"])


def made(family: str) -> tuple[nn.Module, Tensor]:
    """A model with random weights, and an image, (1, 3, H, W) in [0, 1]."""
    timm = pytest.importorskip("timm")
    name, size, options = FAMILIES[family]
    torch.manual_seed(0)
    model: Any = timm.create_model(name, pretrained=False, **options)
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    return model.eval(), image
