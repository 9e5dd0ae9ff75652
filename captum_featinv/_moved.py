"""Where the modules of version 0.1 live now, so that old imports keep working."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

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


class _OldNames(MetaPathFinder, Loader):
    """Finds `package.old`: the very module that took its place, imported when it is asked for."""

    def __init__(self, package: str) -> None:
        self.places = {f"{package}.{old}": f"{package}.{new}" for old, new in MOVED.items()}

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in self.places else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(self.places[spec.name])
        self.own = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """It was run under its own name; only the import system's note of it was overwritten."""
        module.__spec__ = self.own


def keep_old_names(package: str) -> None:
    """Let `package.old` be imported, as the module that took its place."""
    sys.meta_path.append(_OldNames(package))
