from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional

from captum_featinv.errors import ArgumentError
from captum_featinv.images.files import (
    central_square,
    from_picture,
    grey,
    load_middle,
    load_photo,
    middle_of,
)

Bytes = npt.NDArray[np.uint8]


@pytest.fixture
def colours() -> Bytes:
    """A picture whose eight orientations all differ, (height 3, width 5, RGB)."""
    return np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)


# What the EXIF standard says has to be done to the stored pixels.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_photo_is_turned_upright_as_its_exif_says(
    orientation: int, colours: Bytes, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(colours).save(tmp_path / "photo.png", exif=exif)
    upright = UPRIGHT[orientation](colours)
    photo = load_photo(tmp_path / "photo.png", long_edge=5)
    assert photo.shape == (1, 3, *upright.shape[:2])
    np.testing.assert_array_equal((photo[0] * 255).round(), np.moveaxis(upright, 2, 0))


def test_at_its_own_size_a_photo_is_its_bytes_over_255(colours: Bytes) -> None:
    photo = from_picture(Image.fromarray(colours), 5)
    assert photo.dtype == torch.float32
    assert photo.is_contiguous()
    assert torch.equal(photo[0].permute(1, 2, 0), torch.from_numpy(colours) / 255)


@pytest.mark.parametrize(
    ("mode", "colour", "rgb"),
    [
        ("RGB", (10, 200, 90), (10, 200, 90)),
        ("RGBA", (10, 200, 90, 255), (10, 200, 90)),
        ("L", 77, (77, 77, 77)),
        ("LA", (77, 255), (77, 77, 77)),
        ("1", 1, (255, 255, 255)),
        ("P", (10, 200, 90), (10, 200, 90)),
    ],
)
def test_pictures_of_every_kind_become_rgb(
    mode: str, colour: object, rgb: tuple[int, int, int], tmp_path: Path
) -> None:
    Image.new(mode, (6, 4), colour).save(tmp_path / "photo.png")
    with Image.open(tmp_path / "photo.png") as file:
        assert file.mode == mode
    photo = load_photo(tmp_path / "photo.png", long_edge=3)
    expected = torch.tensor(rgb).reshape(1, 3, 1, 1) / 255
    torch.testing.assert_close(photo, expected.expand(1, 3, 2, 3))


@pytest.mark.parametrize(
    ("width", "height", "long_edge", "expected"),
    [
        (40, 20, 16, (8, 16)),
        (20, 40, 16, (16, 8)),
        (4, 2, 8, (4, 8)),
        (30, 20, 10, (7, 10)),
        (100, 1, 10, (1, 10)),
        (7, 7, 1, (1, 1)),
    ],
)
def test_the_long_edge_is_as_asked_and_the_proportions_stay(
    width: int, height: int, long_edge: int, expected: tuple[int, int]
) -> None:
    photo = from_picture(Image.new("RGB", (width, height)), long_edge)
    assert photo.shape == (1, 3, *expected)


def test_a_shrunken_photo_keeps_its_mean_colour_and_stays_displayable() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    photo = from_picture(Image.fromarray(noise), 8)
    assert photo.min() >= 0
    assert photo.max() <= 1
    assert photo.mean().item() == pytest.approx(noise.mean() / 255, abs=0.01)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"no file '.*nowhere\.png'"):
        load_photo(tmp_path / "nowhere.png", 8)


