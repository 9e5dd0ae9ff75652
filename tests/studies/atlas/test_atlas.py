"""An atlas is what its pieces are, whoever makes them, and however often it is stopped."""

import io
import json
import os
import subprocess
import sys
from collections import OrderedDict
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from captum_featinv import FeatureMapInversion, Recipe, cli, views
from captum_featinv.cli.parsing.atlas import part
from captum_featinv.errors import ArgumentError, MissingExtraError
from captum_featinv.images.normalization import Normalization
from captum_featinv.models import LoadedModel
from captum_featinv.network.patterns import layers_like
from captum_featinv.studies.atlas import Folder, Named, atlas, folder, making, plan
from captum_featinv.studies.atlas.survey import survey

QUICK = Recipe.default(n_steps=2)
LAYERS = ["1", "4"]


@pytest.fixture
def loaded() -> LoadedModel:
    """Of its second layer, filter 3 never fires."""
    model = nn.Sequential(
        nn.Conv2d(3, 20, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 6, 3), nn.ReLU()
    )
    with torch.no_grad():
        model[3].weight[3] = 0
        model[3].bias[3] = -1
    return LoadedModel(model.eval(), "tiny", Normalization(0.5, 0.5))


@pytest.fixture
def photos() -> dict[str, Tensor]:
    return {"a": torch.rand(1, 3, 20, 24), "b": torch.rand(1, 3, 18, 18)}


def key(row: dict[str, Any]) -> tuple[str, int, str]:
    return row["layer"], row["filter"], row["photo"]


def without_times(rows: Any) -> list[dict[str, Any]]:
    return sorted(({k: v for k, v in row.items() if k != "seconds"} for row in rows), key=key)


def files(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())


# --- what is in it -----------------------------------------------------------------------------


def test_a_row_is_the_picture_and_the_figures_of_its_filter(
    loaded: LoadedModel, photos: dict[str, Tensor]
) -> None:
    rows = list(atlas(loaded, photos, LAYERS, recipe=QUICK, seed=3))
    row = next(row for row in rows if row["layer"] == "4")
    fmi = FeatureMapInversion(loaded.model, "4", mean=0.5, std=0.5, recipe=QUICK)
    inputs = loaded.normalization.to_model(photos[row["photo"]])
    texture = fmi.attribute(inputs, row["filter"], seed=3)
    (record,) = fmi.report(texture, inputs, row["filter"])
    shown = np.round(fmi.to_image(texture[0]) * 255)
    decoded = np.asarray(Image.open(io.BytesIO(row["image"]))).astype(float)
    assert np.abs(decoded - shown).max() <= 1
    with torch.no_grad():
        own = loaded.model(inputs)[0, row["filter"]].numpy()
    map_of = np.asarray(Image.open(io.BytesIO(row["map"]))).astype(float)
    assert np.abs(map_of - np.round(own / own.max() * 255)).max() <= 1
    for name, value in asdict(record).items():
        if name != "photo":
            assert row[name] == pytest.approx(value, rel=1e-3, abs=1e-4), name


def test_every_live_filter_is_shown_from_the_photo_on_which_it_has_the_largest_share(
    loaded: LoadedModel, photos: dict[str, Tensor]
) -> None:
    seen = survey(loaded, photos, LAYERS)
    found = plan.planned(loaded, photos, seen, QUICK)
    chosen = {(s.layer, k): s.photo for s in found.shards for k in s.filters}
    with torch.no_grad():
        codes = {n: loaded.model(loaded.normalization.to_model(p))[0] for n, p in photos.items()}
    for k in range(6):
        shares = {n: float(c[k].sum() / c.sum()) for n, c in codes.items() if (c[k] > 0).any()}
        best = max(shares, key=lambda n: shares[n], default=None)
        assert chosen.get(("4", k)) == best
        assert (k in found.silent["4"]) is (best is None)
    assert 3 in found.silent["4"]
    many = plan.planned(loaded, photos, seen, QUICK, photos_a_filter=2)
    assert sum(len(s.filters) for s in many.shards) > sum(len(s.filters) for s in found.shards)


