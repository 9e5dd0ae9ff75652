"""Is a picture this filter's? Measures on the code that a layer gives for it.

All functions take the code of the pictures, (rows, channel, *positions), and the filter of interest
of each row, (rows,), and return one number a row, (rows,). After a ReLU codes are not negative;
elsewhere "activation" in the squares below has either sign and "fires" means above zero.
"""

import torch
from torch import Tensor


def share(code: Tensor, filters: Tensor) -> Tensor:
    """The filter's part of its layer's squared activation, in [0, 1].

    `sum_p y_k^2 / sum_c sum_p y_c^2`; 0 where the whole layer is silent.

    Example:
        >>> import torch
        >>> share(torch.tensor([[[3.0], [4.0]]]), torch.tensor([0]))
        tensor([0.3600])
    """
    squares = _squares(code)
    return _safe_ratio(_own(squares, filters), squares.sum(1))


def lift(code: Tensor, photo_code: Tensor, filters: Tensor) -> Tensor:
    """How many times the filter's share in the photo its share in the picture is.

    Infinite where the filter is silent in the photo and not in the picture; 1 where it is silent in
    both.
    """
    after, before = share(code, filters), share(photo_code, filters)
    never = (after == 0) & (before == 0)
    return torch.where(never, torch.ones_like(after), after / before)


def rank(code: Tensor, filters: Tensor) -> Tensor:
    """How many filters of the layer have more squared activation; 0 is the strongest."""
    squares = _squares(code)
    return (squares > _own(squares, filters)[:, None]).sum(1)


def coverage(code: Tensor, filters: Tensor) -> Tensor:
    """The share of positions where the filter fires, in [0, 1]."""
    return (_own_map(code, filters) > 0).to(code.dtype).mean(1)


def correlation(code: Tensor, target: Tensor, filters: Tensor) -> Tensor:
    """Pearson's correlation over positions of the filter's map with the target map, in [-1, 1].

    Args:
        code: see above.
        target: T_k, (rows, *positions).
        filters: see above.

    Returns:
        The correlations; 0 where either map is constant.
    """
    own, target = _own_map(code, filters), target.reshape(len(code), -1)
    own, target = own - own.mean(1, keepdim=True), target - target.mean(1, keepdim=True)
    spread = own.square().sum(1).sqrt() * target.square().sum(1).sqrt()
    return _safe_ratio((own * target).sum(1), spread)


def leakage(code: Tensor, filters: Tensor) -> Tensor:
    """The part of the layer's squared activation that is not the filter's, `1 - share`.

    1 where the whole layer is silent: nothing of it is the filter's.
    """
    return 1 - share(code, filters)


def attained(code: Tensor, target: Tensor, filters: Tensor) -> Tensor:
    """How much of the energy asked for is there, `<y_k, T_k> / <T_k, T_k>`; 1 is all of it.

    0 where nothing was asked for. `target` is T_k, (rows, *positions).
    """
    own, target = _own_map(code, filters), target.reshape(len(code), -1)
    return _safe_ratio((own * target).sum(1), target.square().sum(1))


def _own(code: Tensor, filters: Tensor) -> Tensor:
    return code[torch.arange(len(code), device=code.device), filters]


def _own_map(code: Tensor, filters: Tensor) -> Tensor:
    """The filter's activations, all positions in one dimension."""
    return _own(code, filters).reshape(len(code), -1)


def _squares(code: Tensor) -> Tensor:
    return code.flatten(2).square().sum(2) if code.dim() > 2 else code.square()


def _safe_ratio(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole == 0, torch.zeros_like(part), part / whole)
