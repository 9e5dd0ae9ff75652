"""What may be asked, in which form, and what comes back."""

import csv
import io
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from captum_featinv import CodeInversion, FeatureMapInversion, Recipe, render, style
from captum_featinv.errors import ArgumentError, LayerError
from captum_featinv.network import read_code


@pytest.mark.parametrize("selector", [np.int64(3), torch.tensor(3), np.array(3), 3], ids=repr)
def test_one_filter_is_one_whatever_number_it_is(
    model: nn.Module, photos: Tensor, selector: Any
) -> None:
    fmi = FeatureMapInversion(model, "relu")
    texture, delta = fmi.attribute(photos, selector, n_steps=2, return_convergence_delta=True)
    assert texture.shape == photos.shape
    assert delta.shape == (2,)
    assert torch.equal(texture, fmi.attribute(photos, 3, n_steps=2))
    assert [record.filter for record in fmi.report(texture, photos, selector)] == [3, 3]


@pytest.mark.parametrize("several", [[np.int64(3), torch.tensor(1)], None])
def test_a_list_keeps_its_dimension(model: nn.Module, photos: Tensor, several: Any) -> None:
    count = 8 if several is None else 2
    textures = FeatureMapInversion(model, "relu").attribute(photos, several, n_steps=1)
    assert textures.shape == (2, count, 3, 13, 18)