def test_a_survey_says_how_many_rows_a_place_sees_also_where_the_first_photo_has_fewer(
    loaded: LoadedModel, photos: dict[str, Tensor]
) -> None:
    """3 of a convolution of 3, 1 more of the pooling, 2 x 2 of the next; 2 more each without it."""
    found = survey(loaded, photos, LAYERS)
    assert {name: one.field for name, one in found.items()} == {"1": 3, "4": 8}
    assert {place["field"] for place in found["4"].strongest_places("4", list(photos))} == {8}
    padded = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))).eval()
    low_and_high = {"low": torch.rand(1, 3, 4, 9), "high": torch.rand(1, 3, 20, 9)}
    assert survey(LoadedModel(padded, "padded"), low_and_high, ["2"])["2"].field == 7


def test_a_survey_says_where_a_filter_fires_most(
    loaded: LoadedModel, photos: dict[str, Tensor]
) -> None:
    found = survey(loaded, photos, ["4"])["4"]
    with torch.no_grad():
        code = loaded.model(loaded.normalization.to_model(photos["a"]))[0]
    for k in range(6):
        row, column = divmod(int(code[k].argmax()), code.shape[2])
        if code[k].max() > 0:
            assert found.down[0, k] == pytest.approx((row + 0.5) / code.shape[1])
            assert found.across[0, k] == pytest.approx((column + 0.5) / code.shape[2])
        assert found.strongest[0, k] == pytest.approx(float(code[k].max()))
    assert 3 in found.silent
    places = list(found.strongest_places("4", ["a", "b"]))
    first = {place["filter"]: place for place in reversed(places)}
    assert set(first) == {k for k in range(6) if float(found.strongest[:, k].max()) > 0}
    for k, place in first.items():
        assert place["activation"] == pytest.approx(float(found.strongest[:, k].max()))


def test_directions_have_an_atlas_too(loaded: LoadedModel, photos: dict[str, Tensor]) -> None:
    seen = loaded.seen({"4": views.directions(torch.eye(6)[:2])})
    rows = list(atlas(seen, photos, LAYERS, recipe=QUICK))
    assert {row["filter"] for row in rows if row["layer"] == "4"} <= {0, 1}
    assert max(row["filter"] for row in rows if row["layer"] == "1") > 1


# --- whoever makes it --------------------------------------------------------------------------


def test_parts_make_the_whole_and_nothing_twice(
    loaded: LoadedModel, photos: dict[str, Tensor], tmp_path: Path
) -> None:
    whole = list(atlas(loaded, photos, LAYERS, recipe=QUICK, out=tmp_path / "whole"))
    made = [
        list(atlas(loaded, photos, LAYERS, recipe=QUICK, out=tmp_path / "parts", part=(i, 3)))
        for i in (3, 1, 2)
    ]
    assert sum(map(len, made)) == len(whole)
    assert files(tmp_path / "parts") == files(tmp_path / "whole")
    kept = Folder(tmp_path / "parts").rows()
    assert without_times(kept) == without_times(whole)


def test_an_executor_gives_the_same_rows(loaded: LoadedModel, photos: dict[str, Tensor]) -> None:
    alone = atlas(loaded, photos, LAYERS, recipe=QUICK)
    with ThreadPoolExecutor(2) as pool:
        together = list(atlas(loaded, photos, LAYERS, recipe=QUICK, executor=pool))
    assert without_times(together) == without_times(alone)


def test_a_folder_that_cannot_be_is_told_before_anything_is_looked_at(
    photos: dict[str, Tensor], tmp_path: Path
) -> None:
    class Untouched(LoadedModel):
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(name)

    never = object.__new__(Untouched)
    (tmp_path / "file").write_text("")
    for out in ("/proc/atlas", "/proc/deeper/atlas", tmp_path / "file" / "atlas"):
        with pytest.raises(OSError, match=r"/proc|file"):
            next(atlas(never, photos, ["1"], out=out))


