"""Whatever raises, and whenever: the model and the process come back as they were."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from captum_featinv import CodeInversion, FeatureMapInversion, Recipe, param, render, style, views
from captum_featinv.images.normalization import Normalization
from captum_featinv.models import LoadedModel
from captum_featinv.network.ablation import ablation
from captum_featinv.param.parameterization import Parameterization
from captum_featinv.param.pixel import clamped_pixels
from captum_featinv.studies.atlas.survey import survey
from captum_featinv.studies.exemplars import exemplars
from captum_featinv.studies.explain import explain
from tests.properties.faults import ERRORS, Fault, Faulty, survive
from tests.properties.networks import own_things

STEPS = 3


@pytest.fixture
def fault() -> Fault:
    return Fault()


@pytest.fixture
def network(fault: Fault) -> nn.Module:
    """Asked for at its ReLU, in front of which and behind which a fault may come."""
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        Faulty(fault),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.ReLU(),
        Faulty(fault),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    ).eval()
    own_things(model)
    return model


@pytest.fixture
def photos() -> Tensor:
    return 4 * torch.rand(2, 3, 7, 8) - 2


def quick(**changes: Any) -> Recipe:
    return Recipe.default(n_steps=STEPS, **changes)


# --- in the model's forward --------------------------------------------------------------------


def attribute(network: nn.Module, photos: Tensor) -> Tensor:
    inversion = FeatureMapInversion(network, "3", recipe=quick())
    return inversion.attribute(photos, [0, 1], internal_batch_size=2)


def attribute_in_bfloat16(network: nn.Module, photos: Tensor) -> Tensor:
    recipe = quick(precision="bfloat16")
    return FeatureMapInversion(network, "3", recipe=recipe).attribute(photos, 0)


def report(network: nn.Module, photos: Tensor) -> None:
    FeatureMapInversion(network, "3").report(photos[:, None], photos, [0])


def objective(network: nn.Module, photos: Tensor) -> None:
    FeatureMapInversion(network, "3").objective(photos, [0])


def invert_codes(network: nn.Module, photos: Tensor) -> Any:
    inversion = CodeInversion(network, ["0", "5"], recipe=quick())
    return inversion.attribute(photos, return_convergence_delta=True)


def restyle(network: nn.Module, photos: Tensor) -> Tensor:
    found = style.restyle(
        network,
        photos,
        photos.flip(3)[:1],
        n_steps=STEPS,
        scales=(0.5, 1),
        return_distances=True,
    )
    return found.images


def render_vis(network: nn.Module, _photos: Tensor) -> Tensor:
    return rendered(network, "3:1")


def rendered(network: nn.Module, objective: Any) -> Tensor:
    torch.manual_seed(3)
    found = render.render_vis(
        network,
        objective,
        lambda: param.image(8),
        thresholds=(STEPS,),
        transforms=[],
        fixed_image_size=8,
        progress=False,
        show_image=False,
        return_result=True,
    )
    return found.image


def explain_photo(network: nn.Module, photos: Tensor) -> Tensor:
    loaded = LoadedModel(network, "small", Normalization(), categories=("one", "other"))
    photo = loaded.normalization.to_display(photos[:1]).clamp(0, 1)
    natural = [("one", photo)]
    return explain(loaded, photo, "3", count=1, photos=natural, recipe=quick()).textures


def ablate(network: nn.Module, photos: Tensor) -> None:
    ablation(network, "3", [0], photos, 1, others=[1, 2, 3], draws=1)


def look_at_all(network: nn.Module, photos: Tensor) -> None:
    loaded = LoadedModel(network, "small", Normalization())
    shown = loaded.normalization.to_display(photos).clamp(0, 1)
    survey(loaded, {"one": shown[:1], "other": shown[1:]}, ["0", "3"])


CALLS: dict[str, Callable[[nn.Module, Tensor], Any]] = {
    call.__name__: call
    for call in (
        attribute,
        attribute_in_bfloat16,
        report,
        objective,
        invert_codes,
        restyle,
        render_vis,
        explain_photo,
        ablate,
        look_at_all,
    )
}


_LONG = ("restyle", "explain_photo")


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(
    "call", [pytest.param(c, marks=[pytest.mark.slow] if c in _LONG else []) for c in CALLS]
)
def test_a_model_may_fail_at_any_of_its_runs(
    call: str, error: str, network: nn.Module, photos: Tensor, fault: Fault
) -> None:
    found = survive(network, fault, ERRORS[error], partial(CALLS[call], network, photos))
    print(f"\n{call}, {error}: {found}")
    assert found.raised + found.survived > 1


# --- in what a caller passes -------------------------------------------------------------------


def faulty_view(fault: Fault, output: Tensor) -> Tensor:
    fault()
    return output


def faulty_optimizer(fault: Fault, parameters: list[Tensor]) -> Optimizer:
    class FaultyAdam(Adam):
        def step(self, closure: Any = None) -> Any:
            fault()
            found = super().step(closure)
            fault()
            return found

    return FaultyAdam(parameters, lr=0.1)


def faulty_schedule(fault: Fault, optimizer: Optimizer, _steps: int) -> LambdaLR:
    def rate(_step: int) -> float:
        fault()
        return 1.0

    return LambdaLR(optimizer, rate)


def faulty_pixels(fault: Fault, start: Tensor, grey: Tensor) -> Parameterization:
    parameters, draw = clamped_pixels(start, grey)

    def drawn() -> Tensor:
        fault()
        return draw()

    return Parameterization(parameters, drawn)


def faulty_noise(fault: Fault, shape: torch.Size, generator: Generator) -> Tensor:
    fault()
    return 0.05 * torch.rand(shape, generator=generator)


class FaultyTransform:
    """Its dice may fail, and its lens."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def draw(self, generator: Generator | None) -> Callable[[Tensor], Tensor]:
        self._fault()
        shift = int(torch.randint(2, (), generator=generator))

        def lens(image: Tensor) -> Tensor:
            self._fault()
            return image.roll(shift, -1)

        return lens


