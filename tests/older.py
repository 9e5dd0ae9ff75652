"""What torch 2.3 says or does otherwise than its successors, for tests that run on all of them."""

from functools import cache

import torch


def autocasts() -> bool:
    """Whether the CPU does; asked in the old way, newer torch warns."""
    if hasattr(torch, "get_autocast_dtype"):
        return torch.is_autocast_enabled("cpu")
    return torch.is_autocast_cpu_enabled()


def autocast_dtype() -> torch.dtype:
    """What the CPU casts to; asked in the old way, newer torch warns."""
    if hasattr(torch, "get_autocast_dtype"):
        return torch.get_autocast_dtype("cpu")
    return torch.get_autocast_cpu_dtype()


@cache
def adam_counts_on_the_cpu() -> bool:
    """Rather than on the default device, from which it then reads: it cannot where that is meta."""
    parameter = torch.ones(1, requires_grad=True)
    parameter.grad = torch.ones(1)
    before = torch.get_default_device()
    torch.set_default_device("meta")
    try:
        torch.optim.Adam([parameter]).step()
    except NotImplementedError:
        return False
    finally:
        torch.set_default_device(before)
    return True