def test_who_wants_no_more_rows_takes_back_what_was_handed_out(
    loaded: LoadedModel, photos: dict[str, Tensor]
) -> None:
    class First(Executor):
        """Does the first piece, and never comes to the others."""

        def __init__(self) -> None:
            self.tasks: list[Future[Any]] = []

        def submit(self, work: Any, /, *args: Any, **_: Any) -> Future[Any]:
            self.tasks.append(Future())
            if len(self.tasks) == 1:
                self.tasks[0].set_result(work(*args))
            return self.tasks[-1]

    executor = First()
    rows = atlas(loaded, photos, LAYERS, recipe=QUICK, executor=executor)
    next(rows)
    rows.close()
    done, *others = executor.tasks
    assert not done.cancelled()
    assert others
    assert all(task.cancelled() for task in others)


def test_a_worker_that_fails_is_heard_of_and_what_was_done_stays(
    loaded: LoadedModel, photos: dict[str, Tensor], tmp_path: Path
) -> None:
    rows = atlas(loaded, photos, LAYERS, recipe=QUICK, out=tmp_path / "a")
    next(rows)
    loaded.model[3].register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(rows)
    assert any(name.startswith("shards/layer-1-") for name in files(tmp_path / "a"))


def test_what_was_stopped_goes_on_and_equals_what_was_not(
    loaded: LoadedModel, photos: dict[str, Tensor], tmp_path: Path
) -> None:
    whole = list(atlas(loaded, photos, LAYERS, recipe=QUICK, out=tmp_path / "whole"))
    for count in (1, 18, 5):
        rows = atlas(loaded, photos, LAYERS, recipe=QUICK, out=tmp_path / "stopped")
        for _ in range(count):
            next(rows)
        rows.close()
    begun = len(files(tmp_path / "stopped"))
    assert begun < len(files(tmp_path / "whole"))
    last = list(atlas(loaded, photos, LAYERS, recipe=QUICK, out=tmp_path / "stopped"))
    assert without_times(last) == without_times(whole)
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")
    manifests = [(tmp_path / n / "manifest.json").read_bytes() for n in ("whole", "stopped")]
    assert manifests[0] == manifests[1]


def test_the_same_again_makes_nothing(
    loaded: LoadedModel,
    photos: dict[str, Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = list(atlas(loaded, photos, LAYERS, recipe=QUICK, out=tmp_path / "a"))
    monkeypatch.setattr(FeatureMapInversion, "attribute", lambda *_, **__: 1 / 0)
    again = list(atlas(loaded, photos, LAYERS, recipe=QUICK, out=tmp_path / "a"))
    assert sorted(again, key=key) == sorted(first, key=key)


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"seed": 1}, "seed was 0, not 1"),
        ({"layers": ["4"]}, r'layers was \["1", "4"\], not \["4"\]'),
        ({"recipe": Recipe.default(n_steps=3)}, "recipe was"),
        ({"photos_a_filter": 2}, "photos_a_filter was 1, not 2"),
    ],
)
def test_another_atlas_is_not_mixed_with_what_is_there(
    change: dict[str, Any],
    text: str,
    loaded: LoadedModel,
    photos: dict[str, Tensor],
    tmp_path: Path,
) -> None:
    given: dict[str, Any] = {"layers": LAYERS, "recipe": QUICK, "out": tmp_path / "a"}
    list(atlas(loaded, photos, **given))
    with pytest.raises(ArgumentError, match=f"another atlas: {text}.*--overwrite"):
        list(atlas(loaded, photos, **(given | change)))
    made = list(atlas(loaded, photos, **(given | change), overwrite=True))
    afresh = atlas(loaded, photos, **(given | change | {"out": None}))
    assert without_times(made) == without_times(afresh)
    assert without_times(Folder(tmp_path / "a").rows()) == without_times(made)


def test_an_atlas_with_other_pieces_of_work_is_another(
    loaded: LoadedModel, photos: dict[str, Tensor], tmp_path: Path
) -> None:
    list(atlas(loaded, photos, ["4"], recipe=QUICK, out=tmp_path / "a"))
    manifest = tmp_path / "a" / "manifest.json"
    kept = json.loads(manifest.read_text())
    kept["shards"].pop()
    manifest.write_text(json.dumps(kept))
    with pytest.raises(ArgumentError, match="another atlas: it has other filters"):
        list(atlas(loaded, photos, ["4"], recipe=QUICK, out=tmp_path / "a"))


