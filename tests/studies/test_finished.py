"""Ctrl-C in the middle of a study leaves what is finished, and nothing by halves."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from captum_featinv import FeatureMapInversion, Recipe
from captum_featinv.codes import original
from captum_featinv.errors import FeatInvWarning
from captum_featinv.images.normalization import Normalization
from captum_featinv.models import LoadedModel
from captum_featinv.optimization.interrupts import pass_through, passing_interrupts
from captum_featinv.render import render_vis
from captum_featinv.studies import compare, rewrite_sheet, texture_sheet
from captum_featinv.studies.atlas import atlas
from captum_featinv.studies.claims import measure_claims
from captum_featinv.studies.compare import METHODS

STEPS = 4
QUICK = Recipe.default(n_steps=STEPS)


class CtrlC(nn.Module):
    """Counts its calls, and raises at one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.at = 0, 0

    def forward(self, image: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return image


@pytest.fixture
def loaded() -> LoadedModel:
    model = nn.Sequential(CtrlC(), nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 20, 3), nn.ReLU())
    return LoadedModel(model.eval(), "tiny", Normalization(0.5, 0.5))


@pytest.fixture
def photo() -> Tensor:
    return torch.rand(1, 3, 14, 12)


def moments(loaded: LoadedModel, whole: Callable[[], Any]) -> Iterator[int]:
    """Every call of the model in turn, as the one at which Ctrl-C comes."""
    button: Any = loaded.model[0]
    button.calls, button.at = 0, 0
    whole()
    for moment in range(1, button.calls + 1):
        button.calls, button.at = 0, moment
        yield moment


def lengths(loaded: LoadedModel, sheet: Callable[[], list[dict[str, Any]]]) -> set[int]:
    """How many records of the first of two rows there are after Ctrl-C, over all its moments."""
    whole, seen = sheet(), set()
    for _ in moments(loaded, sheet):
        try:
            with pytest.warns(FeatInvWarning, match="interrupted: 1 of 2 rows are finished"):
                found = sheet()
        except KeyboardInterrupt:
            found = []
        assert found == whole[: len(found)]
        seen.add(len(found))
    return seen


def test_a_sheet_has_the_rows_that_are_finished(loaded: LoadedModel, photo: Tensor) -> None:
    """At whatever moment: the rows are those of the whole sheet, to the last number."""

    def sheet() -> list[dict[str, Any]]:
        layers = ["2", "4"]
        made = texture_sheet(loaded, {"a": photo}, layers, lambda _: [0, 1], recipe=QUICK)
        return made.records

    assert lengths(loaded, sheet) == {0, 2}


def test_so_it_is_with_whole_codes(loaded: LoadedModel, photo: Tensor) -> None:
    def sheet() -> list[dict[str, Any]]:
        layers = ["2", "4"]
        made = rewrite_sheet(loaded, {"a": photo}, layers, {"own": original}, recipe=QUICK)
        return made.records

    assert lengths(loaded, sheet) == {0, 1}


def test_a_comparison_has_the_filters_that_are_finished(loaded: LoadedModel, photo: Tensor) -> None:
    """The copy that is asked has a button of its own, so methods press it."""
    pressed = []

    def press(question: Any) -> Tensor:
        pressed.append(question.filter)
        if len(pressed) == 2:
            raise KeyboardInterrupt
        shown: Tensor = question.photo
        return shown

    methods = {"photo": METHODS["photo"], "own": METHODS["photo"].__class__(press)}
    with pytest.warns(FeatInvWarning, match="interrupted: 1 of 3 filters are finished"):
        found = compare(loaded, photo, "2", [4, 5, 1], methods=methods)
    assert list(found.answers) == [4]
    assert list(found.answers[4]) == ["photo", "own"]


@pytest.mark.filterwarnings("ignore::captum_featinv.errors.FeatInvWarning")
def test_an_atlas_never_keeps_a_picture_that_is_half_found(
    loaded: LoadedModel, photo: Tensor, tmp_path: Path
) -> None:
    """It stops at once, and is the uninterrupted one when it has gone on."""

    def rows(where: Path | None = None) -> list[dict[str, Any]]:
        made = atlas(loaded, {"a": photo}, ["2", "4"], recipe=QUICK, out=where)
        return [{k: v for k, v in row.items() if k != "seconds"} for row in made]

    whole = rows()
    for moment in islice(moments(loaded, rows), 0, None, 15):
        with pytest.raises(KeyboardInterrupt):
            rows(tmp_path / str(moment))
        button: Any = loaded.model[0]
        calls = button.calls
        assert calls == moment
        assert rows(tmp_path / str(moment)) == whole


@pytest.mark.filterwarnings("ignore::captum_featinv.errors.FeatInvWarning")
def test_claims_are_measured_on_the_layers_that_are_finished(photo: Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), CtrlC(), nn.Conv2d(8, 8, 3), nn.ReLU())
    loaded = LoadedModel(model.eval(), "tiny", Normalization(0.5, 0.5))
    photos = torch.rand(2, 3, 24, 24)
    button: Any = model[2]
    whole = measure_claims(loaded, photos, ["1", "4"], 3, recipe=QUICK)
    button.at, button.calls = button.calls - 2, 0
    found = measure_claims(loaded, photos, ["1", "4"], 3, recipe=QUICK)
    assert button.calls == button.at
    assert [one.layer for one in found.specific] == [whole.specific[0].layer]


def test_a_picture_that_is_asked_for_alone_is_as_far_as_it_came(
    loaded: LoadedModel, photo: Tensor
) -> None:
    button: Any = loaded.model[0]
    button.at = 5
    with pytest.warns(FeatInvWarning, match="interrupted: the pictures are as far as they came"):
        FeatureMapInversion(loaded.model, "2").attribute(photo, 0, n_steps=9)


def test_passing_interrupts_ends_with_its_block(loaded: LoadedModel) -> None:
    assert not pass_through()
    with suppress(KeyboardInterrupt), passing_interrupts():
        assert pass_through()
        raise KeyboardInterrupt
    assert not pass_through()


def test_a_rendered_picture_of_a_study_is_not_kept_by_halves(loaded: LoadedModel) -> None:
    button: Any = loaded.model[0]
    button.at = 3
    with pytest.raises(KeyboardInterrupt), passing_interrupts():
        render_vis(loaded.model, "2:0", thresholds=(9,), show_image=False, progress=False)
