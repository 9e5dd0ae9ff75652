# The public names: imported on first use, so that asking for help costs no second of torch.
from . import codes, directions, metrics, objectives, param, render, style, transform
from .inversion import CodeInversion, FeatureMapInversion
from .network import views
from .network.layers import list_layers
from .optimization.recipe import Recipe

__version__: str

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