@pytest.mark.parametrize("text", ["[]", "{}", "null", "nothing"])
def test_what_is_no_manifest_is_said(
    text: str, loaded: LoadedModel, photos: dict[str, Tensor], tmp_path: Path
) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ArgumentError, match=r"manifest\.json' is no (atlas's )?manifest"):
        list(atlas(loaded, photos, ["4"], recipe=QUICK, out=tmp_path))


def test_other_weights_or_another_photo_are_another_atlas(
    loaded: LoadedModel, photos: dict[str, Tensor], tmp_path: Path
) -> None:
    given: dict[str, Any] = {"layers": ["1"], "recipe": QUICK, "out": tmp_path / "a"}
    list(atlas(loaded, photos, **given))
    with pytest.raises(ArgumentError, match="photos was"):
        list(atlas(loaded, photos | {"a": photos["a"].flip(-1)}, **given))
    with torch.no_grad():
        loaded.model[0].weight[0, 0, 0, 0] += 0.001
    with pytest.raises(ArgumentError, match="weights was"):
        list(atlas(loaded, photos, **given))


def test_other_directions_are_another_atlas(
    loaded: LoadedModel, photos: dict[str, Tensor], tmp_path: Path
) -> None:
    """Also where they are as many: pieces of both have the same names."""
    given: dict[str, Any] = {"recipe": QUICK, "out": tmp_path / "a"}
    mirrored = [views.directions(sign * torch.eye(6)[:2]) for sign in (1, -1)]
    encoders = [views.dictionary(nn.Linear(6, 2)) for _ in range(2)]
    for one, other in (mirrored, encoders):
        list(atlas(loaded.seen(one), photos, ["4"], **given, overwrite=True))
        with pytest.raises(ArgumentError, match="view was"):
            list(atlas(loaded.seen(other), photos, ["4"], **given))


