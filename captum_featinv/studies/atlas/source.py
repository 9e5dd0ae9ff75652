"""The network that an atlas is of: by what makes it, so that every process makes it once."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

from captum_featinv.models import LoadedModel, load_model


@dataclass(frozen=True)
class Named:
    """A network by name, for processes of their own; most fields are `load_model`'s arguments.

    Args:
        name: see `load_model`, as for all that follow.
        weights: see there.
        pooling: see there.
        mean: see there.
        std: see there.
        channels: see there.
        device: where a process puts it, such as `"cuda"`.
    """

    name: str
    weights: str | None = "DEFAULT"
    pooling: Literal["max", "average"] = "max"
    mean: float | tuple[float, ...] | None = None
    std: float | tuple[float, ...] | None = None
    channels: int | None = None
    device: str = "cpu"
    """where a process puts it, `LoadedModel.on`: with dask-cuda each worker sees a GPU of its own"""

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
    device = given.pop("device")
    name, weights, pooling = (given.pop(what) for what in ("name", "weights", "pooling"))
    return load_model(name, weights, pooling, **given).on(device)
