"""Lucent's front door: render an image that minimises an objective."""

from captum_featinv.render.features import Features
from captum_featinv.render.rendering import RenderResult, render_vis
from captum_featinv.render.showing import export, tensor_to_img_array, view

__all__ = ["Features", "RenderResult", "export", "render_vis", "tensor_to_img_array", "view"]