def test_a_process_killed_before_its_first_piece_leaves_an_atlas(
    loaded: LoadedModel,
    photos: dict[str, Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever it did last, the same atlas goes on."""

    class Killed(BaseException):
        pass

    made = {"left": 0}

    def dying(call: Any) -> Any:
        def calls(*args: Any, **kwargs: Any) -> Any:
            made["left"] -= 1
            if made["left"] < 0:
                raise Killed
            return call(*args, **kwargs)

        return calls

    given: dict[str, Any] = {"recipe": QUICK, "out": tmp_path / "a"}
    for moment in range(8):
        made["left"] = moment
        with monkeypatch.context() as patch:
            patch.setattr(Path, "mkdir", dying(Path.mkdir))
            patch.setattr(Path, "replace", dying(Path.replace))
            with pytest.raises(Killed):
                list(atlas(loaded, photos, ["4"], **given))
    assert list(atlas(loaded, photos, ["4"], **given))


def test_what_another_process_writes_at_stays(
    loaded: LoadedModel, photos: dict[str, Tensor], tmp_path: Path
) -> None:
    unfinished = tmp_path / "a" / ".unfinished"
    unfinished.mkdir(parents=True)
    host, dead = folder._host(), subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = [f"{host}-{number}-x" for number in (os.getppid(), dead.pid)] + [f"else-{dead.pid}-x"]
    for name in names:
        (unfinished / name).write_text("half")
    list(atlas(loaded, photos, ["4"], recipe=QUICK, out=tmp_path / "a"))
    assert sorted(one.name for one in unfinished.iterdir()) == sorted([names[0], names[2]])


@pytest.mark.parametrize(
    ("answer", "runs"), [(None, True), (PermissionError, True), (ProcessLookupError, False)]
)
def test_a_process_runs_if_it_can_be_asked_or_is_somebody_elses(
    answer: type[OSError] | None, runs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(_number: int, signal: int) -> None:
        assert signal == 0
        if answer is not None:
            raise answer

    monkeypatch.setattr(os, "kill", kill)
    assert folder._runs(os.getpid() + 1) is runs


def test_without_pyarrow_it_is_named_before_the_first_picture(
    loaded: LoadedModel,
    photos: dict[str, Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr(making, "run", pytest.fail)
    with pytest.raises(MissingExtraError, match="pip install pyarrow"):
        list(atlas(loaded, photos, ["4"], recipe=QUICK, out=tmp_path / "a"))


def test_a_folder_of_other_things_stays_as_it_is(
    loaded: LoadedModel, photos: dict[str, Tensor], tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("years")
    for overwrite in (False, True):
        with pytest.raises(ArgumentError, match="files that are no atlas"):
            list(atlas(loaded, photos, LAYERS, recipe=QUICK, out=tmp_path, overwrite=overwrite))
    assert files(tmp_path) == ["thesis.txt"]
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "manifest.json").write_text("{")
    with pytest.raises(ArgumentError, match="no manifest"):
        list(atlas(loaded, photos, LAYERS, recipe=QUICK, out=tmp_path / "b"))


def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Folder(tmp_path)
    kept.write("a.txt", b"first")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        kept.write("a.txt", b"second")
    assert (tmp_path / "a.txt").read_bytes() == b"first"
    assert files(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("wrong", [(0, 2), (3, 2), (1, 0)])
def test_a_part_that_is_not_there(
    wrong: tuple[int, int], loaded: LoadedModel, photos: dict[str, Tensor]
) -> None:
    with pytest.raises(ArgumentError, match=f"no part {wrong[0]} of {wrong[1]}"):
        list(atlas(loaded, photos, LAYERS, recipe=QUICK, part=wrong))


def test_nothing_to_look_at(loaded: LoadedModel, photos: dict[str, Tensor]) -> None:
    for given in (({}, LAYERS), (photos, [])):
        with pytest.raises(ArgumentError, match="at least one photo and one layer"):
            list(atlas(loaded, *given, recipe=QUICK))
    with pytest.raises(ArgumentError, match="1 photo or more"):
        list(atlas(loaded, photos, LAYERS, recipe=QUICK, photos_a_filter=0))
    free = LoadedModel(loaded.model, "tiny", Normalization(None, None))
    with pytest.raises(ArgumentError, match="displayable range"):
        list(atlas(free, photos, LAYERS, recipe=QUICK))


# --- files, names, the command -----------------------------------------------------------------


@pytest.mark.parametrize("hidden", [False, True])
def test_pandas_reads_the_files_as_they_are(
    loaded: LoadedModel, photos: dict[str, Tensor], tmp_path: Path, hidden: bool
) -> None:
    """Also of layers whose names begin as those of files that are passed over."""
    layers = LAYERS
    if hidden:
        named = nn.Sequential(
            OrderedDict((f"_{n}", one) for n, one in loaded.model.named_children())
        )
        loaded, layers = LoadedModel(named.eval(), "tiny"), [f"_{name}" for name in LAYERS]
    rows = list(atlas(loaded, photos, layers, recipe=QUICK, out=tmp_path / "a"))
    table = pandas.read_parquet(tmp_path / "a" / "shards")
    assert len(table) == len(rows)
    assert set(table.columns) == set(rows[0])
    best = table.sort_values("share").iloc[-1]
    assert best.share == max(row["share"] for row in rows)


def test_duckdb_asks_the_files_as_they_are(
    loaded: LoadedModel, photos: dict[str, Tensor], tmp_path: Path
) -> None:
    duckdb = pytest.importorskip("duckdb")
    rows = list(atlas(loaded, photos, LAYERS, recipe=QUICK, out=tmp_path / "a"))
    asked = (
        "select layer, filter, octet_length(image) from '{}/*.parquet' order by share desc limit 1"
    )
    with duckdb.connect() as base:
        (found,) = base.sql(asked.format(tmp_path / "a" / "shards")).fetchall()
    best = max(rows, key=lambda row: row["share"])
    assert found == (best["layer"], best["filter"], len(best["image"]))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_hugging_faces_datasets_read_the_files_as_they_are(
    loaded: LoadedModel, photos: dict[str, Tensor], tmp_path: Path
) -> None:
    """Cast to its kind, the column of bytes is one of pictures."""
    datasets = pytest.importorskip("datasets")
    rows = list(atlas(loaded, photos, LAYERS, recipe=QUICK, out=tmp_path / "a"))
    found = datasets.Dataset.from_parquet(
        [str(path) for path in sorted((tmp_path / "a" / "shards").iterdir())],
        cache_dir=str(tmp_path / "cache"),
    )
    assert found.num_rows == len(rows)
    first = found.cast_column("image", datasets.Image())[0]
    (same,) = [row for row in rows if key(row) == key(first)]
    expected = Image.open(io.BytesIO(same["image"]))
    assert np.array_equal(np.asarray(first["image"]), np.asarray(expected))


def test_a_pieces_name_is_its_own_and_fit_for_a_file() -> None:
    names = {
        plan.Shard(layer, photo, filters).name
        for layer in ("a.b", "a b", "a/b", "../b")
        for photo in ("x", "y")
        for filters in ((1, 2), (1, 3))
    }
    assert len(names) == 16
    assert not any("/" in name or " " in name for name in names)


def test_patterns_mean_activation_functions(loaded: LoadedModel) -> None:
    photo = torch.rand(1, 3, 20, 20)
    assert layers_like(loaded.model, photo, ["*"]) == ["1", "4"]
    assert layers_like(loaded.model, photo, ["4", "0"]) == ["0", "4"]
    assert layers_like(loaded.model, photo, ["[0-2]", "3"]) == ["1", "3"]
    with pytest.raises(ArgumentError, match="called like 'x\\*'; there are 1, 4"):
        layers_like(loaded.model, photo, ["x*"])


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "1/", "-1/2"])
def test_what_is_no_part(text: str) -> None:
    with pytest.raises(Exception, match="no part such as 2/8"):
        part(text)
    assert part("2/8") == (2, 8)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of somebody's own, and two photos beside it."""
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n"
        "def make():\n"
        "    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 4, 3), nn.ReLU())\n"
    )
    (tmp_path / "photos").mkdir()
    for name in ("a", "b"):
        pixels = torch.randint(0, 255, (20, 30, 3), dtype=torch.uint8).numpy()
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    return "mine:make"


def test_the_command_makes_an_atlas_and_goes_on(
    module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["atlas", "photos", "--model", module, "--layers", "*", "--steps", "2", "--size", "24"]
    assert cli.main([*words, "--shard", "1/2"]) == 0
    assert cli.main(words) == 0
    *_, said, where = capsys.readouterr().out.splitlines()
    assert where == f"open {Path('atlas', 'index.html')} in a browser"
    assert (tmp_path / "atlas" / "index.html").is_file()
    rows = list(Folder(tmp_path / "atlas").rows())
    assert said.startswith(f"{len(rows)} pictures of 2 layers in atlas; in ")
    manifest = json.loads((tmp_path / "atlas" / "manifest.json").read_text())
    assert manifest["settings"]["layers"] == ["1", "3"]
    assert list(manifest["settings"]["photos"]) == ["a.png", "b.png"]
    assert cli.main([*words, "--seed", "1"]) == 2
    assert "seed was 0, not 1" in capsys.readouterr().err


def test_the_command_refuses_what_it_cannot_tell_apart(
    module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["atlas", "photos", "photos/a.png", "--model", module, "--layers", "1"]
    assert cli.main(words) == 2
    assert "two photos are called 'a.png'" in capsys.readouterr().err
    both = ["atlas", "photos", "--model", module, "--layers", "1", "--workers", "2"]
    assert cli.main([*both, "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "workers of its own" in capsys.readouterr().err


def test_a_named_network_is_made_once_a_process(
    module: str, photos: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    named = Named(module)
    assert named.load() is Named(module).load()
    rows = list(atlas(named, photos, ["1"], recipe=QUICK))
    again = list(atlas(named.load(), photos, ["1"], recipe=QUICK))
    assert without_times(rows) == without_times(again)


def test_a_device_that_is_not_there_is_said(
    module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["atlas", "photos", "--model", module, "--layers", "1", "--device"]
    for device in ("nowhere", *(["cuda"] if not torch.cuda.is_available() else [])):
        assert cli.main([*words, device]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"captum-featinv: error: no network can be put on device '{device}'")
        assert said.endswith("try 'cpu'\n")
    assert not Path("atlas").exists()


def test_a_device_is_part_of_the_atlas(loaded: LoadedModel, photos: dict[str, Tensor]) -> None:
    """For another one rounds otherwise, and may choose another precision."""
    plan_ = plan.planned(loaded, photos, survey(loaded, photos, ["1"]), QUICK)
    assert plan_.settings["device"] == "cpu" == str(loaded.device)
