"""Dictionaries: a code in terms of directions of filters, each of which then is a filter itself.

A concept vector, a component of NMF or PCA, a latent of a sparse autoencoder: whatever can be
computed from the activations of all filters at one place. In such a basis everything keeps its formula:
"filter k" is direction k, energies, shares and ranks are among the directions.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from captum_featinv.doubles import doubled
from captum_featinv.errors import ArgumentError, ArgumentTypeError, LayerError
from captum_featinv.network.digest import digest_of

# What takes maps; anything else is taken to work on vectors, as encoders and probes do.
_OF_MAPS = nn.modules.conv._ConvNd


class Dictionary:
    """From a code (N, channel, *positions) to the same in terms of K directions, (N, K, *positions)."""

    @abstractmethod
    def __call__(self, code: Tensor) -> Tensor:
        """The code in terms of the directions."""

    @abstractmethod
    def back(self, code: Tensor, said: Tensor) -> Tensor:
        """The code of the layer of which the directions say this instead.

        What they do not say of it stays as it is.
        """


def directions(weights: Any, activation: Callable[[Tensor], Tensor] | None = None) -> Dictionary:
    """A linear dictionary: direction k says `activation(sum_c W_kc F_c(p))` at every place.

    Of layers with channels last and of tokens it sees the channels as everything here does; for others
    see `compose`. With fewer directions than channels, what is orthogonal to all of them is
    neither asked for nor silenced: `captum_featinv.directions.completed` adds it as further directions.

    Args:
        weights: W, (K, channel), of either sign; a tensor or an array.
        activation: what follows, such as `torch.relu` or `top_k(8)`; nothing if None. Of negative codes
            energy counts nothing.

    Returns:
        The dictionary, a view; its way back is the pseudo-inverse of W.

    Raises:
        ArgumentError: W is no finite matrix.

    Example:
        >>> import torch
        >>> difference = directions([[1.0, -1.0], [-1.0, 1.0]], torch.relu)
        >>> difference(torch.tensor([[[3.0, 1.0], [2.0, 2.0]]]))
        tensor([[[1., 0.],
                 [0., 1.]]])
    """
    matrix = torch.as_tensor(weights).detach().clone()
    if matrix.dim() != 2 or not matrix.numel() or matrix.is_complex():
        raise ArgumentError(
            f"directions have shape {tuple(matrix.shape)} ({matrix.dtype}), expected real numbers "
            "(K, channel); direction[None] makes a matrix of one vector"
        )
    matrix = matrix if matrix.is_floating_point() else matrix.float()
    if not bool(torch.isfinite(matrix).all()):
        raise ArgumentError("directions have values that are NaN or infinite")
    return _Directions(matrix, activation)


def dictionary(
    encoder: Callable[[Tensor], Tensor],
    decoder: Callable[[Tensor], Tensor] | None = None,
    *,
    maps: bool | None = None,
) -> Dictionary:
    """Any dictionary, such as the encoder of a sparse autoencoder.

    Args:
        encoder: from what the layer says to what K directions say of it: vectors (places, channel) to
            (places, K), or maps (N, channel, *positions) to (N, K, *positions). In eval mode, if it
            has modes.
        decoder: the way back, which removing directions takes (`explain`, `ablation`).
        maps: whether it is maps that these take; if None, whether the encoder is a module with a
            convolution in it.

    Returns:
        The dictionary, a view; its way back is `decoder`.

    Raises:
        ArgumentTypeError: encoder or decoder cannot be called.

    Example:
        >>> import torch
        >>> encoder = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU())
        >>> dictionary(encoder)(torch.rand(2, 3, 5, 7)).shape
        torch.Size([2, 8, 5, 7])
    """
    _require_function(encoder, "encoder")
    if decoder is not None:
        _require_function(decoder, "decoder")
    return _Encoded(encoder, decoder, _takes_maps(encoder) if maps is None else maps)


def top_k(k: int) -> Callable[[Tensor], Tensor]:
    """An activation: the k largest directions of each place, as far as they are positive, others 0.

    Args:
        k: how many, at least 1.

    Returns:
        From a code (N, K, *positions) to one of the same shape.

    Raises:
        ArgumentError: k is less than 1.

    Example:
        >>> import torch
        >>> top_k(1)(torch.tensor([[3.0, 5.0, -1.0]]))
        tensor([[0., 5., 0.]])
    """
    if k < 1:
        raise ArgumentError(f"top_k keeps 1 direction or more. Given: {k}")
    return _TopK(k)


@dataclass(frozen=True)
class _TopK:
    k: int

    def __call__(self, code: Tensor) -> Tensor:
        largest = code.topk(min(self.k, code.shape[1]), dim=1).indices
        # A product, so that a search can ask for more where a direction is not among the largest.
        return code.relu() * torch.zeros_like(code).scatter_(1, largest, 1)


@dataclass(frozen=True, eq=False)
class _Directions(Dictionary):
    weights: Tensor
    activation: Callable[[Tensor], Tensor] | None
    _near: dict[str, Tensor] = field(default_factory=dict, repr=False)
    """the weights and their inverse where the codes are, so that no step copies them there"""

    def __call__(self, code: Tensor) -> Tensor:
        count, channels = self.weights.shape
        if code.dim() < 2 or code.shape[1] != channels:
            raise LayerError(
                f"these {count} directions are of {channels} channels, but the layer's code has shape "
                f"{tuple(code.shape)}, with channels in dimension 1; learn them at this layer"
            )
        said = _mixed(self._at("forth", code), code)
        return said if self.activation is None else self.activation(said)

    def back(self, code: Tensor, said: Tensor) -> Tensor:
        return code + _mixed(self._at("back", code), said - self(code))

    def _at(self, way: str, code: Tensor) -> Tensor:
        """The weights, or the smallest change of a code that changes what one direction says by 1."""
        kept = self._near.get(way)
        if kept is None or kept.device != code.device or kept.dtype != code.dtype:
            weights = self.weights if way == "forth" else torch.linalg.pinv(doubled(self.weights))
            kept = self._near[way] = weights.to(code)
        return kept

    def __repr__(self) -> str:
        count, channels = self.weights.shape
        digest = digest_of({"weights": self.weights})
        followed = "" if self.activation is None else f", activation={_named(self.activation)}"
        return f"directions({count} of {channels} channels, {digest}{followed})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Directions)
            and torch.equal(self.weights, other.weights)
            and self.activation == other.activation
        )

    def __hash__(self) -> int:
        return hash(repr(self))

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_near": {}}


@dataclass(frozen=True)
class _Encoded(Dictionary):
    encoder: Callable[[Tensor], Tensor]
    decoder: Callable[[Tensor], Tensor] | None
    maps: bool

    def __repr__(self) -> str:
        parts = [_named(one) for one in (self.encoder, self.decoder) if one is not None]
        return f"dictionary({', '.join(parts)}, maps={self.maps})"

    def __call__(self, code: Tensor) -> Tensor:
        return self._applied(self.encoder, code, "encoder")

    def back(self, code: Tensor, said: Tensor) -> Tensor:
        if self.decoder is None:
            raise ArgumentError(
                "to change what a direction says, a dictionary needs its way back to the layer: "
                "views.dictionary(encoder, decoder)"
            )
        # What the decoder does not give back of the code stays.
        changed, before = (self._applied(self.decoder, it, "decoder") for it in (said, self(code)))
        return code + (changed - before)

    def _applied(self, function: Callable[[Tensor], Tensor], code: Tensor, name: str) -> Tensor:
        """A function of maps or of vectors, on maps."""
        last = code.movedim(1, -1)
        given = code if self.maps else last.reshape(-1, last.shape[-1])
        try:
            said: Any = function(given)
        except (RuntimeError, ValueError, TypeError) as error:
            kind, other = ("maps", "vectors") if self.maps else ("vectors", "maps")
            raise LayerError(
                f"the {name} of the dictionary failed on {kind} of shape {tuple(given.shape)}: "
                f"{error}. If it takes {other}, say maps={not self.maps}"
            ) from error
        if not isinstance(said, Tensor) or said.dim() != given.dim() or _kept(said) != _kept(given):
            what = tuple(said.shape) if isinstance(said, Tensor) else type(said).__name__
            raise LayerError(
                f"the {name} of the dictionary gave {what} for {tuple(given.shape)}, expected one "
                "tensor with another number in dimension 1; of several outputs pick one, such as "
                "lambda code: sae.encode(code)[1]"
            )
        return said if self.maps else said.reshape(*last.shape[:-1], -1).movedim(-1, 1)


def _named(function: Any) -> str:
    """A function by its name, a module, or one's method, also by what its weights hold."""
    if isinstance(function, nn.Module):
        return f"{type(function).__name__} {digest_of(function.state_dict())}"
    owner, name = getattr(function, "__self__", None), getattr(function, "__name__", function)
    return f"{_named(owner)}.{name}" if isinstance(owner, nn.Module) else str(name)


def _require_function(given: Any, name: str) -> None:
    if not callable(given):
        raise ArgumentTypeError(
            f"the {name} of a dictionary is a function or a module, but found: {type(given)}"
        )


def _kept(code: Tensor) -> tuple[int, ...]:
    """All of a shape but dimension 1."""
    return (code.shape[0], *code.shape[2:])


def _takes_maps(encoder: Any) -> bool:
    return isinstance(encoder, nn.Module) and any(
        isinstance(m, _OF_MAPS) for m in encoder.modules()
    )


def _mixed(weights: Tensor, code: Tensor) -> Tensor:
    """`sum_c W_kc F_c(p)`, laid out in memory as the code is."""
    if code.dim() == 2:
        return code @ weights.T
    if code.is_contiguous():
        return (weights @ code.flatten(2)).reshape(len(code), -1, *code.shape[2:])
    return (code.movedim(1, -1) @ weights.T).movedim(-1, 1)