RECIPES: dict[str, Callable[[Fault], dict[str, Any]]] = {
    "optimizer": lambda f: {"optimizer": partial(faulty_optimizer, f), "couples_rows": False},
    "schedule": lambda f: {"schedule": partial(faulty_schedule, f)},
    "pixels": lambda f: {"pixels": partial(faulty_pixels, f)},
    "noise": lambda f: {"noise": partial(faulty_noise, f)},
    "transform": lambda f: {"transforms": (FaultyTransform(f),)},
}


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("part", RECIPES)
def test_any_part_of_a_recipe_may_fail_at_any_step(
    part: str, error: str, network: nn.Module, photos: Tensor, fault: Fault
) -> None:
    steps = Fault()
    recipe = quick(**RECIPES[part](steps))
    inversion = FeatureMapInversion(network, "3", recipe=recipe)
    work = partial(inversion.attribute, photos, 0, internal_batch_size=1)
    found = survive(network, steps, ERRORS[error], work)
    print(f"\n{part}, {error}: {found}")
    assert found.raised + found.survived > 0


@pytest.mark.parametrize("error", ERRORS)
def test_a_view_may_fail_whenever_it_is_asked(
    error: str, network: nn.Module, photos: Tensor
) -> None:
    looks = Fault()
    inversion = FeatureMapInversion(network, "3", recipe=quick(), view=partial(faulty_view, looks))
    found = survive(network, looks, ERRORS[error], partial(inversion.attribute, photos, 0))
    print(f"\nview, {error}: {found}")
    assert found.raised > 0


@pytest.mark.parametrize("error", ERRORS)
def test_a_dictionarys_encoder_may_fail_whenever_it_is_asked(
    error: str, network: nn.Module, photos: Tensor
) -> None:
    looks = Fault()
    encoder = nn.Sequential(Faulty(looks), nn.Linear(4, 5), nn.ReLU()).eval()
    view = views.dictionary(encoder, nn.Linear(5, 4))
    inversion = FeatureMapInversion(network, "3", recipe=quick(), view=view)
    work = partial(inversion.attribute, photos, 0)
    found = survive(nn.ModuleList([network, encoder]), looks, ERRORS[error], work)
    print(f"\nencoder, {error}: {found}")
    assert found.raised > 0


@pytest.mark.parametrize("error", ERRORS)
def test_a_rewrite_may_fail_at_any_layer(error: str, network: nn.Module, photos: Tensor) -> None:
    layers = Fault()
    inversion = CodeInversion(network, ["0", "3", "5"], recipe=quick())
    work = partial(inversion.attribute, photos, partial(faulty_view, layers))
    assert survive(network, layers, ERRORS[error], work) == (3, 0)


@pytest.mark.parametrize("error", ERRORS)
def test_photos_may_fail_to_load_at_any_of_them(
    error: str, network: nn.Module, photos: Tensor
) -> None:
    loads = Fault()

    def loading() -> Iterator[tuple[str, Tensor]]:
        for name in "abc":
            loads()
            yield name, photos[:1].clamp(0, 1)

    def work() -> None:
        exemplars(network, "3", [0], loading(), Normalization())

    assert survive(network, loads, ERRORS[error], work) == (3, 0)


@pytest.mark.parametrize("error", ERRORS)
def test_an_objective_may_fail_at_any_step_of_a_renderer(error: str, network: nn.Module) -> None:
    steps = Fault()

    def loss(features: Callable[[str], Tensor]) -> Tensor:
        steps()
        found = -features("3")[:, 1].mean()
        steps()
        return found + 1e-3 * features("5").mean()

    def work() -> Tensor:
        return rendered(network, loss)

    torch.manual_seed(3)
    work()
    found = survive(network, steps, ERRORS[error], work)
    print(f"\nobjective, {error}: {found}")
    assert found.raised + found.survived >= 2 * STEPS
