"""Rivals get our seconds, pictures are made once, and who wins is said of the same filters."""

import json
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from captum_featinv import FeatureMapInversion
from captum_featinv.images.display import as_saved
from captum_featinv.images.normalization import Normalization
from captum_featinv.metrics.interval import Estimate
from captum_featinv.models import LoadedModel
from captum_featinv.studies.claims.telling import CANNOT_TELL
from tests.benchmarks import judge, judged
from tests.benchmarks.judge import Figures, beside, paired, plan, pooled, verdict
from tests.benchmarks.judged import Place
from tests.benchmarks.methods import METHODS
from tests.benchmarks.pictures import Made

COLOURS = torch.eye(3).repeat(2, 1) * torch.tensor([1.0, 0.5]).repeat_interleave(3)[:, None]
TAKES = {"ours": 3.0, "Lucent": 9.0, "authors": 7.0}


class Fake:
    """Every filter's picture is of its colour, or of noise; calls are counted."""

    def __init__(self, name: str, calls: list[tuple[str, float | None]]) -> None:
        self.name, self.calls = name, calls

    def pictures(
        self,
        loaded: LoadedModel,
        layer: str,
        filters: tuple[int, ...],
        photos: Tensor,
        *,
        seconds: float | None,
        seed: int,
    ) -> Made:
        self.calls.append((self.name, seconds))
        shape = len(filters), *photos.shape
        if self.name == "ours":
            images = COLOURS[list(filters)][:, None, :, None, None].expand(shape)
        else:
            images = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
        took = TAKES[self.name] if seconds is None else seconds
        return Made(as_saved(images), took, None if seconds is None else 5)


class MeanColour:
    description = "mean colours"

    def describe(self, patches: Tensor) -> Tensor:
        mean = patches.mean((2, 3)) - 0.5
        return nn.functional.normalize(torch.cat([mean, torch.full_like(mean[:, :1], 0.1)], 1))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float | None]]:
    """Three methods on a network of six filters, each of which likes a colour."""
    conv = nn.Conv2d(3, 6, 3, padding=1)
    with torch.no_grad():
        conv.weight.copy_(((2 * COLOURS - 0.5) / 9)[..., None, None].expand(-1, -1, 3, 3))
        conv.bias.zero_()
    loaded = LoadedModel(nn.Sequential(conv, nn.ReLU()).eval(), "small", Normalization(0.0, 1.0))
    calls: list[tuple[str, float | None]] = []
    for name in list(METHODS):
        monkeypatch.delitem(METHODS, name)
    for name in TAKES:
        monkeypatch.setitem(METHODS, name, Fake(name, calls))
    for module in (judge, judged):
        monkeypatch.setattr(module, "network", lambda _: loaded)
    monkeypatch.setattr(judge, "LAYERS", {"vgg16": {"blocks.3": "1"}})
    monkeypatch.setattr(judge, "queries_from", lambda: torch.rand(4, 3, 24, 24))
    monkeypatch.setattr(
        judge, "photographs", lambda names, size: torch.rand(len(names), 3, size, size)
    )
    monkeypatch.setattr(judge, "JUDGES", {"another": lambda _: MeanColour()})
    monkeypatch.setattr(judge.Place, "transfer", lambda *_: 0.5)
    return calls


def run(monkeypatch: pytest.MonkeyPatch, out: Path, *words: str) -> None:
    given = ["judge", "--networks", "vgg16", "--size", "24", "--out", str(out), *words]
    monkeypatch.setattr(sys, "argv", given)
    judge.main()


def test_rivals_get_our_seconds_and_the_authors_also_their_own_length() -> None:
    names = ["ours", "ours before", "authors", "code inversion", "Lucent"]
    rows = list(plan(names, 3.0, own_length=True))
    assert list(plan(names, 3.0, own_length=False)) == rows[:5]
    assert rows == [
        ("ours", "ours", None),
        ("ours before", "ours before", None),
        ("authors", "authors", 3.0),
        ("code inversion", "code inversion", None),
        ("Lucent", "Lucent", 3.0),
        ("authors, at its own length", "authors", None),
    ]


