"""DataParallel without a GPU: replicas that really run, each in a thread, each on "its" device."""

from threading import Thread
from typing import Any

import torch
from torch import Tensor, nn
from torch._utils import ExceptionWrapper
from torch.overrides import TorchFunctionMode

from tests.older import autocast_dtype, autocasts


class OnDevice(TorchFunctionMode):
    """In this thread, every tensor says that it is on one GPU."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self._device = torch.device("cuda", index)

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function == Tensor.device.__get__:
            return self._device
        return function(*args, **(kwargs or {}))


class Replicas(nn.DataParallel):
    """What DataParallel does on two GPUs: scatter, replicate, run in threads, gather.

    Replicas are made by PyTorch's own `_replicate_for_data_parallel`, so they share hooks with the
    model, hold plain tensors for parameters and lose what they set on themselves. An error in one
    comes back as `parallel_apply` has it. `seen` tells how many rows each replica was given.
    """

    def __init__(self, module: nn.Module, count: int = 2) -> None:
        super().__init__(module)
        self.device_ids = list(range(count))
        self.seen: list[tuple[int, int]] = []

    def forward(self, image: Tensor) -> Tensor:
        chunks = image.chunk(len(self.device_ids))
        results: dict[int, Any] = {}
        # Threads have modes of their own.
        gradients = torch.is_grad_enabled()
        halved, dtype = autocasts(), autocast_dtype()

        def work(index: int) -> None:
            try:
                with (
                    OnDevice(index),
                    torch.set_grad_enabled(gradients),
                    torch.autocast("cpu", dtype, enabled=halved),
                ):
                    self.seen.append((index, len(chunks[index])))
                    results[index] = replicated(self.module)(chunks[index])
            except Exception:
                results[index] = ExceptionWrapper(where=f"in replica {index}")

        threads = [Thread(target=work, args=(index,)) for index in range(len(chunks))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        outputs = [results[index] for index in range(len(chunks))]
        for output in outputs:
            if isinstance(output, ExceptionWrapper):
                output.reraise()
        return torch.cat(outputs)


def replicated(module: nn.Module) -> nn.Module:
    """One replica of a module and all that is in it, on the same weights."""
    modules = list(dict.fromkeys(module.modules()))
    copies = {one: one._replicate_for_data_parallel() for one in modules}
    for one, copy in copies.items():
        for name, child in one._modules.items():
            setattr(copy, name, None if child is None else copies[child])
        for name, parameter in one._parameters.items():
            setattr(copy, name, None if parameter is None else parameter.view_as(parameter))
        copy._buffers = dict(one._buffers)
    return copies[module]
