"""The network that an atlas is of: by what makes it, so that every process makes it once."""

import hashlib
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor, nn

from captum_featinv.models import LoadedModel, load_model

_DIGITS = 16  # of a hash: enough to tell the networks of one person apart


@dataclass(frozen=True)
class Named:
    """A network by name, for processes of their own; the fields are `load_model`'s arguments."""

    name: str
    weights: str | None = "DEFAULT"
    pooling: Literal["max", "average"] = "max"
    mean: float | tuple[float, ...] | None = None
    std: float | tuple[float, ...] | None = None
    channels: int | None = None

    def load(self) -> LoadedModel:
        """The network, once a process."""
        return _loaded(self)


Source = LoadedModel | Named
"""A network, or what it is called. The network itself travels with every piece of work."""


def loaded_from(source: Source) -> LoadedModel:
    """The network itself."""
    return source.load() if isinstance(source, Named) else source


@lru_cache(maxsize=1)
def _loaded(named: Named) -> LoadedModel:
    given: dict[str, Any] = asdict(named)
    return load_model(given.pop("name"), given.pop("weights"), given.pop("pooling"), **given)


def hash_of(model: nn.Module) -> str:
    """The weights and buffers of a network, by their names, as some digits."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(_bytes_of(value))
    return digest.hexdigest()[:_DIGITS]


def _bytes_of(value: Tensor) -> bytes:
    plain = value.detach().cpu().contiguous().flatten()
    return plain.view(torch.uint8).numpy().tobytes() if len(plain) else b""