class Counting(nn.Module):
    """Notes how many images it is shown at once."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU())
        self.seen: list[int] = []

    def forward(self, image: Tensor) -> Tensor:
        self.seen.append(len(image))
        return self.net(image)


@pytest.mark.filterwarnings("ignore::captum_featinv.errors.FeatInvWarning")
def test_no_forward_has_more_images_than_asked_for() -> None:
    model, photos = Counting().eval(), torch.rand(11, 3, 7, 8)
    fmi = FeatureMapInversion(model, "net.1")
    textures = fmi.attribute(photos, [0, 1], n_steps=1, internal_batch_size=2)
    fmi.report(textures, photos, [0, 1], internal_batch_size=2)
    CodeInversion(model, "net.1").attribute(photos, n_steps=1, internal_batch_size=2)
    read_code(model, "net.1", photos, rows_at_once=2)
    assert max(model.seen) == 2
    model.seen.clear()
    fmi.objective(photos, 0)
    fmi.param(photos, 0)
    fmi.report(fmi.attribute(photos, 0, n_steps=1), photos, 0)
    read_code(model, "net.1", photos)
    assert max(model.seen) == 8


def test_codes_read_in_chunks_are_the_codes(model: nn.Module, photos: Tensor) -> None:
    fmi = FeatureMapInversion(model, "relu")
    pictures = [
        fmi.attribute(photos, [1, 2], n_steps=5, internal_batch_size=size) for size in (1, 8)
    ]
    torch.testing.assert_close(*pictures, atol=1e-5, rtol=1e-4)


class Gained(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU())

    def forward(self, image: Tensor, gain: Tensor) -> Tensor:
        return self.net(image * gain.reshape(-1, 1, 1, 1))


def test_a_renderers_images_are_drawn_for_models_that_take_more(photos: Tensor) -> None:
    fmi = FeatureMapInversion(Gained().eval(), "net.1")
    gains = torch.tensor([1.0, 2.0])
    _, draw = fmi.param(photos, [0, 1], gains)()
    assert draw().shape == (4, 3, 13, 18)
    assert draw().device == photos.device


def test_a_renderers_images_lie_where_the_model_does(model: nn.Module) -> None:
    made = FeatureMapInversion(model.to("meta"), "relu").param(
        torch.rand(1, 3, 9, 9, device="meta"), 0
    )
    assert made()[1]().device.type == "meta"


class Depth(nn.Module):
    """Looks at a colour picture and at distances."""

    def __init__(self) -> None:
        super().__init__()
        self.colour, self.depth, self.relu = nn.Conv2d(3, 6, 3), nn.Conv2d(1, 6, 3), nn.ReLU()

    def forward(self, image: Tensor, depth: Tensor) -> Tensor:
        return self.relu(self.colour(image) + self.depth(depth))


@pytest.mark.filterwarnings("ignore::captum_featinv.errors.FeatInvWarning")
def test_every_input_has_its_own_normalisation() -> None:
    """The picture stays displayable and the distances are free, each in its own space."""
    torch.manual_seed(1)
    model = Depth().eval()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    rgb = (torch.rand(2, 3, 9, 8) - mean.reshape(3, 1, 1)) / std.reshape(3, 1, 1)
    depth = 40 + 9 * torch.randn(2, 1, 9, 8)
    fmi = FeatureMapInversion(
        model, "relu", mean=[tuple(mean.tolist()), None], std=[tuple(std.tolist()), 1.0]
    )
    pictures, distances = fmi.attribute((rgb, depth), [0, 2], n_steps=8)
    shown = pictures * std.reshape(3, 1, 1) + mean.reshape(3, 1, 1)
    assert shown.min() > -1e-5
    assert shown.max() < 1 + 1e-5
    assert 20 < distances.mean() < 60
    assert len(fmi.report((pictures, distances), (rgb, depth), [0, 2])) == 4
    with pytest.raises(ArgumentError, match="mean and std are for 2 inputs, but 1 came"):
        fmi.attribute(rgb, 0)


def test_inputs_of_different_lengths_are_refused() -> None:
    fmi = FeatureMapInversion(Depth().eval(), "relu", mean=0.5)
    with pytest.raises(ArgumentError, match="inputs have 2, 3 examples, expected as many in each"):
        fmi.attribute((torch.rand(2, 3, 9, 8), torch.rand(3, 1, 9, 8)), 0)


def test_a_complex_layer_is_told_how_it_can_be_shown() -> None:
    class Spectrum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fft = nn.Conv2d(3, 4, 3), nn.Identity()

        def forward(self, image: Tensor) -> Tensor:
            return self.fft(torch.fft.rfft2(self.conv(image)))

    model, photo = Spectrum().eval(), torch.rand(1, 3, 9, 9)
    with pytest.raises(LayerError, match=r"complex numbers, which have no energy.*\.abs\(\)"):
        FeatureMapInversion(model, "fft").attribute(photo, 0)
    fmi = FeatureMapInversion(model, "fft", view=lambda code: code.abs())
    assert fmi.attribute(photo, 0, n_steps=2).shape == photo.shape


# --- what comes back ---------------------------------------------------------------------------


def test_a_report_is_a_table_for_everyone(model: nn.Module, photos: Tensor, tmp_path: Path) -> None:
    fmi = FeatureMapInversion(model, "relu")
    report = fmi.report(fmi.attribute(photos, [0, 5], n_steps=3), photos, [0, 5])
    frame = pd.DataFrame(report)
    assert frame["filter"].tolist() == [0, 5, 0, 5]
    assert frame["share"].tolist() == [record.share for record in report]
    read = list(csv.DictReader(io.StringIO(report.to_csv(tmp_path / "report.csv"))))
    assert [float(row["share"]) for row in read] == [record.share for record in report]
    assert (tmp_path / "report.csv").read_bytes().decode() == report.to_csv()
    table = ElementTree.fromstring(report._repr_html_())
    assert [head.text for head in table.iter("th")] == list(frame.columns)
    rows = [[cell.text for cell in row.iter("td")] for row in table.iter("tr")][1:]
    assert [row[1] for row in rows] == ["0", "5", "0", "5"]
    assert {row["precision"] for row in report.to_dicts()} == {"float32"}


def test_a_report_names_the_precision_of_the_steps(model: nn.Module, photos: Tensor) -> None:
    halved = Recipe.default(precision="bfloat16")
    fmi = FeatureMapInversion(model, "relu", recipe=halved)
    assert fmi.report(photos, photos, 0).precision == "bfloat16"

    class Exact(nn.Module):
        """Of the darker photo the code is what bfloat16 rounds away."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.relu = nn.Conv2d(3, 4, 3), nn.ReLU()

        def forward(self, image: Tensor) -> Tensor:
            code = self.conv(image)
            dark = (image.mean((1, 2, 3)) < 0).reshape(-1, 1, 1, 1)
            rounded = (code.float() - self.conv(image + 1e-3).float()).to(code.dtype)
            return self.relu(torch.where(dark, rounded, code))

    fmi = FeatureMapInversion(Exact().eval(), "relu", recipe=halved)
    light, dark = torch.rand(1, 3, 9, 9) + 0.2, -torch.rand(1, 3, 9, 9)
    assert fmi.report(light, light, 0).precision == "bfloat16"
    assert fmi.report(dark, dark, 0).precision == "float32"
    both = torch.cat([light, dark])
    assert fmi.report(both, both, 0).precision == "bfloat16, float32"


def test_random_blurs_work_in_a_renderer(model: nn.Module) -> None:
    from captum_featinv.transform import RandomBlur

    (image,) = render.render_vis(
        model,
        "relu:1",
        transforms=[RandomBlur(1.0)],
        thresholds=(2,),
        show_image=False,
        progress=False,
    )
    assert image.shape == (1, 128, 128, 3)


def test_restyling_in_bfloat16_is_asked_for(photos: Tensor) -> None:
    """The steps run in it, and the distances are measured in the model's own precision."""
    seen: set[torch.dtype] = set()

    class Noting(nn.Conv2d):
        def forward(self, image: Tensor) -> Tensor:
            code = super().forward(image)
            seen.add(code.dtype)
            return code

    torch.manual_seed(0)
    model = nn.Sequential(Noting(3, 6, 3), nn.ReLU()).eval()
    for precision, expected in (
        ("float32", {torch.float32}),
        ("bfloat16", {torch.float32, torch.bfloat16}),
    ):
        seen.clear()
        recipe = Recipe.default(precision=precision, n_steps=2, transforms=())
        style.restyle(
            model, photos, photos[:1], style_layers=["1"], content_layer="1", recipe=recipe
        )
        assert seen == expected
