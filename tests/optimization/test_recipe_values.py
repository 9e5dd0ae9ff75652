"""A recipe holds values and nothing else; what does not fit an image is refused where it is made."""

import math
import pickle
from dataclasses import FrozenInstanceError, fields
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from captum_featinv import CodeInversion, FeatureMapInversion, Recipe, style, transform
from captum_featinv.errors import ArgumentError, ArgumentTypeError
from captum_featinv.images.denoise import total_variation_denoise
from captum_featinv.optimization.optimizers import couples_rows
from captum_featinv.param.noise import natural_noise

RECIPES = {
    "default": Recipe.default,
    "paper": Recipe.paper,
    "smooth": Recipe.smooth,
    "suited": lambda: Recipe.default(n_steps=7).suited(16),
    "style": lambda: style.RECIPE,
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_pickled_and_read_back_equal(name: str) -> None:
    recipe = RECIPES[name]()
    back = pickle.loads(pickle.dumps(recipe))
    assert back == recipe == RECIPES[name]()
    assert hash(back) == hash(recipe)
    assert str(back) == str(recipe)


@pytest.mark.parametrize(
    "changes",
    [
        {"n_steps": 7},
        {"optimizer": partial(torch.optim.Adam, lr=0.1)},
        {"optimizer": partial(torch.optim.SGD, lr=0.15)},
        {"noise": partial(natural_noise, amplitude=0.06)},
        {"transforms": (transform.RandomBlur(0.4),)},
        {"couples_rows": True},
    ],
)
def test_recipes_that_differ_are_not_equal(changes: dict[str, object]) -> None:
    changed = Recipe.default(**changes)
    assert changed != Recipe.default()
    assert changed == Recipe.default(**changes)
    assert Recipe.default() != "default"


def test_a_recipe_is_printed_a_line_a_value() -> None:
    lines = dict(line.split(None, 1) for line in str(Recipe.paper()).splitlines())
    assert lines["optimizer"] == "SGD(lr=0.1, momentum=0.9, weight_decay=0.0005)"
    assert (lines["n_steps"], lines["transforms"], lines["schedule"]) == (
        "1000",
        "none",
        "a_tenth_off",
    )
    lines = dict(line.split(None, 1) for line in str(Recipe.default()).splitlines())
    assert {lines[name] for name in ("pixels", "optimizer", "transforms")} == {"as suits the layer"}
    assert lines["clip"] == "None"
    assert "RandomBlur(probability=0.5, sigma=(0.3, 1.2))" in str(Recipe.default().suited(4))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"n_steps": 2.5}, r"positive integer\. Given: 2\.5"),
        ({"n_steps": True}, r"positive integer\. Given: True"),
        ({"redirect": 1.5}, r"redirect is a share of the steps, from 0 to 1\. Given: 1\.5"),
        ({"warmup": math.nan}, r"warmup is a share of the steps"),
        ({"clip": -1.0}, r"clip must be positive, or None for none\. Given: -1"),
        ({"denoise": 0}, r"denoise must be positive"),
        ({"tolerance": math.nan}, r"tolerance must be positive"),
        ({"precision": "half"}, "'half' is none of 'auto', 'float32', 'bfloat16'"),
        (
            {"schedule": lambda optimizer, _: lr_scheduler.ReduceLROnPlateau(optimizer)},
            "ReduceLROnPlateau waits for a metric",
        ),
        ({"optimizer": partial(torch.optim.SparseAdam, lr=0.1)}, "needs sparse gradients"),
        ({"optimizer": partial(torch.optim.Adam, lr=-1.0)}, "does not take an image: Invalid"),
    ],
)
def test_a_value_out_of_its_range_is_refused(changes: dict[str, object], text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        Recipe.default(**changes)


@pytest.mark.parametrize(
    "transforms", [transform.standard_transforms, (transform.pad(3),), transform.jitter(3), "blur"]
)
def test_transforms_that_do_not_fit_are_refused(transforms: object) -> None:
    with pytest.raises(ArgumentTypeError, match="a tuple of transforms with a `draw` but found"):
        Recipe.default(transforms=transforms)


@pytest.mark.parametrize("made", [lambda _: 3, lambda parameters: parameters])
def test_what_makes_no_optimizer_or_schedule_is_refused(made: object) -> None:
    with pytest.raises(ArgumentTypeError, match="a function from parameters to an optimizer"):
        Recipe.default(optimizer=made)
    with pytest.raises(ArgumentTypeError, match="a function from an optimizer and the number"):
        Recipe.default(schedule=lambda optimizer, _: made)


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect": -0.1},
        {"warmup": 1.1},
        {"clip": 0.0},
        {"clip": math.inf},
        {"tolerance": 0.0},
        {"denoise": math.inf},
    ],
)
def test_what_lies_just_outside_is_refused(changes: dict[str, float]) -> None:
    with pytest.raises(
        ArgumentError, match=rf"{next(iter(changes))} (is a share|must be positive)"
    ):
        Recipe.default(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"n_steps": 1},
        {"redirect": 0.0, "warmup": 0.0},
        {"redirect": 1.0, "warmup": 1},
        {"redirect": 0.5, "warmup": 0.5},
        {"clip": 1e-9, "tolerance": 0.5, "denoise": 0.5},
        {"clip": None, "tolerance": None, "denoise": None},
        {"transforms": [transform.jitter(2)]},
        {"transforms": ()},
        {"schedule": None},
    ],
)
def test_what_lies_just_inside_is_taken(changes: dict[str, object]) -> None:
    recipe = Recipe.default(**changes)
    assert all(getattr(recipe, name) == value for name, value in changes.items())
    back = Recipe.paper(**changes)
    assert all(getattr(back, name) == value for name, value in changes.items())


