"""Double precision, wherever a tensor is."""

from torch import Tensor

# Apple's GPUs compute none.
_WITHOUT = {"mps"}


def doubled(tensor: Tensor) -> Tensor:
    """A tensor in double precision; on the CPU if its device has none.

    Example:
        >>> import torch
        >>> doubled(torch.ones(2))
        tensor([1., 1.], dtype=torch.float64)
    """
    return (tensor.cpu() if tensor.device.type in _WITHOUT else tensor).double()
