"""What does this filter of this CNN extract? Feature map inversion for Captum."""

from importlib.metadata import version

from captum_featinv import (
    codes,
    directions,
    metrics,
    objectives,
    param,
    render,
    style,
    transform,
)
from captum_featinv._moved import keep_old_names
from captum_featinv.inversion import CodeInversion, FeatureMapInversion
from captum_featinv.network import views
from captum_featinv.network.layers import list_layers
from captum_featinv.optimization.recipe import Recipe

__version__ = version("captum_featinv")

__all__ = [
    "CodeInversion",
    "FeatureMapInversion",
    "Recipe",
    "__version__",
    "codes",
    "directions",
    "list_layers",
    "metrics",
    "objectives",
    "param",
    "render",
    "style",
    "transform",
    "views",
]

keep_old_names(__name__)
