import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image, TiffImagePlugin
from torch import Tensor

from captum_featinv.errors import ArgumentError, FeatInvWarning
from captum_featinv.images.files import from_picture, load_photo

RAMP = np.linspace(0, 1, 24).reshape(4, 6)  # what every file below shows: black to white


def levels(top: float, dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
    return (RAMP * top).round().astype(dtype)


def shown(photo: Tensor) -> None:
    """To within what 8 bits keep."""
    expected = torch.from_numpy(RAMP).float().expand(1, 3, 4, 6)
    torch.testing.assert_close(photo, expected, atol=1.01 / 255, rtol=0)


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_sixteen_bits_that_are_used_are_no_warning(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"photo.{suffix}"
    data = levels(65535, np.uint16)
    if suffix == "pgm":  # which older Pillow only reads
        path.write_bytes(b"P5 6 4 65535\n" + data.astype(">u2").tobytes())
    else:
        Image.fromarray(data).save(path)
    shown(load_photo(path, 6))


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("bits", [1, 8, 10, 12, 14])
def test_fewer_bits_in_sixteen_are_found_by_the_data(
    bits: int, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"photo.{suffix}"
    data = levels(2**bits - 1, np.uint16)
    Image.fromarray(data).save(path)
    with pytest.warns(FeatInvWarning, match=rf"16 bits holds values up to .*taken as {bits} bits"):
        photo = load_photo(path, 6)
    expected = torch.from_numpy(data / (2**bits - 1)).float().expand(1, 3, 4, 6)
    torch.testing.assert_close(photo, expected, atol=1.01 / 255, rtol=0)


def test_a_dark_picture_and_a_black_one_stay_dark() -> None:
    for light in (0.6, 0.0):
        photo = from_picture(Image.fromarray((light * levels(65535, np.uint16)).astype("u2")), 6)
        assert photo.max().item() == pytest.approx(light, abs=1 / 255)


def test_twelve_bits_that_the_format_names_are_no_warning(tmp_path: Path) -> None:
    """A TIFF of packed 12-bit samples, which Pillow reads and does not write."""
    data = levels(4095, np.uint16)
    packed = b"".join(
        bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in data.reshape(-1, 2).tolist()
    )
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    values = {256: 6, 257: 4, 258: 12, 259: 1, 262: 1, 277: 1, 278: 4, 279: len(packed)}
    for tag, value in values.items():
        tags[tag] = value
    tags[273] = 0  # where the samples begin: right behind the tags
    path = tmp_path / "photo.tiff"
    path.write_bytes(b"II*\x00\x08\x00\x00\x00" + tags.tobytes(8) + packed)
    shown(load_photo(path, 6))


@pytest.mark.parametrize("top", [255, 4095, 65535, 200_000])
def test_of_32_bits_the_data_says_which_are_used(top: int, tmp_path: Path) -> None:
    path = tmp_path / "photo.tiff"
    Image.fromarray(levels(top, np.int32)).save(path)
    with pytest.warns(FeatInvWarning, match=f"32 bits holds values up to .*white {top:g}"):
        shown(load_photo(path, 6))


def test_negative_values_are_darker_than_0_not_white(tmp_path: Path) -> None:
    path = tmp_path / "photo.tiff"
    Image.fromarray(levels(2000, np.int32) - 1000).save(path)
    with pytest.warns(FeatInvWarning, match="some of them negative, black -1000 and white 1000"):
        shown(load_photo(path, 6))


@pytest.mark.parametrize("top", [1.0, 255.0, 4095.0, 65535.0, 1e6])
def test_floating_point_has_the_range_of_its_data(top: float, tmp_path: Path) -> None:
    path = tmp_path / "photo.tiff"
    Image.fromarray((RAMP * top).astype(np.float32)).save(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        shown(load_photo(path, 6))
    assert len(caught) == (top > 1)


def test_floating_point_that_overshoots_white_a_little_is_clipped() -> None:
    overshot = Image.fromarray((RAMP * 1.25).astype(np.float32))
    expected = torch.from_numpy(RAMP * 1.25).float().clamp(max=1).expand(1, 3, 4, 6)
    torch.testing.assert_close(from_picture(overshot, 6), expected, atol=1.01 / 255, rtol=0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    values = RAMP.astype(np.float32)
    values[1, 2:4] = value
    with pytest.raises(ArgumentError, match="2 values that are NaN or infinite"):
        from_picture(Image.fromarray(values), 6)


def test_exif_that_cannot_be_read_leaves_the_picture_as_stored(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (6, 4), (90, 90, 90)).save(path, exif=b"Exif\x00\x00no header of a TIFF")
    with pytest.warns(FeatInvWarning, match=r"EXIF cannot be read .*as it is stored"):
        assert load_photo(path, 6).shape == (1, 3, 4, 6)
