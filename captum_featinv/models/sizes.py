"""Models that take images of one size only."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torchvision.models import MaxVit, VisionTransformer

_MAXVIT_STRIDE = 4  # of its first block


def fixed_size(model: nn.Module) -> int | None:
    """The edge of the only square that a model takes; None if it takes others, or nobody says."""
    if isinstance(model, VisionTransformer):
        return int(model.image_size)
    if isinstance(model, MaxVit):
        return int(model.blocks[0].grid_size[0]) * _MAXVIT_STRIDE
    return _fixed_in_timm(model)


def _fixed_in_timm(model: nn.Module) -> int | None:
    """By its patch embedding, which may have been made for another size than the weights were."""
    patches = getattr(model, "patch_embed", None)
    strict = getattr(patches, "strict_img_size", None)
    if isinstance(strict, bool):
        return _edge(getattr(patches, "img_size", None)) if strict else None
    config = getattr(model, "pretrained_cfg", None)
    if isinstance(config, Mapping) and config.get("fixed_input_size"):
        return _edge(config["input_size"][1:])
    return None


def _edge(size: Any) -> int | None:
    if not isinstance(size, Sequence) or len(size) != 2 or size[0] != size[1]:
        return None
    return int(size[0])
