"""How something was made: all that is needed to make it again, as it stands in every file written."""

import argparse
import hashlib
import platform
import shlex
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from captum_featinv.images.folder import picture_files
from captum_featinv.models import LoadedModel
from captum_featinv.network.digest import digest_of
from captum_featinv.optimization.precision import name_of
from captum_featinv.optimization.recipe import Recipe

_PACKAGES = ("captum_featinv", "captum", "torch", "torchvision", "numpy", "pillow")
_DIGITS = 16


def record_of(
    options: argparse.Namespace,
    loaded: LoadedModel,
    recipe: Recipe,
    photos: Sequence[str | Path],
) -> dict[str, Any]:
    """Plain values, the same for the same command on the same machine.

    Args:
        options: of the command, with the `words` that were typed.
        loaded: the network.
        recipe: how images were looked for.
        photos: files, or folders of them.
    """
    seeds = options.seed if isinstance(options.seed, list) else [options.seed]
    where = torch.zeros((), device=loaded.device)
    return {
        "command": shlex.join(["captum-featinv", *options.words]),
        "model": loaded.description,
        "weights": digest_of(loaded.model.state_dict()),
        "photos": {str(path): _digest(path) for path in _files(photos)},
        "seed": seeds[0] if len(seeds) == 1 else seeds,
        "steps": recipe.n_steps,
        "recipe": recipe.to_dict(),
        "precision": name_of(recipe.precision, [where]),
        "device": _name(loaded.device),
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in _PACKAGES},
        },
    }


def _files(paths: Sequence[str | Path]) -> Iterator[Path]:
    for path in map(Path, paths):
        yield from picture_files(path) if path.is_dir() else [path]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:_DIGITS]


def _name(device: torch.device) -> str:
    """With the name of the GPU, which decides how it rounds."""
    if device.type == "cuda":
        return f"{device}, {torch.cuda.get_device_name(device)}"
    return f"{device}, {platform.machine()}"
