"""What is promised of a picture and of the model, for any network and any photos."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.testing import assert_close

from captum_featinv import CodeInversion, FeatureMapInversion, style
from captum_featinv.errors import FeatInvWarning
from tests.properties.networks import MEMORY, Case, Tokens, cases, in_memory
from tests.properties.state import bytes_of, nothing_changes


@contextmanager
def whatever_comes_of_it() -> Iterator[None]:
    """Filters of random networks may be silent, which is warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FeatInvWarning)
        yield


def inversion_of(case: Case) -> FeatureMapInversion:
    return FeatureMapInversion(case.model, "end", view=case.view)


def textures_of(case: Case, photos: Any, filters: Any, **options: Any) -> Any:
    asked = {"n_steps": case.steps, "seed": case.seed} | options
    with whatever_comes_of_it():
        return inversion_of(case).attribute(photos, filters, **asked)


def apart(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors share no memory."""
    return one.untyped_storage().data_ptr() != other.untyped_storage().data_ptr()


@given(cases(), st.booleans(), st.booleans())
def test_all_is_as_it_was_and_pictures_are_like_photos(
    case: Case, several: bool, started: bool
) -> None:
    start = case.photos.roll(1, 3) if started else None
    inputs = (case.photos,) if several else case.photos
    with nothing_changes(case.model, case.photos, start):
        found = textures_of(case, inputs, case.filters, baselines=start)
    assert isinstance(found, tuple) == several
    textures = found[0] if several else found
    filters = () if isinstance(case.filters, int) else (len(case.filters),)
    assert textures.shape == (len(case.photos), *filters, *case.photos.shape[1:])
    assert (textures.dtype, textures.device) == (case.photos.dtype, case.photos.device)
    assert not textures.requires_grad
    assert bool(torch.isfinite(textures).all())
    assert apart(textures, case.photos)
    assert start is None or apart(textures, start)


@given(cases(), st.booleans())
def test_a_restyled_photo_is_like_the_photo_and_all_is_as_it_was(
    case: Case, distances: bool
) -> None:
    painting = case.photos[:1].flip(2)[..., 1:]
    with nothing_changes(case.model, case.photos, painting), whatever_comes_of_it():
        found = style.restyle(
            case.model,
            case.photos,
            painting,
            style_layers=["stem"],
            content_layer="stem",
            n_steps=case.steps,
            seed=case.seed,
            return_distances=distances,
        )
    image = found.images if distances else found
    assert (image.shape, image.dtype) == (case.photos.shape, case.photos.dtype)
    assert bool(torch.isfinite(image).all())
    assert apart(image, case.photos)
    assert apart(image, painting)


@given(cases(), st.integers(1, 4))
def test_the_same_seed_gives_the_same_bytes(case: Case, at_once: int) -> None:
    first, second = (
        textures_of(case, case.photos, case.filters, internal_batch_size=at_once) for _ in range(2)
    )
    assert bytes_of(first) == bytes_of(second)


@given(cases(), st.sampled_from(MEMORY[:-1]))
def test_it_does_not_matter_how_photos_lie_in_memory(case: Case, how: str) -> None:
    found = textures_of(case, case.photos, case.filters)
    again = textures_of(case, in_memory(case.photos, how), case.filters)
    assert bytes_of(found) == bytes_of(again)


@given(cases(dtypes=[torch.float64]), st.integers(1, 5))
def test_neighbours_and_the_batch_size_do_not_matter(case: Case, at_once: int) -> None:
    """Behind tokens torch gives a batch normalisation wrong gradients of a single photo."""
    normed = any(isinstance(layer, nn.BatchNorm2d) for layer in case.model.layers)
    assume(not (normed and isinstance(case.model.end, Tokens)))
    together = textures_of(case, case.photos, case.filters, internal_batch_size=at_once)
    alone = [textures_of(case, photo, case.filters) for photo in case.photos.split(1)]
    assert_close(together, torch.cat(alone))


@given(cases())
def test_a_report_is_of_numbers_and_leaves_all_as_it_was(case: Case) -> None:
    filters = [case.filters] if isinstance(case.filters, int) else case.filters
    textures = textures_of(case, case.photos, filters)
    with nothing_changes(case.model, case.photos, textures), whatever_comes_of_it():
        report = inversion_of(case).report(textures, case.photos, filters)
    assert [record.filter for record in report] == filters * len(case.photos)
    for record in report:
        numbers = [record.share, record.robust_share, record.correlation, record.attained]
        assert all(abs(number) < float("inf") for number in numbers)


@given(cases(), st.booleans())
def test_codes_of_two_layers_are_inverted_under_the_same_promises(case: Case, delta: bool) -> None:
    inversion = CodeInversion(
        case.model, ["stem", "end"], view={"end": case.view} if case.view else None
    )
    with nothing_changes(case.model, case.photos), whatever_comes_of_it():
        found = inversion.attribute(
            case.photos, n_steps=case.steps, seed=case.seed, return_convergence_delta=delta
        )
    image, errors = found if delta else (found, None)
    assert image.shape == case.photos.shape
    assert image.dtype == case.photos.dtype
    assert bool(torch.isfinite(image).all())
    assert apart(image, case.photos)
    assert errors is None or bool((errors >= 0).all())
