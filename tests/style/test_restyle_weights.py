"""Style as a combination of textures, on a network that has learned something."""

import math
import random
from functools import cache

import pytest
import skimage.data
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from captum_featinv.images.display import as_saved
from captum_featinv.images.files import from_picture
from captum_featinv.images.normalization import Normalization
from captum_featinv.metrics.style import gram_split
from captum_featinv.models import load_model
from captum_featinv.style import Restyled, restyle

CONTENTS, STYLES = ("astronaut", "chelsea"), ("immunohistochemistry", "coffee")
PAIRS = [(content, style) for content in CONTENTS for style in STYLES]
MATCHES = ("energies", "gram")

pytestmark = pytest.mark.slow


@cache
def photo(name: str) -> Tensor:
    picture = Image.fromarray(getattr(skimage.data, name)())
    return Normalization().to_model(from_picture(picture, 256))


@cache
def run(content: str, style: str, match: str) -> Restyled:
    model = load_model("vgg16", "hed", "average").model
    return restyle(model, photo(content), photo(style), match=match, return_distances=True)


def squared_falls(found: Restyled) -> tuple[float, float]:
    """How many times the squared distances, which are what is minimised, fell."""
    return tuple(
        (before / after).square().item()
        for before, after in zip(found.before[:2], found.after[:2], strict=True)
    )


@cache
def unrelated(content: str) -> float:
    """The content distance of a photo of a rocket, at relu2_2."""
    features = load_model("vgg16", "hed", "average").model.features[:9]
    height, width = photo(content).shape[2:]
    rocket = torch.nn.functional.interpolate(photo("rocket"), (height, width), mode="bilinear")
    with torch.no_grad():
        code, other = features(photo(content)), features(rocket)
    return ((other - code).norm() / code.norm()).item()


def test_print_the_table() -> None:
    print(f"\n{'content':11}{'style':22}{'match':10}{'energies':>19}{'Gram':>19}{'content':>9}")
    for content, style in PAIRS:
        for match in MATCHES:
            found = run(content, style, match)
            cells = [
                f"{before.item():8.3f} -> {after.item():.4f}"
                for before, after in zip(found.before[:2], found.after[:2], strict=True)
            ]
            kept = found.after.content.item()
            print(f"{content:11}{style:22}{match:10}{cells[0]:>19}{cells[1]:>19}{kept:9.3f}")
        print(f"{content:11}{'(rocket)':70}{unrelated(content):9.3f}")


@pytest.mark.parametrize(("content", "style"), PAIRS)
def test_energies_alone_bring_a_photo_to_the_style(content: str, style: str) -> None:
    energies, gram = squared_falls(run(content, style, "energies"))
    assert energies >= 20
    assert gram >= 3


@pytest.mark.parametrize(("content", "style"), PAIRS)
def test_a_gram_matrix_brings_it_at_least_as_far_in_its_own_distance(
    content: str, style: str
) -> None:
    assert run(content, style, "gram").after.gram <= run(content, style, "energies").after.gram


@pytest.mark.parametrize(("content", "style"), PAIRS)
@pytest.mark.parametrize("match", MATCHES)
def test_the_content_stays_nearer_than_an_unrelated_photo(
    content: str, style: str, match: str
) -> None:
    assert run(content, style, match).after.content.item() < unrelated(content)


def strokes(paint: str) -> Tensor:
    """A painting of strong contrast: strokes of black and red on white, or of flat colours and bars."""
    dice = random.Random(3)
    picture = Image.new("RGB", (384, 384), "white")
    draw = ImageDraw.Draw(picture)
    for _ in range(900 if paint == "strokes" else 30):
        x, y, length = dice.uniform(0, 384), dice.uniform(0, 384), dice.uniform(8, 30)
        if paint == "strokes":
            angle = math.sin(x / 60) + math.cos(y / 45)
            dx, dy = length * math.cos(angle), length * math.sin(angle)
            colour = "black" if dice.random() < 0.7 else "red"
            draw.line((x - dx, y - dy, x + dx, y + dy), fill=colour, width=dice.randint(2, 6))
        else:
            colour = dice.choice(["red", "blue", "yellow", "white", "black"])
            box = (x, y, x + 4 * length, y + 4 * dice.uniform(8, 30))
            draw.rectangle(box, fill=colour, outline="black", width=8)
    return Normalization().to_model(from_picture(picture, 256))


@torch.no_grad()
def squared_distance(images: Tensor, style: Tensor) -> float:
    """Of energies per position, relative to the style's, summed over the four layers, as saved."""
    space = Normalization()
    codes = [space.to_model(as_saved(space.to_display(images))), style]
    total = 0.0
    for index, layer in enumerate(load_model("vgg16", "hed", "average").model.features[:19]):
        codes = [layer(code) for code in codes]
        if index in (1, 6, 11, 18):
            own, other = (code.double().mean((2, 3)) for code in codes)
            total += ((own - other).square().sum() / other.square().sum()).item()
    return total


@pytest.mark.parametrize(
    ("content", "paint"), [("rocket", "blocks"), ("coffee", "strokes"), ("chelsea", "strokes")]
)
def test_a_painting_of_strong_contrast_is_reached_as_well(content: str, paint: str) -> None:
    """Small steps do not come to black and white, and a faint photo would hold the style back."""
    image, style = photo(content), strokes(paint)
    made = restyle(load_model("vgg16", "hed", "average").model, image, style)
    fall = squared_distance(image, style) / squared_distance(made, style)
    print(f"\n{content} in {paint}: {fall:.1f} times")
    assert fall >= 20


def test_energies_explain_part_of_the_gram_distance() -> None:
    """Between the two styles, at relu1_1, relu2_1, relu3_1 and relu4_1."""
    features = load_model("vgg16", "hed", "average").model.features
    codes = [photo(name) for name in STYLES]
    shares = []
    with torch.no_grad():
        for index, layer in enumerate(features[:19]):
            codes = [layer(code) for code in codes]
            if index in (1, 6, 11, 18):
                shares.append(gram_split(*codes).explained_by_energies.item())
    print("\nshare of the squared Gram distance: ", *(f"{share:.3f}" for share in shares))
    assert all(0 < share < 1 for share in shares)
