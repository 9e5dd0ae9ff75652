"""What many tests need: a small network with in-place and reused modules, and some photos."""

import os
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from captum_featinv import Recipe


class SmallNet(nn.Module):
    """Two convolutions, an in-place ReLU that is used twice, a batch norm, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 8, 3, padding=1)
        self.head = nn.Linear(8, 4)
        self.calls = 0

    def forward(self, image: Tensor, gain: Tensor | float = 1.0) -> Tensor:
        image = image * (gain.reshape(-1, 1, 1, 1) if isinstance(gain, Tensor) else gain)
        code = self.pool(self.relu(self.norm(self.conv1(image))))
        code = self.relu(self.conv2(code))
        self.calls += 1  # reached only when the forward is not cut short
        return self.head(code.mean((2, 3)))


@pytest.fixture(autouse=True)
def _seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(1234)
        yield


@pytest.fixture(autouse=True)
def _threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """One thread for tiny networks, which more would only slow down, and where time is measured."""
    threads = torch.get_num_threads()
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    slow = request.node.get_closest_marker("slow")
    torch.set_num_threads(max(1, threads // workers) if slow else 1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def model() -> SmallNet:
    return SmallNet().eval()


@pytest.fixture
def photos() -> Tensor:
    """Two photos of an odd, non-square size, normalised as ImageNet's."""
    return 4 * torch.rand(2, 3, 13, 18) - 2


@pytest.fixture
def fixed() -> Recipe:
    """The default recipe without a stop before its last step."""
    return Recipe.default(tolerance=None)


@pytest.fixture
def state_of() -> Callable[[nn.Module], dict[str, object]]:
    """All of a model that must come back as it was."""

    def state(model: nn.Module) -> dict[str, object]:
        return {
            "hooks": [
                (name, list(m._forward_hooks), list(m._forward_pre_hooks), list(m._backward_hooks))
                for name, m in model.named_modules()
            ],
            "modes": [m.training for m in model.modules()],
            "inplace": [getattr(m, "inplace", None) for m in model.modules()],
            "requires_grad": [p.requires_grad for p in model.parameters()],
            "grads": [None if p.grad is None else p.grad.tolist() for p in model.parameters()],
            "parameters": [p.tolist() for p in model.parameters()],
            "buffers": [b.tolist() for b in model.buffers()],
            "random": torch.random.get_rng_state().tolist(),
        }

    return state
