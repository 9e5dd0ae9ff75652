"""Directions learnt from photos: scikit-learn's, in the terms in which a view reads them."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.decomposition import PCA
from torch import Tensor, nn
from torch.testing import assert_close

from captum_featinv import directions, views
from captum_featinv.errors import ArgumentError, MissingExtraError
from captum_featinv.images import load_folder
from captum_featinv.network import read_code


def identity(channels: int = 6) -> nn.Sequential:
    """A network whose code is its input."""
    return nn.Sequential(nn.Identity(), nn.Conv2d(channels, 1, 1)).eval()


def sums_of(parts: Tensor) -> tuple[Tensor, Tensor]:
    """Images whose places are non-negative sums of a few parts, and how much of each there is."""
    amounts = torch.rand(4, len(parts), 7, 9) * (torch.rand(4, len(parts), 7, 9) < 0.5)
    return torch.einsum("nkhw,kc->nchw", amounts, parts), amounts


def test_nmf_reads_how_much_there_is_of_each_part() -> None:
    parts = torch.tensor([[3.0, 1, 0, 0, 0, 0], [0, 0, 2, 2, 0, 0], [0, 0, 0, 1, 1, 1.0]])
    images, amounts = sums_of(parts)
    found = directions.nmf(identity(), "0", images, 3)
    said = read_code(identity(), "0", images, view=views.directions(found, torch.relu))
    true = (amounts * parts.norm(dim=1).reshape(1, 3, 1, 1)).movedim(1, -1).flatten(0, 2)
    read = said.movedim(1, -1).flatten(0, 2)
    correlations = torch.corrcoef(torch.cat([true, read], 1).T)[:3, 3:]
    assert correlations.amax(0).min() > 0.98
    assert sorted(correlations.argmax(0).tolist()) == [0, 1, 2]
    # In units of activation, and the part with most of it first.
    order = correlations.argmax(0)
    assert_close(read.mean(0), true.mean(0)[order], rtol=0.1, atol=0.02)
    assert read.sum(0).argmax() == 0


def test_pca_is_scikit_learns() -> None:
    images = torch.randn(3, 6, 8, 9)
    found = directions.pca(identity(), "0", images, 4)
    places = images.movedim(1, -1).flatten(0, 2).numpy()
    expected = PCA(4, svd_solver="full").fit(places).components_
    assert_close(
        (found * torch.from_numpy(expected)).sum(1).abs(), torch.ones(4), atol=1e-4, rtol=0
    )
    assert_close(found @ found.T, torch.eye(4), atol=1e-5, rtol=0)


def test_many_places_are_drawn_from_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directions, "_PLACES", 100)
    images = torch.rand(3, 6, 8, 9)
    one, again, other = (directions.pca(identity(), "0", images, 2, seed=s) for s in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.allclose(one.abs(), other.abs())


def test_a_probe_points_from_others_to_examples() -> None:
    truth = torch.tensor([2.0, 0, -1, 0, 0, 0])
    examples, others = (torch.randn(40, 6, 3, 3) + s * truth[None, :, None, None] for s in (1, -1))
    found = directions.probe(identity(), "0", examples, others)
    assert found.shape == (1, 6)
    assert float(found.norm()) == pytest.approx(1, abs=1e-5)
    assert float(found[0] @ truth / truth.norm()) > 0.95


def test_a_completed_set_of_directions_loses_nothing() -> None:
    given = torch.randn(2, 6)
    found = directions.completed(given)
    assert found.shape == (6, 6)
    assert torch.equal(found[:2], given)
    assert_close(found[2:] @ found[2:].T, torch.eye(4), atol=1e-5, rtol=0)
    assert_close(found[2:] @ given.T, torch.zeros(4, 2), atol=1e-5, rtol=0)
    twice = torch.cat([given, 2 * given])
    assert directions.completed(twice).shape == (8, 6)


def test_what_cannot_be_learnt_says_why() -> None:
    images = torch.rand(1, 6, 2, 2)
    with pytest.raises(ArgumentError, match=r"negative numbers.*pca"):
        directions.nmf(identity(), "0", images - 0.5, 2)
    for learn in (directions.nmf, directions.pca):
        for count in (0, 5, 7):
            with pytest.raises(ArgumentError, match=f"{count} directions cannot be learnt from 4"):
                learn(identity(), "0", images, count)


def test_a_folder_is_read_by_name(tmp_path: Path) -> None:
    for name, level in (("b.png", 200), ("a.png", 40)):
        Image.fromarray(np.full((30, 50, 3), level, np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    found = load_folder(tmp_path, 16)
    assert found.shape == (2, 3, 16, 16)
    assert_close(found.mean((1, 2, 3)) * 255, torch.tensor([40.0, 200.0]), atol=0.5, rtol=0)
    with pytest.raises(ArgumentError, match="is no folder"):
        load_folder(tmp_path / "c", 16)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArgumentError, match="no pictures in"):
        load_folder(tmp_path / "empty", 16)


@pytest.mark.parametrize("learn", [directions.nmf, directions.pca])
def test_without_scikit_learn_it_is_named(
    learn: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.decomposition", None)
    with pytest.raises(MissingExtraError, match="pip install scikit-learn"):
        learn(identity(), "0", torch.rand(1, 6, 3, 3), 2)
