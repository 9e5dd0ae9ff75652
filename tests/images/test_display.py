from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from captum.attr import visualization
from PIL import Image
from torch import Tensor
from torch.testing import assert_close

from captum_featinv.errors import ArgumentError
from captum_featinv.images.display import as_jpeg, as_saved, to_image, to_picture
from captum_featinv.images.sheet import contact_sheet

Bytes = npt.NDArray[np.uint8]
Grid = list[list[Image.Image]]


def noise(height: int, width: int, *channels: int) -> Image.Image:
    values = np.random.default_rng(height * width).integers(0, 256, (height, width, *channels))
    return Image.fromarray(values.astype(np.uint8))


def place_of(picture: Image.Image, sheet: Image.Image) -> tuple[int, int]:
    """Row and column of the only place where a sheet shows a picture, pixel by pixel."""
    wanted, pixels = np.asarray(picture.convert("RGB")), np.asarray(sheet)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, wanted.shape)[:, :, 0]
    # First by one pixel: few windows are left for the others.
    rows, columns = np.nonzero((windows[:, :, 0, 0] == wanted[0, 0]).all(-1))
    places = [
        (int(row), int(column))
        for row, column in zip(rows, columns, strict=True)
        if (windows[row, column] == wanted).all()
    ]
    assert len(places) == 1
    return places[0]


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 3, 7, 4), (2, 5, 3, 4, 6), (1, 2, 2, 3, 5, 3)])
def test_undoes_the_normalisation_and_puts_channels_last(shape: tuple[int, ...]) -> None:
    inputs, mean, std = torch.randn(shape), (0.3, 0.5, 0.6), (0.1, 0.2, 0.3)
    *leading, _, height, width = shape
    expected = np.empty((*leading, height, width, 3))
    for *first, y, x in np.ndindex(*leading, height, width):
        for channel in range(3):
            value = inputs[(*first, channel, y, x)].item() * std[channel] + mean[channel]
            expected[(*first, y, x, channel)] = min(max(value, 0), 1)
    image = to_image(inputs, mean, std)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, expected, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_without_a_normalisation_values_are_clipped(channels: int) -> None:
    inputs = torch.randn(2, channels, 4, 5, dtype=torch.float64, requires_grad=True)
    expected = np.clip(inputs.detach().numpy(), 0, 1).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(to_image(inputs, mean=None), expected, atol=1e-6)


def test_stretching_maps_the_smallest_of_all_to_0_and_the_largest_to_1() -> None:
    inputs = 40 * torch.randn(2, 4, 5, 6) - 100
    low, high = inputs.min().item(), inputs.max().item()
    expected = (inputs.numpy().transpose(0, 2, 3, 1) - low) / (high - low)
    image = to_image(inputs, mean=None, stretch=True)
    np.testing.assert_allclose(image, expected, atol=1e-5)
    assert (image.min(), image.max()) == (0, 1)
    assert not to_image(torch.full((3, 4, 5), 7.0), mean=None, stretch=True).any()


def test_leaves_the_inputs_as_they_are() -> None:
    inputs = torch.randn(3, 4, 5)
    before = inputs.clone()
    to_image(inputs, mean=None)[:] = 7
    assert torch.equal(inputs, before)


def test_inputs_without_height_and_width_are_an_error() -> None:
    with pytest.raises(ArgumentError, match=r"shape \(3, 4\), expected \(\.\.\., C, H, W\)"):
        to_image(torch.zeros(3, 4))


def test_captum_shows_the_image_as_it_is() -> None:
    image = to_image(torch.rand(3, 13, 18), mean=None)
    figure, axes = visualization.visualize_image_attr_multiple(
        image, image, ["original_image", "heat_map"], ["all", "positive"], use_pyplot=False
    )
    shown = axes[0].images[0].get_array()
    np.testing.assert_array_equal(shown, (image * 255).astype(np.uint8))
    assert len(figure.axes) >= 2


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_has_the_nearest_8_bit_values(channels: int) -> None:
    image = np.random.default_rng(0).random((7, 5, channels), dtype=np.float32)
    picture = to_picture(image)
    assert picture.mode == {1: "L", 3: "RGB"}[channels]
    assert picture.size == (5, 7)
    shown = np.asarray(picture).reshape(image.shape)
    np.testing.assert_array_equal(shown, np.floor(image.astype(np.float64) * 255 + 0.5))


def test_a_picture_of_other_channels_is_an_error() -> None:
    with pytest.raises(ArgumentError, match="1 or 3 channels, not 4"):
        to_picture(np.zeros((5, 6, 4), np.float32))


def test_as_saved_is_what_a_png_file_gives_back(tmp_path: Path) -> None:
    images = 1.4 * torch.rand(2, 3, 7, 5) - 0.2
    for image, saved in zip(images, as_saved(images), strict=True):
        to_picture(to_image(image, mean=None)).save(tmp_path / "picture.png")
        read = np.asarray(Image.open(tmp_path / "picture.png"))
        assert_close(saved, torch.tensor(read / 255).permute(2, 0, 1).float())
    assert torch.equal(as_saved(as_saved(images)), as_saved(images))