def test_the_first_thing_that_is_no_transform_is_named() -> None:
    blur = transform.RandomBlur()
    for transforms in ((blur, 3, "x"), [blur, 3]):
        with pytest.raises(ArgumentTypeError, match="but found: 3;"):
            Recipe.default(transforms=transforms)
    with pytest.raises(ArgumentTypeError, match="but found: RandomBlur"):
        Recipe.default(transforms=blur)


def test_a_recipe_cannot_be_changed_and_has_no_order() -> None:
    recipe = Recipe.default()
    with pytest.raises(FrozenInstanceError):
        recipe.n_steps = 3  # type: ignore[misc]
    with pytest.raises(TypeError, match="positional"):
        Recipe(3)  # type: ignore[misc]


def test_functions_that_are_made_alike_are_equal_however_deep() -> None:
    def made(rate: float, power: float, first: float = 1.0) -> Recipe:
        make = partial(partial(torch.optim.SGD, momentum=0.5), lr=rate)
        noise = partial(natural_noise, amplitude=power)
        tilted = (partial(noise, first), partial(math.pow, first))
        return Recipe.default(optimizer=make, noise=partial(_keep, tilted))

    assert made(0.1, 0.2) == made(0.1, 0.2)
    assert hash(made(0.1, 0.2)) == hash(made(0.1, 0.2))
    for other in (made(0.2, 0.2), made(0.1, 0.3), made(0.1, 0.2, 3.0)):
        assert other != made(0.1, 0.2)
    betas = (Recipe.default(optimizer=partial(torch.optim.Adam, betas=[0.5, 0.9])) for _ in "ab")
    assert len({*betas}) == 1
    keywords = [{"lr": 0.1, "momentum": 0.5}, {"momentum": 0.5, "lr": 0.1}]
    one, other = (Recipe.default(optimizer=partial(torch.optim.SGD, **k)) for k in keywords)
    assert one == other
    blurs = (transform.RandomBlur(),)
    assert Recipe.default(transforms=list(blurs)) == Recipe.default(transforms=blurs)


def _keep(kept: object, *_: object) -> Tensor:
    return torch.zeros(())


def test_every_value_is_printed_in_a_column_of_its_own() -> None:
    recipe = Recipe.default(
        optimizer=partial(torch.optim.SGD, lr=0.5), transforms=(transform.RandomBlur(),) * 2
    )
    lines = str(recipe).splitlines()
    names = [field.name for field in fields(Recipe)]
    assert [line.split()[0] for line in lines] == names
    assert {len(line) - len(line.split(None, 1)[1]) for line in lines} == {2 + max(map(len, names))}
    values = dict(line.split(None, 1) for line in lines)
    assert values["transforms"].count("RandomBlur(") == 2
    assert "), RandomBlur" in values["transforms"]
    tilted = Recipe.default(noise=partial(math.pow, 2.5), pixels=partial(_keep, "a", b=3))
    values = dict(line.split(None, 1) for line in str(tilted).splitlines())
    assert values["noise"] == "pow(2.5)"
    assert values["pixels"] == "_keep('a', b=3)"


