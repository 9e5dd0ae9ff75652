"""Small networks of every kind of layer, and photos in every kind of memory."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from captum_featinv import views

CHANNELS = 3


class InPlaceFunction(nn.Module):
    def forward(self, code: Tensor) -> Tensor:
        return functional.relu(code, inplace=True)


class Branch(nn.Module):
    """A residual branch that is added in place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, code: Tensor) -> Tensor:
        branch = self.conv(code)
        branch += code
        return branch


class Counting(nn.Module):
    """Counts its calls in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, code: Tensor) -> Tensor:
        self.calls += 1  # type: ignore[operator]
        return code * 1.5


class Tokens(nn.Module):
    """Maps as a line of tokens behind a class token, each mixed by a linear layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, code: Tensor) -> Tensor:
        line = code.flatten(2).mT
        return self.linear(torch.cat([line.mean(1, keepdim=True), line], 1)).relu()


class Last(nn.Module):
    """Channels last, and the linear layer that likes them there."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, code: Tensor) -> Tensor:
        return self.linear(code.movedim(1, -1)).relu()


class Fields(nn.Module):
    def __init__(self, make: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.make = make

    def forward(self, code: Tensor) -> Any:
        return self.make(code)


LAYERS: dict[str, Callable[[int], nn.Module]] = {
    "conv": lambda width: nn.Conv2d(width, width, 3, padding=1),
    "relu": lambda _: nn.ReLU(),
    "in-place relu": lambda width: nn.Sequential(nn.Conv2d(width, width, 1), nn.ReLU(inplace=True)),
    "in-place function": lambda width: nn.Sequential(nn.Conv2d(width, width, 1), InPlaceFunction()),
    "gelu": lambda _: nn.GELU(),
    "max pooling": lambda _: nn.MaxPool2d(2, ceil_mode=True),
    "average pooling": lambda _: nn.AvgPool2d(2, ceil_mode=True),
    "norm": lambda width: nn.BatchNorm2d(width),
    "dropout": lambda _: nn.Dropout(0.5),
    "residual": Branch,
    "counting": lambda _: Counting(),
}
ENDS: dict[str, Callable[[int], nn.Module]] = {
    "maps": lambda width: nn.Conv2d(width, width, 1),
    "tokens": Tokens,
    "channels last": Last,
    "dict": lambda _: Fields(lambda code: {"out": code, "aux": None}),
    "tuple": lambda _: Fields(lambda code: (code.sum(), code)),
}


class Network(nn.Module):
    """A stem, any layers, an end that is asked for, and what comes behind it.

    Args:
        kinds: of the layers.
        end: of the layer that is asked for.
        width: how many filters.
        again: which of the layers run a second time, right before the end.
        writes: whether it writes into the image that it is shown.
    """

    def __init__(
        self,
        kinds: Sequence[str],
        end: str,
        width: int,
        again: Sequence[int] = (),
        *,
        writes: bool = False,
    ) -> None:
        super().__init__()
        self.writes = writes
        self.stem = nn.Conv2d(CHANNELS, width, 3, padding=1)
        self.layers = nn.ModuleList(LAYERS[kind](width) for kind in kinds)
        self.again = tuple(again)
        self.end = ENDS[end](width)
        self.head = nn.Linear(width, 4)

    def forward(self, image: Tensor) -> Tensor:
        code = self.stem(image.mul_(0.9) if self.writes else image)
        for layer in self.layers:
            code = layer(code)
        for number in self.again:
            code = self.layers[number](code)
        said = self.end(code)
        if isinstance(said, Tensor):
            code = code + said.sum() * 0
        return self.head(code.mean((2, 3)))


class Case(NamedTuple):
    """A network, some photos, and what is asked of them."""

    model: Network
    photos: Tensor
    view: views.View | None
    filters: int | list[int]
    steps: int
    seed: int


_DTYPES = (torch.float32, torch.float64, torch.bfloat16)
_HALVINGS = ("max pooling", "average pooling")


@st.composite
def networks(draw: st.DrawFn, dtypes: Sequence[torch.dtype] = _DTYPES) -> tuple[Network, str]:
    """A network in eval mode with hooks, gradients and frozen weights of the user's own."""
    kinds = draw(st.lists(st.sampled_from(sorted(LAYERS)), max_size=3))
    end = draw(st.sampled_from(sorted(ENDS)))
    width = draw(st.integers(3, 8))
    again = draw(st.lists(st.integers(0, len(kinds) - 1), max_size=2)) if kinds else []
    again = [number for number in again if kinds[number] not in _HALVINGS]
    torch.manual_seed(draw(st.integers(0, 99)))
    model = Network(kinds, end, width, again, writes=draw(st.booleans())).eval()
    model.to(draw(st.sampled_from(dtypes)))
    if draw(st.booleans()):
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if draw(st.booleans()):
        own_things(model)
    return model, end


def own_things(model: nn.Module) -> None:
    """What a user may have done to a model."""
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    first.register_full_backward_hook(lambda *_: None)
    for number, module in enumerate(model.modules()):
        if number % 2:
            module.register_forward_hook(lambda *_: None, always_call=number % 3 == 0)
            module.register_forward_pre_hook(lambda *_: None)
    for number, weight in enumerate(model.parameters()):
        weight.requires_grad_(number % 2 == 0)
        if number % 4 == 0:
            weight.grad = torch.ones_like(weight)


def in_memory(photos: Tensor, how: str) -> Tensor:
    """The same numbers, lying otherwise."""
    if how == "channels last":
        return photos.contiguous(memory_format=torch.channels_last)
    if how == "strided":
        wide = torch.zeros(*photos.shape[:-1], 2 * photos.shape[-1], dtype=photos.dtype)
        wide[..., ::2] = photos
        return wide[..., ::2]
    if how == "turned":
        return photos.mT.contiguous().mT
    if how == "expanded":
        return photos[:1].expand_as(photos)
    return photos


MEMORY = ("plain", "channels last", "strided", "turned", "expanded")


@st.composite
def cases(draw: st.DrawFn, dtypes: Sequence[torch.dtype] = _DTYPES) -> Case:
    model, end = draw(networks(dtypes))
    count, height, width = (draw(st.integers(*range_)) for range_ in ((1, 3), (6, 20), (6, 20)))
    dtype = next(model.parameters()).dtype
    photos = (4 * torch.rand(count, CHANNELS, height, width) - 2).to(dtype)
    photos = in_memory(photos, draw(st.sampled_from(MEMORY)))
    filters = st.integers(0, model.stem.out_channels - 1)
    chosen: int | list[int] = draw(filters | st.lists(filters, min_size=1, max_size=2))
    steps, seed = draw(st.integers(2, 4)), draw(st.integers(0, 3))
    return Case(model, photos, view_of(model, end, photos), chosen, steps, seed)


def view_of(model: Network, end: str, photos: Tensor) -> views.View | None:
    """How the end is seen, which for some ends has to be said."""
    pooled = [module for module in model.layers if isinstance(module, nn.MaxPool2d | nn.AvgPool2d)]
    height, width = (-(-edge // 2 ** len(pooled)) for edge in photos.shape[2:])
    known: dict[str, views.View] = {
        "tokens": views.tokens(prefix=1, grid=(height, width)),
        "channels last": views.channels(-1),
        "dict": views.field("out"),
        "tuple": views.field(1),
    }
    return known.get(end)