def through_file(plane: Tensor, path: Path, quality: int) -> Tensor:
    """A (C, H, W) picture after it was saved and read."""
    values = (plane.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    Image.fromarray(values if len(plane) == 3 else values[..., 0]).save(path, quality=quality)
    read = torch.tensor(np.asarray(Image.open(path)).reshape(values.shape) / 255)
    return read.permute(2, 0, 1).to(plane)


@pytest.mark.parametrize("quality", [30, 90])
@pytest.mark.parametrize(
    "shape", [(2, 3, 13, 18), (3, 1, 9, 7), (2, 3, 4, 13, 11), (2, 1, 3, 8, 9)], ids=str
)
def test_as_jpeg_is_what_a_jpeg_file_gives_back(
    shape: tuple[int, ...], quality: int, tmp_path: Path
) -> None:
    images = (1.2 * torch.rand(shape) - 0.1).double()
    expected = torch.empty_like(images)
    for row, *time in np.ndindex(shape[0], *shape[2:-2]):
        where = (row, slice(None), *time)
        expected[where] = through_file(images[where], tmp_path / "picture.jpg", quality)
    assert_close(as_jpeg(images, quality), expected)


def test_as_jpeg_saves_other_channels_one_by_one_in_grey() -> None:
    images = torch.rand(2, 4, 9, 7)
    expected = torch.cat([as_jpeg(images[:, [channel]], 30) for channel in range(4)], 1)
    assert_close(as_jpeg(images, 30), expected)


GRIDS: dict[str, Grid] = {
    "one": [[noise(9, 13, 3)]],
    "of one size": [[noise(30, 40, 3), noise(40, 30, 3)], [noise(20, 60), noise(60, 20, 3)]],
    "of many sizes": [[noise(50, 7), noise(11, 40, 3), noise(31, 31, 3)], [noise(9, 130, 3)]],
}


@pytest.mark.parametrize(
    "extras", [{}, {"title": "A title"}, {"cell": 150}, {"captions": [["one", "two", "three"]] * 2}]
)
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_a_contact_sheet_shows_every_picture_unchanged_in_its_row_and_column(
    grid: Grid, extras: dict[str, Any]
) -> None:
    labels = [f"row {number}\nof {len(grid)}" for number in range(len(grid))]
    sheet = contact_sheet(grid, labels, ["first", "second", "third"], **extras)
    places = [[place_of(picture, sheet) for picture in row] for row in grid]
    for row, pictures in zip(places, grid, strict=True):
        assert len({y for y, _ in row}) == 1
        ends = [x + picture.width for (_, x), picture in zip(row, pictures, strict=True)]
        assert all(end < x for end, (_, x) in zip(ends, row[1:], strict=False))
        assert ends[-1] < sheet.width
    for (upper, pictures), lower in zip(zip(places, grid, strict=True), places[1:], strict=False):
        assert upper[0][0] + max(picture.height for picture in pictures) < lower[0][0]
    for column in range(min(map(len, grid))):
        middles = {
            2 * row[column][1] + g[column].width for row, g in zip(places, grid, strict=True)
        }
        assert max(middles) - min(middles) <= 1


@pytest.mark.parametrize("title", ["short", "a title that is much longer than the picture is wide"])
def test_a_title_fits_its_sheet(title: str) -> None:
    picture = noise(9, 13, 3)
    one = contact_sheet([[picture]], [""], [], title=title)
    many = contact_sheet([[picture] * 50], [""], [], title=title)
    band = place_of(picture, one)[0]
    narrow, wide = np.asarray(one)[:band], np.asarray(many)[:band]
    np.testing.assert_array_equal(narrow, wide[:, : one.width])
    assert (wide[:, one.width :] == 255).all()
    assert (narrow < 128).any()


@pytest.mark.parametrize("label", ["k", "a very long label\nand a second line"])
def test_a_row_label_fits_beside_its_picture(label: str) -> None:
    picture = noise(40, 13, 3)
    sheet = contact_sheet([[picture]], [label], [])
    _, x = place_of(picture, sheet)
    beside = np.asarray(sheet)[:, :x]
    assert (beside < 128).any()
    assert (beside[:, [0, -1]] == 255).all()


def test_captions_stand_below_their_pictures() -> None:
    picture = noise(20, 60, 3)
    sheet = contact_sheet([[picture]], [""], [], [["caption"]])
    plain = contact_sheet([[picture]], [""], [])
    y, x = place_of(picture, sheet)
    below = np.asarray(sheet)[y + 20 :, x : x + 60]
    assert sheet.height > plain.height
    assert (below < 200).any()
    assert (below[-1] == 255).all()


@pytest.mark.parametrize("rows", [[], [[]], [[noise(5, 6)], []]], ids=["no row", "one", "another"])
def test_an_empty_row_is_an_error(rows: Grid) -> None:
    with pytest.raises(ArgumentError, match="at least one picture for every row"):
        contact_sheet(rows, [""] * len(rows), [])


@pytest.mark.parametrize("labels", [["one"], ["one", "two", "three"]])
def test_another_number_of_row_labels_is_an_error(labels: list[str]) -> None:
    with pytest.raises(ValueError, match=r"a label and at least one picture"):
        contact_sheet([[noise(5, 6)], [noise(7, 8)]], labels, [])


def test_a_column_label_or_caption_of_two_lines_makes_a_sheet_two_lines_higher_in_all() -> None:
    rows = [[noise(30, 40), noise(31, 40)]]
    plain = contact_sheet(rows, ["a"], ["b", "c"], [["d", "e"]])
    labelled = contact_sheet(rows, ["a"], ["b", "c\nc"], [["d", "e"]])
    captioned = contact_sheet(rows, ["a"], ["b", "c\nc"], [["d", "e\ne"]])
    line = labelled.height - plain.height
    assert line >= 12
    assert captioned.height - labelled.height == line
    for picture in rows[0]:
        above = place_of(picture, labelled)[0] - place_of(picture, plain)[0]
        assert above == line
        assert place_of(picture, captioned) == place_of(picture, labelled)