def test_the_command_makes_each_picture_once_and_prints_who_wins(
    calls: list[tuple[str, float | None]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.manual_seed(0)
    run(monkeypatch, tmp_path, "--anyway", "--own-length")
    assert calls == [("ours", None), ("Lucent", 3.0), ("authors", 3.0), ("authors", None)]
    said = capsys.readouterr().out
    assert "small, judged by mean colours; 4 photos" in said
    assert "blocks.3: natural patches told" in said
    for name in (*TAKES, "authors, at its own length", "ours beside"):
        assert any(line.startswith(f"{name} ") for line in said.splitlines()), name
    kept = json.loads((tmp_path / "vgg16-blocks.3-24-another.json").read_text())
    assert kept["Lucent"]["seconds"] == kept["ours"]["seconds"] == 3.0
    assert len(kept["ours"]["told"]) == len(kept["ours"]["robust"]) == len(kept["ours"]["filters"])
    assert (tmp_path / "vgg16-blocks.3-24-another.png").exists()
    torch.manual_seed(0)
    run(monkeypatch, tmp_path, "--anyway", "--own-length")
    assert len(calls) == 4
    assert json.loads((tmp_path / "vgg16-blocks.3-24-another.json").read_text()) == kept


def test_nothing_is_made_where_natural_patches_are_not_told(
    calls: list[tuple[str, float | None]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(judge, "CALIBRATED", 1.01)
    run(monkeypatch, tmp_path)
    assert CANNOT_TELL in capsys.readouterr().out
    assert calls == []


def test_own_defaults_give_nobody_a_budget_and_ask_nobody(
    calls: list[tuple[str, float | None]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(monkeypatch, tmp_path, "--own-defaults", "--layers", "blocks.3")
    assert calls == [("ours", None), ("Lucent", None), ("authors", None)]
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Lucent ")]
    assert line.split()[1:4] == ["-", "-", "-"]
    assert line.split()[-3:] == ["9.00", "own", "-"]


def test_differences_are_of_the_same_filters() -> None:
    """Filters differ by far more than the methods do, which pairs do not mind."""
    theirs = torch.tensor([0.1, 0.9, 0.3, 0.7, 0.5, 0.2, 0.8])
    more = paired(theirs + 0.05, theirs)
    assert more == pytest.approx((0.05, 0.05, 0.05), abs=1e-6)
    assert verdict(more) == "ours"
    assert verdict(paired(theirs, theirs + 0.05)) == "RIVAL"
    assert verdict(Estimate(0.1, -0.1, 0.3)) == "open"
    assert verdict(Estimate(1.5, 0.9, 2.0), 1.0) == "open"


def figures(name: str, told: list[float], *, believed: bool = True) -> Figures:
    values = torch.tensor(told)
    return Figures(name, believed, values, (values, values + 1, values + 2))


def test_filters_of_several_layers_are_counted_together() -> None:
    """A method that one of them does not know is left out, and one doubt is a doubt of all."""
    low = [figures("ours", [0.8, 0.6, 0.4]), figures("Lucent", [0.2, 0.2, 0.3])]
    high = [
        figures("Lucent", [0.3], believed=False),
        figures("ours", [0.9]),
        figures("MaCo", [1.0]),
    ]
    ours, lucent = pooled([low, high])
    assert (ours.name, ours.believed, lucent.name, lucent.believed) == (
        "ours",
        True,
        "Lucent",
        False,
    )
    assert ours.told.tolist() == pytest.approx([0.8, 0.6, 0.4, 0.9])
    assert lucent.shares[1].tolist() == pytest.approx([1.2, 1.2, 1.3, 1.3])
    ((name, more, so, *_),) = beside([ours, lucent])
    assert (name, more[:4], so) == ("Lucent", "0.43", CANNOT_TELL)


def test_shares_are_means_over_photos_of_logarithms(
    calls: list[tuple[str, float | None]],
) -> None:
    torch.manual_seed(0)
    place = Place("vgg16", "1", 0, (4, 2, 0), torch.rand(2, 3, 24, 24))
    images = torch.rand(3, 2, 3, 24, 24)
    images[0, 0] = torch.tensor([1.0, 0.0, 1.0])[:, None, None]  # filter 4 does not see magenta
    found = place.shares(images)
    model = judged.network("vgg16").model
    with torch.no_grad():
        energy = model(as_saved(images).transpose(0, 1).flatten(0, 1)).square().sum((2, 3))
    share = (energy / energy.sum(1, keepdim=True)).reshape(2, 3, 6)
    own = torch.stack([share[:, i, k] for i, k in enumerate((4, 2, 0))])
    assert own[0, 0] == 0  # counts as the floor
    wanted = own.clamp(min=judged.FLOOR).log().mean(1)
    torch.testing.assert_close(found.share, wanted, atol=1e-4, rtol=1e-4)
    fmi = FeatureMapInversion(model, "1")
    ranks = [one.rank for one in fmi.report(images.transpose(0, 1), place.photos, [4, 2, 0])]
    assert found.rank == torch.tensor(ranks).double().quantile(0.5).item()
