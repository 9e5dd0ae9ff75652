"""Lucent's front door: render an image that minimises an objective."""

from captum_featinv.render.features import Features
from captum_featinv.render.rendering import (
    RenderResult,
    export,
    render_vis,
    tensor_to_img_array,
    view,
)

__all__ = ["Features", "RenderResult", "export", "render_vis", "tensor_to_img_array", "view"]
