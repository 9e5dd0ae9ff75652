"""Is a picture this filter's? Measures on the code that a layer gives for it.

All functions take the code of the pictures, (rows, channel, *positions), and the filter of interest
of each row, (rows,), and return one number a row, (rows,), if they do not say otherwise. After a
ReLU codes are not negative; elsewhere "activation" in the squares below has either sign and "fires"
means above zero.
"""

import torch
from torch import Tensor


def share(code: Tensor, filters: Tensor) -> Tensor:
    """The filter's part of its layer's squared activation, in [0, 1].

    `sum_p y_k^2 / sum_c sum_p y_c^2`; 0 where the whole layer is silent.

    Args:
        code: see above, (rows, channel, *positions).
        filters: see above, (rows,).

    Returns:
        (rows,), in [0, 1].

    Example:
        >>> import torch
        >>> share(torch.tensor([[[3.0], [4.0]]]), torch.tensor([0]))
        tensor([0.3600])
    """
    squares = _squares(code)
    return _safe_ratio(_own(squares, filters), squares.sum(1))


def inner(code: Tensor, margin: int = 2) -> Tensor:
    """A code without its outermost places, where padding with zeros drives filters.

    Args:
        code: (rows, channel, *positions).
        margin: how many places go at both ends of every dimension of positions; where a map is too
            small for that, fewer, so that one or two remain.

    Returns:
        A view; a code without positions as it is.

    Example:
        >>> import torch
        >>> inner(torch.arange(7).reshape(1, 1, 7))
        tensor([[[2, 3, 4]]])
        >>> inner(torch.zeros(2, 5, 1, 4)).shape
        torch.Size([2, 5, 1, 2])
    """
    for dim in range(2, code.dim()):
        size = code.shape[dim]
        cut = min(margin, (size - 1) // 2)
        code = code.narrow(dim, cut, size - 2 * cut)
    return code


def inner_share(code: Tensor, filters: Tensor) -> Tensor:
    """The share among the inner places: what a filter has of the picture, and not of its frame.

    Args:
        code: see above, (rows, channel, *positions).
        filters: see above, (rows,).

    Returns:
        (rows,), in [0, 1].

    Example:
        >>> import torch
        >>> frame = torch.tensor([[[9.0, 9.0, 3.0, 9.0, 9.0], [0.0, 0.0, 4.0, 0.0, 0.0]]])
        >>> inner_share(frame, torch.tensor([0])), share(frame, torch.tensor([0]))
        (tensor([0.3600]), tensor([0.9542]))
    """
    return share(inner(code), filters)


def lift(code: Tensor, photo_code: Tensor, filters: Tensor) -> Tensor:
    """How many times the filter's share in the photo its share in the picture is.

    Infinite where the filter is silent in the photo and not in the picture; 1 where it is silent in
    both.

    Args:
        code: of the pictures, (rows, channel, *positions).
        photo_code: of the photos, likewise.
        filters: see above, (rows,).

    Returns:
        (rows,), from 0 to infinity.
    """
    after, before = share(code, filters), share(photo_code, filters)
    never = (after == 0) & (before == 0)
    return torch.where(never, torch.ones_like(after), after / before)


def rank(code: Tensor, filters: Tensor) -> Tensor:
    """How many filters of the layer have more squared activation; 0 is the strongest.

    Args:
        code: see above, (rows, channel, *positions).
        filters: see above, (rows,).

    Returns:
        Whole numbers, (rows,).
    """
    squares = _squares(code)
    return (squares > _own(squares, filters)[:, None]).sum(1)


def coverage(code: Tensor, filters: Tensor) -> Tensor:
    """The share of positions where the filter fires, in [0, 1].

    Args:
        code: see above, (rows, channel, *positions).
        filters: see above, (rows,).

    Returns:
        (rows,), in [0, 1].
    """
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


def twins(code: Tensor, filters: Tensor) -> tuple[Tensor, Tensor]:
    """Of each filter the other one of its layer whose map is most like its own.

    A texture of a filter is one of its twin, too, so that often it comes second in its own picture.

    Args:
        code: of the photos, (rows, channel, *positions).
        filters: see above.

    Returns:
        The twins' numbers and Pearson's correlations over positions with them, in [-1, 1]. What is
        alike everywhere, silent filters as others, is like nothing: where a filter's own map or those
        of all others are, there is no twin, and the numbers are -1 and 0.

    Example:
        >>> import torch
        >>> code = torch.tensor([[[0.0, 1.0, 2.0], [2.0, 1.0, 0.0], [0.0, 2.0, 4.0], [5.0, 5.0, 5.0]]])
        >>> numbers, found = twins(code.expand(2, -1, -1), torch.tensor([0, 3]))
        >>> numbers, found.round(decimals=3)
        (tensor([ 2, -1]), tensor([1., 0.]))
    """
    maps = code.reshape(*code.shape[:2], -1)
    own = _own_map(code, filters)
    # Centring one of the two is enough, and takes no second copy of the code.
    together = torch.bmm(maps, (own - own.mean(1, keepdim=True))[..., None])[..., 0]
    spread = maps.var(2, correction=0).sqrt() * maps.shape[2]
    alike = together / (spread * own.std(1, correction=0, keepdim=True))
    comparable = (spread > 0) & (_own(spread, filters) > 0)[:, None]
    comparable[torch.arange(len(code), device=code.device), filters] = False
    found, numbers = alike.clamp(-1, 1).masked_fill(~comparable, -torch.inf).max(1)
    none = ~comparable.any(1)
    return numbers.masked_fill(none, -1), found.masked_fill(none, 0)


def leakage(code: Tensor, filters: Tensor) -> Tensor:
    """The part of the layer's squared activation that is not the filter's, `1 - share`.

    1 where the whole layer is silent: nothing of it is the filter's.

    Args:
        code: see above, (rows, channel, *positions).
        filters: see above, (rows,).

    Returns:
        (rows,), in [0, 1].
    """
    return 1 - share(code, filters)


def attained(code: Tensor, target: Tensor, filters: Tensor) -> Tensor:
    """How much of the energy asked for is there, `<y_k, T_k> / <T_k, T_k>`; 1 is all of it.

    0 where nothing was asked for. `target` is T_k, (rows, *positions).

    Args:
        code: see above, (rows, channel, *positions).
        target: T_k, (rows, *positions).
        filters: see above, (rows,).

    Returns:
        (rows,).
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
