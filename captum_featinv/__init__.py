"""What does this filter of this CNN extract? Feature map inversion for Captum."""

from captum_featinv import objectives, param, render, transform
from captum_featinv.inversion import CodeInversion, FeatureMapInversion
from captum_featinv.layers import list_layers
from captum_featinv.recipe import Recipe

__all__ = [
    "CodeInversion",
    "FeatureMapInversion",
    "Recipe",
    "list_layers",
    "objectives",
    "param",
    "render",
    "transform",
]
