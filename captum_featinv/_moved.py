"""Where the modules of version 0.1 live now, so that old imports keep working."""

import sys
from importlib import import_module

MOVED = {
    "ablation": "network.ablation",
    "activations": "network.activations",
    "anatomy": "network.anatomy",
    "checkpoints": "models.checkpoints",
    "denoise": "images.denoise",
    "descent": "optimization.descent",
    "display": "images.display",
    "features": "render.features",
    "heatmap": "images.heatmap",
    "layers": "network.layers",
    "normalization": "images.normalization",
    "photos": "images.files",
    "reading": "network.reading",
    "recipe": "optimization.recipe",
    "report": "inversion.report",
    "selectors": "inversion.selectors",
}


def keep_old_names(package: str) -> None:
    """Let `package.old` be imported, and be there once it was, as the module that took its place."""
    for old, new in MOVED.items():
        module = import_module(f"{package}.{new}")
        sys.modules.setdefault(f"{package}.{old}", module)
        setattr(sys.modules[package], old, module)
