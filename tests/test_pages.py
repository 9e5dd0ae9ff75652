"""What the README and the pages say is so: their code and commands run, their links lead somewhere."""

import re
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageStat

from captum_featinv.cli import main
from captum_featinv.cli.parsing import parser
from captum_featinv.models import load_model
from captum_featinv.optimization import loop
from tests.pages import PAGES, ROOT, code, commands, headings, links
from tests.pictures import save_photos

README = ROOT / "README.md"
# So that a command takes seconds; what stands on the page comes first, and the last word counts.
QUICKLY = {
    "atlas": ["--steps=2", "--size=48"],
    "claims": ["--steps=2", "--size=64", "--filters=3", "--photos=photos"],
    "compare": ["--steps=2", "--size=64"],
    "demo": ["--size=64"],
    "explain": ["--steps=2"],
    "invert": ["--steps=2", "--size=64"],
    "restyle": ["--steps=2", "--size=64"],
}


OWN = """
from torch import nn


class make(nn.Module):
    def __init__(self):
        super().__init__()
        pool, relu = nn.MaxPool2d(2), nn.ReLU()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3), relu, pool, nn.Conv2d(8, 8, 3), nn.ReLU())

    def forward(self, images):
        return self.features(images)
"""


def titled(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """With the photos and the model that pages speak of; two steps are enough."""
    whole = loop.descend
    monkeypatch.setattr(loop, "descend", lambda *a, **options: islice(whole(*a, **options), 2))
    monkeypatch.chdir(tmp_path)
    save_photos(tmp_path)
    (tmp_path / "my_module.py").write_text(OWN)
    torch.save(load_model("my_module:make").model.state_dict(), "mine.pt")
    yield tmp_path
    sys.modules.pop("my_module", None)


@pytest.mark.parametrize("page", PAGES, ids=titled)
def test_links_lead_somewhere(page: Path) -> None:
    for file, heading in links(page):
        assert file.exists(), f"{file} is not there"
        assert file.is_relative_to(ROOT)
        assert not heading or heading in headings(file), f"{file.name} has no heading {heading}"


def test_the_readme_is_read_in_minutes_and_names_every_page() -> None:
    assert len(README.read_text().splitlines()) <= 130
    linked = {file for file, _ in links(README)}
    tutorials = set((ROOT / "tutorials").glob("*.md"))
    aside = {ROOT / "tutorials" / name for name in ("index.md", "changelog.md")}
    assert tutorials - aside <= linked
    assert set((ROOT / "tutorials").glob("*.ipynb")) <= linked


def test_every_page_is_on_the_site() -> None:
    index = (ROOT / "tutorials" / "index.md").read_text()
    listed = set(re.findall(r"(?m)^(?:.* <)?([\w/]+)>?$", index))
    there = {path.relative_to(ROOT / "tutorials").with_suffix("").as_posix() for path in PAGES[1:]}
    there |= {path.stem for path in (ROOT / "tutorials").glob("*.ipynb")}
    assert listed == there - {"index"}


def test_the_readmes_pictures_are_small_and_show_something() -> None:
    shown = re.findall(r"!\[.+\]\((.*)\)", README.read_text())
    assert len(shown) == 5
    for name in shown:
        assert (ROOT / name).stat().st_size < 400_000
        with Image.open(ROOT / name) as picture:
            assert 600 <= picture.width <= 1200, name
            # A grey tile would have hardly any spread.
            assert max(ImageStat.Stat(picture.convert("RGB")).stddev) > 40, name


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=titled)
def test_the_commands_are_understood(page: Path) -> None:
    """Without running them, which takes minutes; the parser ends with SystemExit otherwise."""
    for words in commands(page):
        assert parser().parse_args(words).command == words[0]


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if code(page, "python")], ids=titled)
@pytest.mark.filterwarnings("ignore::captum_featinv.errors.FeatInvWarning")
def test_the_code_runs(page: Path, folder: Path) -> None:
    for block in code(page, "python"):
        exec(compile(block, page.name, "exec"), {"__name__": "page"})


@pytest.mark.slow
def test_the_readmes_code_ends_in_a_picture(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = code(README, "python")
    exec(compile(block, "README.md", "exec"), {})
    assert "robust" in capsys.readouterr().out
    with Image.open("textures.png") as picture:
        assert picture.width > 3 * 160
        assert max(ImageStat.Stat(picture).stddev) > 20


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=titled)
@pytest.mark.filterwarnings("ignore")
def test_the_commands_run(page: Path, folder: Path) -> None:
    """All of them are tried, in order: some take what others made."""
    failed = []
    for words in commands(page):
        local = ["--weights=random"] if any(w.startswith("timm/") for w in words) else []
        try:
            ended = main([*words, *QUICKLY.get(words[0], []), *local])
        except SystemExit as error:  # of the parser: unknown options
            ended = error.code
        named = [words[i + 1] for i, word in enumerate(words) if word in ("--out", "--report")]
        lost = [name for name in named if not (folder / name).exists()]
        if ended or lost:
            failed.append(f"captum-featinv {' '.join(words)}: {ended}, without {lost}")
    assert not failed, "\n".join(failed)
