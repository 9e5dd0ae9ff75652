import io
import json
import re
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from captum_featinv.cli import main
from captum_featinv.errors import ArgumentError
from captum_featinv.inversion.report import FilterRecord
from captum_featinv.studies.gallery import sprites, write_gallery
from captum_featinv.studies.gallery.figures import FIGURES, SORTS, values_of
from captum_featinv.studies.gallery.naming import folder_names, printable
from captum_featinv.studies.gallery.page import as_script
from captum_featinv.studies.gallery.sprites import CELL, COLUMNS, sheets
from tests.studies.gallery.made_up import HOSTILE, atlas_of, colour_of, map_png, png


def data_of(path: Path) -> Any:
    """What the page's script is told."""
    text = (path / "gallery" / "data.js").read_text()
    said = re.fullmatch(r"const ATLAS = (.*);\n", text)
    assert said
    return json.loads(said[1], parse_constant=pytest.fail)


def files_of(path: Path) -> dict[str, bytes]:
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and "shards" not in file.parts
    }


class Tags(HTMLParser):
    """All tags of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_data_hold_every_row_by_layer_and_filter(tmp_path: Path) -> None:
    folder = atlas_of(tmp_path / "atlas")
    assert write_gallery(folder.path) == folder.path / "index.html"
    data = data_of(folder.path)
    assert [layer["name"] for layer in data["layers"]] == ["features.3", "features.13"]
    keys = [key for key, *_ in data["figures"]]
    rows = {(row["layer"], row["filter"]): row for row in folder.rows()}
    for layer in data["layers"]:
        assert [filter_ for filter_, *_ in layer["entries"]] == list(range(20))
        for filter_, photo, *values in layer["entries"]:
            row, said = rows[layer["name"], filter_], dict(zip(keys, values, strict=True))
            assert data["photos"][photo] == [row["photo"], None, 0, 0]
            assert said["share"] == pytest.approx(row["share"], rel=1e-4)
            assert said["rank"] == row["rank"]
            assert said["twin"] == row["twin"]


def test_an_infinite_figure_is_written_as_its_sign(tmp_path: Path) -> None:
    folder = atlas_of(tmp_path / "atlas")
    write_gallery(folder.path)
    data = data_of(folder.path)
    place = 2 + [key for key, *_ in data["figures"]].index("lift")
    assert [entry[place] for entry in data["layers"][0]["entries"][:2]] == ["\N{INFINITY}", 3.5]


def test_a_figure_that_is_no_number_is_left_out() -> None:
    """JSON knows no NaN, and neither do browsers."""
    assert values_of({"share": float("nan")}) == [None] * len(FIGURES)


def test_every_figure_of_a_record_has_its_words() -> None:
    recorded = {field.name for field in fields(FilterRecord)} - {"photo", "filter"}
    assert {figure.key for figure in FIGURES} == recorded | {"edges", "seconds"}
    assert set(SORTS) <= {figure.key for figure in FIGURES}


def test_the_picture_of_a_row_is_kept_byte_by_byte(tmp_path: Path) -> None:
    folder = atlas_of(tmp_path / "atlas")
    write_gallery(folder.path)
    pictures = folder.path / "gallery" / "pictures"
    assert len(list(pictures.rglob("*.png"))) == 2 * 40
    # Of filters 8 to 15 the photo is the second.
    assert (pictures / "features.13" / "9-1.png").read_bytes() == png(1, 9)
    assert (pictures / "features.13" / "9-1-map.png").read_bytes() == map_png(9)


def test_the_data_hold_where_a_filter_fires_most(tmp_path: Path) -> None:
    folder = atlas_of(tmp_path / "atlas")
    (folder.path / "photos" / "1.png").write_bytes(png(0, 3))
    write_gallery(folder.path)
    data = data_of(folder.path)
    assert data["photos"] == [["cat", None, 0, 0], ["dog", "photos/1.png", 26, 20]]
    for layer in data["layers"]:
        assert layer["field"] == 8
        assert set(layer["places"]) == {str(k) for k in range(20)}
        assert layer["places"]["7"] == [[0, 2.5, 0.375, 0.5], [1, 2.5, 0.375, 0.5]]


def test_an_atlas_without_its_survey_is_shown_all_the_same(tmp_path: Path) -> None:
    folder = atlas_of(tmp_path / "atlas")
    (folder.path / "survey.parquet").unlink()
    write_gallery(folder.path)
    assert all(layer["places"] == {} for layer in data_of(folder.path)["layers"])


def test_a_layers_textures_are_on_one_sheet_where_asked_for(tmp_path: Path) -> None:
    folder = atlas_of(tmp_path / "atlas", model=HOSTILE)
    write_gallery(folder.path)
    assert {layer["paper"] for layer in data_of(folder.path)["layers"]} == {None}
    assert main(["gallery", str(folder.path), "--sheets"]) == 0
    for number, layer in enumerate(data_of(folder.path)["layers"]):
        assert layer["paper"] == f"gallery/sheets/{layer['name']}.png"
        sheet = np.asarray(Image.open(folder.path / layer["paper"])).astype(int)
        for filter_ in range(20):  # each at its own size, and once
            same = (np.abs(sheet - colour_of(number, filter_)).max(2) == 0).sum()
            assert same == 20 * 26
    write_gallery(folder.path)
    assert not (folder.path / "gallery" / "sheets").exists()


def test_a_thumbnail_is_where_the_page_looks_for_it(tmp_path: Path) -> None:
    """300 filters: two sheets, the second with three rows."""
    folder = atlas_of(tmp_path / "atlas", ["one"], 300, pieces=100)
    write_gallery(folder.path)
    data = data_of(folder.path)
    encoded = [(folder.path / name).read_bytes() for name in data["layers"][0]["sheets"]]
    opened = [Image.open(io.BytesIO(sheet)) for sheet in encoded]
    assert [sheet.size for sheet in opened] == [(1536, 1536), (1536, 288)]
    for place in (0, 1, 15, 16, 255, 256, 299):
        sheet = np.asarray(opened[place // data["in_a_sheet"]]).astype(int)
        row, column = divmod(place % data["in_a_sheet"], data["columns"])
        cell = sheet[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL]
        assert np.abs(cell - colour_of(0, place)).max() <= 4  # not a pixel of a neighbour


def test_a_sheet_of_noise_is_still_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (CELL, CELL, 3), dtype=np.uint8)
    (sheet,) = sheets([Image.fromarray(np.roll(noise, n, 0)) for n in range(256)])
    assert len(sheet) < 1_500_000
    assert Image.open(io.BytesIO(sheet)).size == (COLUMNS * CELL, COLUMNS * CELL)


def test_a_sheet_that_is_never_small_enough_is_as_small_as_it_gets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (CELL, CELL, 3), dtype=np.uint8)
    thumbnails = [Image.fromarray(noise)]
    (best,) = sheets(thumbnails)
    monkeypatch.setattr(sprites, "_LARGEST", 1)
    (smallest,) = sheets(thumbnails)
    monkeypatch.setattr(sprites, "_LARGEST", len(smallest) + 1)
    assert list(sheets(thumbnails)) == [smallest]
    assert len(smallest) < len(best) / 2


def test_writing_twice_gives_the_same_bytes_and_writes_nothing(tmp_path: Path) -> None:
    folder, other = atlas_of(tmp_path / "atlas"), atlas_of(tmp_path / "other")
    write_gallery(folder.path)
    first = files_of(folder.path)
    times = {name: (folder.path / name).stat().st_mtime_ns for name in first}
    write_gallery(folder.path)
    write_gallery(other.path)
    assert files_of(folder.path) == first == files_of(other.path)
    assert {name: (folder.path / name).stat().st_mtime_ns for name in first} == times


def test_what_is_not_made_yet_is_not_shown(tmp_path: Path) -> None:
    folder = atlas_of(tmp_path / "atlas")
    missing = next((folder.path / "shards").glob("layer-features.13-00008-*"))
    kept = missing.read_bytes()
    missing.unlink()
    write_gallery(folder.path)
    filters = [filter_ for filter_, *_ in data_of(folder.path)["layers"][1]["entries"]]
    assert filters == [*range(8), *range(16, 20)]
    assert "32 pictures of 40 planned" in (folder.path / "index.html").read_text()
    missing.write_bytes(kept)
    write_gallery(folder.path)
    assert len(data_of(folder.path)["layers"][1]["entries"]) == 20
    assert "40 pictures from" in (folder.path / "index.html").read_text()


def test_an_atlas_without_a_single_picture_has_a_page(tmp_path: Path) -> None:
    folder = atlas_of(tmp_path / "atlas")
    for file in (folder.path / "shards").iterdir():
        file.unlink()
    write_gallery(folder.path)
    assert "0 pictures of 40 planned" in (folder.path / "index.html").read_text()


def test_files_of_an_earlier_gallery_go_and_nobody_elses(tmp_path: Path) -> None:
    folder = atlas_of(tmp_path / "atlas")
    write_gallery(folder.path)
    old = folder.path / "gallery" / "pictures" / "gone" / "1-0.png"
    old.parent.mkdir()
    old.write_bytes(b"")
    (folder.path / "notes.txt").write_text("mine")
    before = files_of(folder.path)
    write_gallery(folder.path)
    assert not old.parent.exists()
    assert set(before) - set(files_of(folder.path)) == {"gallery/pictures/gone/1-0.png"}


def test_photos_are_shown_where_they_are_kept(tmp_path: Path) -> None:
    folder = atlas_of(tmp_path / "atlas")
    (folder.path / "photos" / "1.png").write_bytes(png(0, 0))
    write_gallery(folder.path)
    assert data_of(folder.path)["photos"] == [["cat", None, 0, 0], ["dog", "photos/1.png", 26, 20]]


def test_silent_filters_are_listed_by_layer(tmp_path: Path) -> None:
    folder = atlas_of(tmp_path / "atlas")
    page = Tags(write_gallery(folder.path).read_text())
    assert re.search(r"features\.3\s*20-22, 27", page.text)


def test_the_page_says_how_the_pictures_were_made_line_by_line(tmp_path: Path) -> None:
    folder = atlas_of(tmp_path / "atlas", model="vgg16 <b>")
    page = Tags(write_gallery(folder.path).read_text())
    assert "n_steps    256\nschedule   rise_and_fall" in page.text
    assert "What the filters of vgg16 <b> extract" in page.text
    assert "40 pictures from 2 layers and 2 photos" in " ".join(page.text.split())


HOSTILE_NAMES = (
    HOSTILE,
    "</script><b>'\"",
    "a\nb\x1b[31m",
    "../../up",
    "\u2028\u202e",
    "{{ 7 * 7 }}",
    "",
    "Conv",
    "conv",
)


def test_hostile_names_are_text(tmp_path: Path) -> None:
    folder = atlas_of(tmp_path / "atlas", HOSTILE_NAMES, 2, HOSTILE_NAMES, model=HOSTILE, pieces=1)
    harmless = atlas_of(tmp_path / "harmless", [f"l{n}" for n in range(9)], 2, pieces=1)
    page = Tags(write_gallery(folder.path).read_text())
    usual = Tags(write_gallery(harmless.path).read_text())
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in usual.tags]
    assert [list(held) for _, held in page.tags] == [list(held) for _, held in usual.tags]
    assert HOSTILE in page.text
    script = (folder.path / "gallery" / "data.js").read_text()
    assert script.isascii()
    assert not re.search(r"[<>&\x1b\u2028]", script)
    data = data_of(folder.path)
    assert [layer["name"] for layer in data["layers"]] == list(map(printable, HOSTILE_NAMES))
    written = [name for name in files_of(tmp_path) if "/pictures/" in name]
    assert all(
        re.fullmatch(r"\w+/gallery/pictures/[\w.-]+/\d-\d(-map)?\.png", name) for name in written
    )
    assert len({name.lower() for name in written}) == 2 * (18 + 18)
    assert {path.name for path in tmp_path.iterdir()} == {"atlas", "harmless"}


def test_layers_have_folders_of_their_names_where_these_are_names_of_files() -> None:
    names = folder_names(["features.13", "Mixed_5b", "a/b", "a?b", "..", "mixed_5B", "", "x" * 300])
    assert names["features.13"] == "features.13"
    assert names["Mixed_5b"] == "Mixed_5b"
    assert len({name.lower() for name in names.values()}) == 8
    assert all(re.fullmatch(r"[\w-][\w.-]{0,99}", name) for name in names.values())


def test_a_script_says_what_its_value_was() -> None:
    value = {"</script>": ["\u2029&<!--", 1.5, None]}
    text = as_script("X", value).decode()
    assert not set("<>&\u2029") & set(text)
    assert json.loads(text.removeprefix("const X = ").removesuffix(";\n")) == value


def test_a_page_names_nothing_from_elsewhere(tmp_path: Path) -> None:
    folder = atlas_of(tmp_path / "atlas")
    page = Tags(write_gallery(folder.path).read_text())
    links = [held.get("src") or held.get("href") for _, held in page.tags]
    links = [link for link in links if link]
    assert {link for link in links if not (folder.path / link).is_file()} == {"data:,"}
    for name in ("gallery.js", "gallery.css"):
        assert "//" not in re.sub(r"//.* ", "", (folder.path / "gallery" / name).read_text())


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_without_an_atlas_is_one_error(
    there: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "elsewhere"
    if there:
        folder.mkdir()
    with pytest.raises(ArgumentError, match="holds no atlas"):
        write_gallery(folder)
    assert main(["gallery", str(folder)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert there == folder.exists()
    assert not there or not any(folder.iterdir())


def test_the_command_says_where_the_page_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = atlas_of(tmp_path / "atlas")
    assert main(["gallery", str(folder.path)]) == 0
    assert capsys.readouterr().out == f"wrote {folder.path / 'index.html'}\n"
    assert (folder.path / "index.html").is_file()
