"""State dicts as people save them: inside a checkpoint, with prefixes, with another head or none."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from captum_featinv.errors import ArgumentError, MissingExtraError, first_line

State = dict[str, Tensor]

_WRAPPINGS = ("state_dict", "model_state_dict", "model")
# Of DataParallel, torch.compile and Lightning.
_PREFIXES = ("module.", "_orig_mod.", "model.")
_NAMED = 3  # of many wrong keys
# Batch norms before PyTorch 0.4.1 did not count, and nothing in eval mode asks them.
_COUNTER = ".num_batches_tracked"


def read_state(path: Path) -> State:
    """A file's state dict, without what it was wrapped in.

    Raises:
        ArgumentError: there is none that can be read without running code.
        MissingExtraError: the package for this kind of file is not installed.
    """
    try:
        found = _read(path)
    except MissingExtraError:
        raise
    except Exception as error:  # each format and each way to be broken has an error of its own
        raise ArgumentError(
            f"{path} is no state dict that can be read safely ({type(error).__name__}: "
            f"{first_line(error)}); save one with torch.save(model.state_dict(), path)"
        ) from error
    for name in _WRAPPINGS:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
    if not isinstance(found, Mapping) or not any(isinstance(v, Tensor) for v in found.values()):
        raise ArgumentError(
            f"{path} holds no state dict but a {type(found).__name__}; save one with "
            "torch.save(model.state_dict(), path)"
        )
    return {str(key): value for key, value in found.items() if isinstance(value, Tensor)}


def unprefixed(state: State, model: nn.Module) -> State:
    """The state without prefixes that all its keys have and the model's do not."""
    wanted = model.state_dict().keys()
    while state.keys().isdisjoint(wanted):
        prefix = next((p for p in _PREFIXES if all(key.startswith(p) for key in state)), None)
        if prefix is None:
            break
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def classes_of(state: State, model: nn.Module) -> int | None:
    """How many classes the state's head tells apart; None where it has none for this model."""
    head = [state[key] for key in _head_of(model) if key in state]
    return len(head[-1]) if head and head[-1].dim() else None


def fit(state: State, model: nn.Module, path: Path, name: str) -> bool:
    """Give a model a state, and say whether its head was in there too.

    Raises:
        ArgumentError: something else than the head is missing, too much, or of another shape.
    """
    wanted: State = model.state_dict()
    head = _head_of(model)
    wrong = [
        key
        for key in dict.fromkeys([*wanted, *state])
        if not (key not in state and key.endswith(_COUNTER))
        if key not in state or key not in wanted or state[key].shape != wanted[key].shape
    ]
    others = [key for key in wrong if key.split(".")[0] not in {k.split(".")[0] for k in head}]
    if others:
        named = "; ".join(_difference(key, state, wanted) for key in others[:_NAMED])
        more = f"; and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        raise ArgumentError(f"{path} does not fit {name}: {named}{more}")
    model.load_state_dict({**wanted, **{k: v for k, v in state.items() if k not in wrong}})
    return not wrong


def _head_of(model: nn.Module) -> list[str]:
    """The names in the last of the model's parts that has any: what classifies, in a classifier."""
    names = list(model.state_dict())
    last = names[-1].split(".")[0] if names else ""
    # A network that is one sequence has no part that could be left out.
    return [n for n in names if n.split(".")[0] == last] if not last.isdecimal() else []


def _difference(key: str, state: State, wanted: State) -> str:
    if key not in state:
        return f"{key} is missing"
    if key not in wanted:
        return f"{key} is not the model's"
    return f"{key} is {tuple(state[key].shape)}, not {tuple(wanted[key].shape)}"


def _read(path: Path) -> Any:
    if path.suffix != ".safetensors":
        return torch.load(path, map_location="cpu", weights_only=True)
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingExtraError("to read .safetensors: pip install safetensors") from error
    return load_file(path)
