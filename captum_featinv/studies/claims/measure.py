"""The paper's three claims (Xia et al. 2016, arXiv 1608.04170) and a fourth, measured on a network."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor

from captum_featinv.codes import live_filters
from captum_featinv.errors import ArgumentError, FeatInvWarning, LayerError, MissingExtraError, warn
from captum_featinv.models import LoadedModel
from captum_featinv.network.layers import find_layer
from captum_featinv.network.reading import read_code
from captum_featinv.optimization.precision import name_of
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.progress import bar, each, stages
from captum_featinv.studies.claims.findings import Claims
from captum_featinv.studies.claims.intricate import trends
from captum_featinv.studies.claims.judge import Judge, LayerJudge, RandomJudge, distances
from captum_featinv.studies.claims.pictures import Pictures, make_pictures
from captum_featinv.studies.claims.randomised import Randomised, randomised, reinitialised
from captum_featinv.studies.claims.restyled import StyleFound, restyled
from captum_featinv.studies.claims.similarity import Similarity, another_network
from captum_featinv.studies.claims.specific import Specific, specific
from captum_featinv.studies.claims.telling import FEWEST_PHOTOS, Queries, Telling
from captum_featinv.studies.finished import finished

# The sanity check looks at pictures from so many of the photos.
_CHECKED = 1

# Fewer filters cannot be told apart badly.
_FEWEST = 3


def measure_claims(
    loaded: LoadedModel,
    photos: Tensor,
    layers: Sequence[str],
    filters: int = 12,
    *,
    judge: Judge | None = None,
    similarity: Similarity | None = None,
    recipe: Recipe | None = None,
    seed: int = 0,
    show_progress: bool = False,
) -> Claims:
    """Measure the claims on some live filters of some layers.

    Args:
        loaded: the model; of `loaded.seen(...)` with dictionaries the claims are about directions.
        photos: displayable, (photos, 3, H, W), at least two.
        layers: their names, at least two, low ones first.
        filters: how many a layer, at least three; drawn among those that fire on every photo.
        judge: who compares pictures; `RandomJudge()` if None.
        similarity: who compares patches for claim 4; `another_network(loaded)` if None. The claim
            is not asked with fewer than three photos, or where that network is not installed.
        recipe: how pictures are made; see `FeatureMapInversion`. What it leaves open is as for pixels
            at all layers: what changes with depth must not be the form of the search.
        seed: of filters, pictures and resamples.
        show_progress: show a progress bar.

    Returns:
        All figures with 95% intervals and verdicts, and the pictures that they were found on.

    Raises:
        ArgumentError: too few photos, layers or filters, or a judge that is to judge its own pictures.
        LayerError: there is no such layer.

    Warns:
        FeatInvWarning: a layer has fewer live filters than were asked for.
    """
    judge = RandomJudge() if judge is None else judge
    recipe = (Recipe.default() if recipe is None else recipe).suited()
    names = [find_layer(loaded.model, layer)[0] for layer in layers]
    _check(loaded, photos, names, filters, judge)
    chosen = {name: _live(loaded, name, photos, filters, seed) for name in names}
    similarity, missing = _teller(loaded, photos, similarity)
    study = _Study(loaded, reinitialised(loaded), photos, judge, similarity, recipe, seed)
    with bar(shown=show_progress):
        found = finished(
            (study.look_at(name, chosen[name]) for name in each(names)), len(names), "layers"
        )
    told = [layer.telling for layer in found if layer.telling is not None]
    return Claims(
        loaded.description,
        loaded.random,
        judge.description,
        {
            "filters": filters,
            "photos": len(photos),
            "steps": recipe.n_steps,
            "precision": name_of(recipe.precision, [photos]),
            "pixels": max(photos.shape[2:]),
            "seed": seed,
        },
        [layer.specific for layer in found],
        trends([layer.pictures for layer in found], seed),
        [layer.restyled for layer in found],
        [layer.randomised for layer in found],
        [layer.pictures for layer in found],
        told,
        similarity.description if similarity and told else missing,
    )


class _Layer(NamedTuple):
    """What was found at one layer."""

    pictures: Pictures
    specific: Specific
    restyled: StyleFound
    randomised: Randomised
    telling: Telling | None


@dataclass(frozen=True)
class _Study:
    """What all layers are looked at with."""

    loaded: LoadedModel
    other: LoadedModel
    """the same network with weights drawn anew"""
    photos: Tensor
    judge: Judge
    similarity: Similarity | None
    recipe: Recipe
    seed: int

    def look_at(self, layer: str, filters: list[int]) -> _Layer:
        pictures, few = len(self.photos) * len(filters), _CHECKED * len(filters)
        parts = {"textures": pictures, "random weights": few, "style": len(self.photos) ** 2}
        with stages({**parts, "comparing": few / 2}) as at:
            at("textures")
            made = self._pictures(self.loaded, layer, filters, self.photos)
            at("random weights")
            with warnings.catch_warnings():
                # A filter may well be dead with other weights; its picture counts as the blank it is.
                warnings.simplefilter("ignore", FeatInvWarning)
                control = self._pictures(self.other, layer, filters, self.photos[:_CHECKED])
            at("style")
            style = restyled(self.loaded, layer, self.photos, self.judge, self.recipe, self.seed)
            at("comparing")
            return self._compared(made, control, style)

    def _compared(self, made: Pictures, control: Pictures, style: StyleFound) -> _Layer:
        layer, filters = made.layer, made.filters
        apart = distances(self.judge, made.images)
        crossed = distances(self.judge, control.images, made.images)
        return _Layer(
            made,
            specific(layer, filters, apart, self.seed),
            style,
            randomised(layer, apart, crossed, self.seed),
            self._telling(made),
        )

    def _telling(self, made: Pictures) -> Telling | None:
        """Claim 4, where there is somebody to ask and the layer puts out maps."""
        if self.similarity is None:
            return None
        try:
            queries = Queries(
                self.loaded, made.layer, made.filters, self.photos, self.similarity, self.seed
            )
        except LayerError:
            return None
        return queries.ask(made.images, from_these_photos=True)

    def _pictures(
        self, loaded: LoadedModel, layer: str, filters: list[int], photos: Tensor
    ) -> Pictures:
        seeds = [self.seed + number for number in range(len(photos))]
        return make_pictures(loaded, layer, filters, photos, self.recipe, seeds)


def _check(
    loaded: LoadedModel, photos: Tensor, layers: Sequence[str], filters: int, judge: Judge
) -> None:
    """Better now than after minutes of work."""
    if len(photos) < 2:
        raise ArgumentError(f"the claims need two photos or more to compare. Given: {len(photos)}")
    if any(torch.equal(one, other) for one, other in combinations(photos, 2)):
        raise ArgumentError("two of the photos are the same picture; they say nothing of content")
    if len(set(layers)) < max(2, len(layers)):
        raise ArgumentError(f"the claims need two different layers or more. Given: {layers}")
    if filters < _FEWEST:
        raise ArgumentError(
            f"the claims need {_FEWEST} filters a layer or more to tell apart. Given: {filters}"
        )
    if isinstance(judge, LayerJudge) and judge.loaded is loaded:
        name = find_layer(loaded.model, judge.layer)[0]
        if name in layers:
            raise ArgumentError(
                f"layer {name!r} would judge its own pictures; choose a judge that is not one of "
                f"{', '.join(layers)}"
            )


def _teller(
    loaded: LoadedModel, photos: Tensor, similarity: Similarity | None
) -> tuple[Similarity | None, str]:
    """Who compares patches; or nobody, and why."""
    if len(photos) < FEWEST_PHOTOS:
        return None, f"not asked: takes {FEWEST_PHOTOS} photos or more, there are {len(photos)}"
    try:
        return similarity or another_network(loaded), "not asked: no layer puts out maps"
    except MissingExtraError as error:
        return None, f"not asked: {error}"


def _live(loaded: LoadedModel, layer: str, photos: Tensor, count: int, seed: int) -> list[int]:
    inputs = loaded.normalization.to_model(photos)
    code = read_code(loaded.model, layer, inputs, view=loaded.view)
    filters = live_filters(code, count, seed)
    if len(filters) < _FEWEST:
        raise ArgumentError(
            f"only {len(filters)} filters of layer {layer!r} fire on every photo, {_FEWEST} are "
            "needed; choose other layers or photos"
        )
    if len(filters) < count:
        warn(
            f"only {len(filters)} filters of layer {layer!r} fire on every photo, of {count} asked "
            "for; its figures are about these"
        )
    return filters