# --- every optimizer of torch ------------------------------------------------------------------

OPTIMIZERS = sorted(
    name
    for name, found in vars(torch.optim).items()
    if isinstance(found, type)
    and issubclass(found, torch.optim.Optimizer)
    and found is not torch.optim.Optimizer
)
REFUSED = {"Muon": "Muon", "SparseAdam": "sparse"}
NEEDS_RATE = {"lr": 0.02}


@pytest.mark.filterwarnings("ignore::captum_featinv.errors.FeatInvWarning")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rows_stay_problems_of_their_own_with_every_optimizer_of_torch(name: str) -> None:
    """Two photos together are each alone, or the optimizer is refused with a sentence."""
    make = partial(getattr(torch.optim, name), **NEEDS_RATE)
    if name in REFUSED:
        with pytest.raises(ArgumentError, match=REFUSED[name]):
            Recipe.default(optimizer=make, schedule=None)
        return
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval().double()
    photos = torch.rand(2, 3, 7, 8).double() * torch.tensor([0.5, 3.0]).reshape(2, 1, 1, 1) - 0.5
    recipe = Recipe.default(optimizer=make, schedule=None, transforms=())
    inversion = CodeInversion(model, "1", recipe=recipe)
    together = inversion.attribute(photos, n_steps=5)
    alone = torch.cat([inversion.attribute(photo[None], n_steps=5) for photo in photos])
    torch.testing.assert_close(together, alone, atol=1e-9, rtol=1e-7)
    assert (together - inversion.attribute(photos, n_steps=1)).abs().amax() > 1e-4


def test_an_optimizer_of_which_nothing_is_known_has_its_images_alone() -> None:
    class Mine(torch.optim.SGD):
        pass

    assert couples_rows(partial(Mine, lr=0.1))
    assert couples_rows(torch.optim.LBFGS)
    assert not couples_rows(partial(torch.optim.SGD, lr=0.1))
    seen: list[int] = []

    class Watched(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(len(x) if x.requires_grad else 0)
            return super().forward(x)

    model, photos = nn.Sequential(Watched(3, 4, 3)).eval(), torch.rand(3, 3, 7, 8)
    for known, rows in ((None, 1), (False, 3)):
        seen.clear()
        recipe = Recipe.default(optimizer=partial(Mine, lr=0.1), couples_rows=known)
        CodeInversion(model, "0", recipe=recipe).attribute(photos, n_steps=2)
        assert max(seen) == rows


# --- the paper's last step ---------------------------------------------------------------------


def test_without_a_displayable_range_nothing_is_clipped() -> None:
    """Of an injective layer the photo itself comes back, far outside of [0, 1]."""
    model = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1)).eval()
    photo = 9 * torch.ones(1, 1, 6, 5)
    photo[..., :3] = -2
    plain = Recipe.paper(denoise=None, n_steps=30, tolerance=None)
    last = Recipe.paper(denoise=1e-3, n_steps=30, tolerance=None)
    pictures = [
        CodeInversion(model, "0", mean=None, recipe=r).attribute(photo) for r in (plain, last)
    ]
    assert (pictures[0] - pictures[1]).abs().max() < 0.2
    assert pictures[1].max() - pictures[1].min() > 4


def test_what_has_no_height_and_width_is_not_denoised_unasked() -> None:
    model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU()).eval()
    signal = torch.rand(1, 2, 20)
    inversion = FeatureMapInversion(model, "1", mean=None, recipe=Recipe.paper())
    with pytest.raises(ArgumentError, match=r"denoise=0.2 is for images with height and width"):
        inversion.attribute(signal, 0, n_steps=2)


def test_clips_are_denoised_picture_by_picture() -> None:
    clip = torch.rand(1, 3, 4, 9, 8)
    frames = [total_variation_denoise(clip[:, :, t], 0.2) for t in range(4)]
    torch.testing.assert_close(total_variation_denoise(clip, 0.2), torch.stack(frames, 2))


def test_a_recipe_whose_functions_were_given_lists_can_be_a_key() -> None:
    one, other = (Recipe(optimizer=partial(torch.optim.Adam, betas=[0.9, 0.99])) for _ in range(2))
    assert {one: "found"}[other] == "found"