@pytest.mark.parametrize("kind", ["text", "empty", "cut off", "folder"])
def test_what_is_no_picture_is_named(kind: str, colours: Bytes, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    if kind == "folder":
        path.mkdir()
    else:
        Image.fromarray(colours).save(path)
        whole = path.read_bytes()
        path.write_bytes({"text": b"a cat", "empty": b"", "cut off": whole[:50]}[kind])
    with pytest.raises(ArgumentError, match=r"'.*photo\.png' is no picture that can be read"):
        load_photo(path, 8)


@pytest.mark.parametrize("size", [(300, 500), (501, 260), (256, 256)])
@pytest.mark.parametrize(("edge", "resized"), [(224, 256), (64, 73), (224, 232), (224, 224)])
def test_the_middle_of_a_photo_is_what_torchvisions_classifiers_are_tested_on(
    size: tuple[int, int], edge: int, resized: int
) -> None:
    """A smooth picture, so that one way to resize is as good as another."""
    height, width = size
    ramp = np.linspace(0, 255, width)[None] * np.linspace(0.2, 1, height)[:, None]
    picture = Image.fromarray(np.stack([ramp, 255 - ramp, ramp / 2], axis=-1).astype(np.uint8))
    crop = functional.center_crop(functional.resize(picture, resized), edge)
    expected = functional.to_tensor(crop)[None]
    found = middle_of(picture, edge) if resized > 232 else middle_of(picture, edge, edge / resized)
    assert found.shape == (1, 3, edge, edge)
    assert (found - expected).abs().max() < 0.025


def test_the_middle_of_a_file_is_that_of_its_picture(colours: Bytes, tmp_path: Path) -> None:
    Image.fromarray(colours).save(tmp_path / "photo.png")
    loaded = load_middle(tmp_path / "photo.png", 7)
    assert torch.equal(loaded, middle_of(Image.fromarray(colours), 7))
    with pytest.raises(ArgumentError, match="positive number of pixels"):
        load_middle(tmp_path / "photo.png", 0)


def test_transparent_pictures_lie_on_white(tmp_path: Path) -> None:
    """By their alpha, whatever colour is kept where nothing is seen."""
    colours = np.array([[[0, 50, 200, 0], [0, 50, 200, 51], [0, 50, 200, 255]]], dtype=np.uint8)
    Image.fromarray(colours).save(tmp_path / "photo.png")
    found = 255 * load_photo(tmp_path / "photo.png", 3)[0, :, 0].T
    for pixel, alpha in zip(found.tolist(), (0.0, 0.2, 1.0), strict=True):
        expected = [alpha * value + (1 - alpha) * 255 for value in (0, 50, 200)]
        assert pixel == pytest.approx(expected, abs=0.6)


def test_a_photo_is_shrunk_as_pillows_lanczos_does_it(colours: Bytes) -> None:
    picture = Image.fromarray(np.kron(colours, np.ones((4, 4, 1), dtype=np.uint8)))
    expected = np.asarray(picture.resize((10, 6), Image.Resampling.LANCZOS))
    found = from_picture(picture, 10)
    assert np.array_equal((255 * found[0]).round().permute(1, 2, 0), expected)


def test_seven_eighths_of_the_short_edge_are_shown_unless_told(tmp_path: Path) -> None:
    """Where nothing has to be resized, these are the file's own pixels."""
    noise = np.random.default_rng(0).integers(0, 256, (256, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    for edge, options in ((224, ()), (64, (0.25,)), (256, (1.0,))):
        found = load_middle(tmp_path / "photo.png", edge, *options)
        top, left = (256 - edge) // 2, (300 - edge) // 2
        expected = noise[top : top + edge, left : left + edge]
        assert np.array_equal((255 * found[0]).round().permute(1, 2, 0), expected)
        assert found.is_contiguous()


@pytest.mark.parametrize(("height", "width"), [(4, 9), (9, 4), (5, 5), (4, 8), (1, 6)])
def test_the_central_square_leaves_as_much_on_one_side_as_on_the_other(
    height: int, width: int
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    found = np.asarray(central_square(Image.fromarray(noise)))
    assert np.array_equal(found, noise[top : top + edge, left : left + edge])


def test_grey_is_pillows(colours: Bytes) -> None:
    photo = from_picture(Image.fromarray(colours), max(colours.shape))
    expected = np.asarray(Image.fromarray(colours).convert("L")) / 255
    found = grey(photo)
    assert found.shape == (1, 1, *colours.shape[:2])
    assert np.abs(found[0, 0].numpy() - expected).max() < 1 / 255
