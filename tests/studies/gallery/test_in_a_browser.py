"""The gallery as a browser shows it, from a file, without a server."""

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from captum_featinv.studies.gallery import write_gallery
from tests.studies.gallery.made_up import HOSTILE, atlas_of, colour_of, png

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None,
        reason="no chromium and chromedriver; Debian: apt-get install chromium chromium-driver",
    ),
]
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-background-networking "
    "--disable-component-update --disable-sync --no-first-run --window-size=1280,900"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: webdriver.Chrome, tmp_path: Path) -> Iterator["Page"]:
    """Two layers of 20 filters, of two photos the second with its file."""
    folder = atlas_of(tmp_path / "atlas")
    (folder.path / "photos" / "1.png").write_bytes(png(0, 3, textured=True))
    shown = Page(browser, write_gallery(folder.path))
    yield shown
    assert shown.complaints() == []
    requests = shown.requests()
    assert f"{shown.address.removesuffix('index.html')}gallery/data.js" in requests
    assert {address.split(":")[0] for address in requests} <= {"file", "data"}


class Page:
    """What a person does with the page, and sees of it."""

    def __init__(self, browser: webdriver.Chrome, file: Path, link: str = "") -> None:
        self.browser = browser
        self.address = file.as_uri()
        browser.get("about:blank")
        self.complaints()
        self.requests()
        browser.get(self.address + link)
        self.wait_until_it_is_there()

    def wait_until_it_is_there(self) -> None:
        """The driver says so now and then before the page's scripts have run."""
        ready = "document.readyState === 'complete' && !!document.querySelector('.cell')"
        WebDriverWait(self.browser, 10, 0.02).until(lambda _: self.ask(ready))

    def reload(self) -> None:
        self.browser.execute_script("document.body.replaceChildren()")  # not to take it for the new
        self.browser.refresh()
        self.wait_until_it_is_there()

    def ask(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(f"return {script}", *arguments)

    def complaints(self) -> list[dict[str, Any]]:
        return self.browser.get_log("browser")

    def requests(self) -> list[str]:
        """The addresses of all that was asked for since the last time, the network's and files'."""
        events = [json.loads(e["message"])["message"] for e in self.browser.get_log("performance")]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def labels(self) -> list[str]:
        """Of all textures on the wall, in their order."""
        return self.ask("[...document.querySelectorAll('.cell')].map((cell) => cell.ariaLabel)")

    def names(self) -> list[str]:
        return [label.split(",")[0] for label in self.labels()]

    def focus(self) -> str | None:
        return self.ask("document.activeElement.ariaLabel")

    def enlarged(self) -> str | None:
        """What is shown large, if something is."""
        return self.ask(
            "document.querySelector('dialog').open"
            " ? document.getElementById('shown-name').textContent : null"
        )

    def link(self) -> str:
        return self.ask("location.hash")

    def choose(self, name: str, value: str) -> None:
        Select(self.browser.find_element(By.ID, name)).select_by_value(value)

    def click(self, selector: str) -> None:
        self.browser.find_element(By.CSS_SELECTOR, selector).click()

    def press(self, *keys: str) -> None:
        for key in keys:
            ActionChains(self.browser).send_keys(key).perform()

    def wait_for(self, expected: str | None) -> None:
        """Until this is shown large, or nothing, also by the address: browsers take their time."""
        WebDriverWait(self.browser, 5, 0.02).until(
            lambda _: self.enlarged() == expected and (self.link() != "") == (expected is not None)
        )


def names(layer: str, filters: range) -> list[str]:
    return [f"{layer} filter {k}" for k in filters]


ALL = names("features.3", range(20)) + names("features.13", range(20))


def test_all_are_on_the_wall_by_layer_and_say_who_they_are(page: Page) -> None:
    assert page.names() == ALL
    assert page.labels()[0] == "features.3 filter 0, share 50%"
    assert page.ask("document.getElementById('count').textContent") == "40 of 40 textures shown"
    assert page.ask("[...document.querySelectorAll('main h2')].map((h) => h.textContent)") == [
        "features.3 20",
        "features.13 20",
    ]


def test_sorting_is_by_the_figure_and_among_equals_by_layer(page: Page) -> None:
    pairs = [(k, layer) for k in range(20) for layer in ("features.3", "features.13")]
    page.choose("sort", "share")  # falls with the filter
    assert page.names() == [f"{layer} filter {k}" for k, layer in pairs]
    page.choose("sort", "colours")  # rises with it
    down = [(k, layer) for k in range(19, -1, -1) for layer in ("features.3", "features.13")]
    assert page.names() == [f"{layer} filter {k}" for k, layer in down]
    assert page.labels()[0] == "features.3 filter 19, colours 21"
    page.choose("sort", "rank")
    assert page.names() == sorted(ALL, key=lambda name: int(name.split()[-1]) % 4)
    page.choose("sort", "robust_share")
    assert page.names() == sorted(ALL, key=lambda name: -(int(name.split()[-1]) * 7 % 11))
    page.choose("sort", "edges")  # all the same
    assert page.names() == ALL
    page.choose("sort", "layer")
    assert page.names() == ALL


def test_a_layer_can_be_chosen_and_filters_searched(page: Page) -> None:
    page.choose("layer", "1")
    assert page.names() == ALL[20:]
    search = page.browser.find_element(By.ID, "search")
    search.send_keys("7")
    assert page.names() == ["features.13 filter 7"]
    page.choose("layer", "")
    assert page.names() == ["features.3 filter 7", "features.13 filter 7"]
    assert page.ask("document.getElementById('count').textContent") == "2 of 40 textures shown"
    search.clear()
    search.send_keys("FEATURES.3/4")
    assert page.names() == ["features.3 filter 4"]
    search.send_keys("00")
    assert page.names() == []
    assert page.browser.find_element(By.ID, "none").is_displayed()


def test_a_click_enlarges_and_escape_closes_and_gives_the_focus_back(page: Page) -> None:
    page.click(".cell:nth-child(3)")
    assert page.enlarged() == "features.3 filter 2"
    assert page.link() == "#features.3/2"
    page.press(Keys.ESCAPE)
    page.wait_for(None)
    assert page.link() == ""
    assert page.focus() == "features.3 filter 2, share 25%"


def test_all_is_done_with_keys_alone(page: Page) -> None:
    page.press(Keys.TAB, Keys.TAB, Keys.TAB, Keys.TAB, Keys.TAB)
    assert page.focus() == page.labels()[0]  # after what was made how, and three controls
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    assert page.focus() == page.labels()[1]
    columns = page.ask(
        "getComputedStyle(document.querySelector('.grid')).gridTemplateColumns.split(' ').length"
    )
    page.press(Keys.ARROW_DOWN)
    assert page.focus() == page.labels()[1 + columns]
    page.press(Keys.ARROW_DOWN)
    assert page.focus() == page.labels()[20 + 1]  # the next layer's first row
    page.press(Keys.ARROW_UP, Keys.ARROW_UP)
    assert page.focus() == page.labels()[1]
    page.press(Keys.END)
    assert page.focus() == page.labels()[39]
    assert page.ask("document.querySelectorAll('.cell[tabindex=\"0\"]').length") == 1
    page.press(Keys.ENTER)
    assert page.enlarged() == ALL[39]
    page.press(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert page.enlarged() == ALL[37]
    page.press(Keys.ARROW_RIGHT)
    assert page.enlarged() == ALL[38]
    assert page.link() == "#features.13/18"
    page.press(Keys.ESCAPE)
    page.wait_for(None)
    assert page.focus() == page.labels()[38]


def test_next_and_previous_keep_to_what_is_shown_and_go_round(page: Page) -> None:
    page.choose("layer", "1")
    page.choose("sort", "colours")
    page.click(".cell")
    assert page.enlarged() == "features.13 filter 19"
    page.click("#previous")
    assert page.enlarged() == "features.13 filter 0"
    assert page.ask("document.getElementById('shown-place').textContent") == "20 of 20"
    page.click("#next")
    page.click("#next")
    assert page.enlarged() == "features.13 filter 18"
    page.click("#close")
    page.wait_for(None)


def test_the_back_button_closes_and_the_forward_button_opens(page: Page) -> None:
    page.click(".cell:nth-child(5)")
    page.press(Keys.ARROW_RIGHT)
    page.browser.back()
    page.wait_for(None)
    page.browser.forward()
    page.wait_for("features.3 filter 5")
    page.press(Keys.ESCAPE)
    page.wait_for(None)


def test_a_link_opens_its_texture_and_closing_stays_on_the_page(page: Page) -> None:
    linked = Page(page.browser, Path(page.address.removeprefix("file://")), "#features.13/9")
    assert linked.enlarged() == "features.13 filter 9"
    linked.press(Keys.ESCAPE)
    linked.wait_for(None)
    assert linked.ask("location.href") == page.address
    linked.browser.execute_script("location.hash = '#features.3/1'")
    linked.wait_for("features.3 filter 1")
    linked.press(Keys.ESCAPE)
    linked.wait_for(None)
    for nothing in ("#features.3/77", "#%", "#a/b/c/d"):
        linked.browser.execute_script("location.hash = arguments[0]", nothing)
        assert linked.enlarged() is None


def test_pictures_of_a_filter_from_several_photos_have_their_own_links(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    folder = atlas_of(tmp_path / "atlas", ["conv"], 3, every_photo=True)
    page = Page(browser, write_gallery(folder.path))
    first, second, *_ = page.labels()
    assert first == "conv filter 0, share 50%, from photo cat"
    assert second == "conv filter 0, share 50%, from photo dog"
    page.click(".cell:nth-child(4)")
    assert page.link() == "#conv/1/1"
    page.reload()
    assert page.ask("document.getElementById('photo-name').textContent") == "photo: dog"
    linked = Page(browser, folder.path / "index.html", "#conv/1/0")
    assert linked.enlarged() == "conv filter 1"
    assert linked.ask("document.getElementById('photo-name').textContent") == "photo: cat"
    assert page.complaints() == []


def test_what_is_enlarged_is_whole_with_its_photo_and_figures(page: Page) -> None:
    page.click("section:nth-of-type(2) .cell:nth-child(10)")  # filter 9, of the second photo
    script = "document.getElementById(arguments[0]).naturalWidth"
    WebDriverWait(page.browser, 5, 0.02).until(lambda _: page.ask(script, "picture") == 26)
    WebDriverWait(page.browser, 5, 0.02).until(lambda _: page.ask(script, "photo") == 26)
    assert page.ask("document.getElementById('picture').alt") == "Texture of features.13 filter 9"
    assert page.ask("document.getElementById('photo-name').textContent") == "photo: dog"
    said = dict(
        page.ask(
            "[...document.querySelectorAll('#figures tr')]"
            ".map((row) => [row.cells[0].textContent, row.cells[1].textContent])"
        )
    )
    assert said["share"] == "9.1%"
    assert said["colours"] == "11"
    assert said["rank"] == "1"
    assert said["silent"] == "no"
    assert said["lift"] == "3.5 \N{MULTIPLICATION SIGN}"
    page.press(Keys.HOME)
    page.click("#close")
    page.wait_for(None)
    page.click(".cell")  # the first photo, which has no file
    assert not page.browser.find_element(By.ID, "photo").is_displayed()
    WebDriverWait(page.browser, 5, 0.02).until(lambda _: page.ask(script, "map") == 5)
    assert page.browser.find_element(By.ID, "map").is_displayed()


def colour_at(picture: Image.Image, down: float, across: float) -> tuple[int, int, int]:
    place = int(across * picture.width), int(down * picture.height)
    seen = picture.getpixel(place)
    assert isinstance(seen, tuple)
    return seen[0], seen[1], seen[2]


def test_the_photo_is_lit_where_the_filter_fires(browser: webdriver.Chrome, tmp_path: Path) -> None:
    folder = atlas_of(tmp_path / "atlas")
    (folder.path / "photos" / "1.png").write_bytes(png(0, 3))  # in one colour
    page = Page(browser, write_gallery(folder.path))
    page.click("section:nth-of-type(2) .cell:nth-child(9)")  # filter 8: row 1 of 4, column 3 of 5
    for shown, width in (("lit", 26), ("map", 5)):
        script = f"document.getElementById('{shown}').naturalWidth"
        WebDriverWait(page.browser, 5, 0.02).until(lambda _, s=script, w=width: page.ask(s) == w)
    lit = page.browser.find_element(By.CLASS_NAME, "lit").screenshot_as_png
    picture = Image.open(io.BytesIO(lit)).convert("RGB")
    there, elsewhere = colour_at(picture, 1.5 / 4, 3.5 / 5), colour_at(picture, 3.5 / 4, 0.5 / 5)
    assert all(abs(a - b) <= 12 for a, b in zip(there, colour_of(0, 3), strict=True))
    assert all(abs(a - 0.15 * b) <= 12 for a, b in zip(elsewhere, colour_of(0, 3), strict=True))


def test_patches_are_what_excites_the_filter_most(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    """8 pixels around the place in the photo, and no further than its edge."""
    folder = atlas_of(tmp_path / "atlas")
    photo = np.zeros((20, 26, 3), dtype=np.uint8)
    photo[6:14, 9:17] = (200, 60, 20)  # around the middle of row 1, column 2: (7.5, 13), cut at 3.5
    photo[:8, :8] = (20, 60, 200)
    Image.fromarray(photo).save(folder.path / "photos" / "1.png")
    page = Page(browser, write_gallery(folder.path))
    for cell, down, colour in ((8, 0.75, (200, 60, 20)), (1, 0.5, (20, 60, 200))):
        page.click(f"section:nth-of-type(2) .cell:nth-child({cell})")
        (patch,) = page.browser.find_elements(By.CLASS_NAME, "patch")
        assert patch.get_attribute("aria-label") == "Patch from photo dog, activation 2.5"
        picture = Image.open(io.BytesIO(patch.screenshot_as_png)).convert("RGB")
        for across in (0.1, 0.5, 0.9):
            seen = colour_at(picture, down, across)
            assert all(abs(a - b) <= 8 for a, b in zip(seen, colour, strict=True))
        said = page.browser.find_element(By.ID, "patches-said").text
        assert said.endswith("patches of 8 pixels, all that a place sees")
        page.press(Keys.ESCAPE)
        page.wait_for(None)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_accessibility_check_finds_nothing(page: Page, scheme: str) -> None:
    """axe's rules on the wall and on what is enlarged; in both schemes, for contrast."""
    checker = pytest.importorskip("axe_core_python.selenium").Axe()
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    for selector in (None, ".cell"):
        if selector:
            page.click(selector)
        found = checker.run(page.browser)
        assert found["passes"]
        said = [(one["id"], one["impact"], one["nodes"][0]["html"]) for one in found["violations"]]
        print(f"\n{scheme}: {len(found['passes'])} rules hold, {len(said)} do not")
        assert said == []
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_thumbnails_show_the_filters_own_part_of_the_sheet(page: Page) -> None:
    """A cell's centre on a screenshot has the colour that its picture was given."""
    thumb = page.browser.find_element(
        By.CSS_SELECTOR, "section:nth-of-type(2) .cell:nth-child(16) .thumb"
    )
    picture = Image.open(io.BytesIO(thumb.screenshot_as_png)).convert("RGB")
    seen = picture.getpixel((picture.width // 2, picture.height // 2))
    assert isinstance(seen, tuple)
    assert all(abs(a - b) <= 6 for a, b in zip(seen, colour_of(1, 15), strict=True))


def test_hostile_names_do_nothing(browser: webdriver.Chrome, tmp_path: Path) -> None:
    layers = [HOSTILE, "</script><script>alert(2)</script>", "a/b#c?%&'\"", "x\n\x1b[1m"]
    folder = atlas_of(tmp_path / "atlas", layers, 3, layers, model=HOSTILE)
    page = Page(browser, write_gallery(folder.path))
    assert page.ask("document.querySelector('.model').textContent") == HOSTILE
    assert len(page.labels()) == 12
    assert page.labels()[0] == f"{HOSTILE} filter 0, share 50%"
    page.click("section:nth-of-type(3) .cell")
    assert page.enlarged() == "a/b#c?%&'\" filter 0"
    page.reload()  # the link leads back to it
    assert page.enlarged() == "a/b#c?%&'\" filter 0"
    assert page.ask("document.querySelectorAll('script').length") == 2
    assert page.complaints() == []


@pytest.mark.parametrize(("count", "most"), [(1000, 2.0), (5000, 5.0)])
def test_thousands_are_there_in_seconds(
    browser: webdriver.Chrome, tmp_path: Path, count: int, most: float
) -> None:
    layers = [f"features.{n}" for n in range(10)]
    folder = atlas_of(tmp_path / "atlas", layers, count // 10, pieces=100, textured=True)
    begun = perf_counter()
    file = write_gallery(folder.path)
    print(f"\n{count} textures: written in {perf_counter() - begun:.1f} s", end="")
    page = Page(browser, file)
    seconds = (
        page.browser.execute_async_script(
            "const done = arguments[0];"
            "requestAnimationFrame(() => setTimeout(() => done(performance.now())));"
        )
        / 1000
    )
    loaded = page.ask("performance.timing.loadEventEnd - performance.timing.navigationStart") / 1000
    sheets = sum(address.endswith(".jpg") for address in page.requests())
    sort = page.browser.execute_script(
        "const begun = performance.now(), sort = document.getElementById('sort');"
        "sort.value = 'robust_share'; sort.dispatchEvent(new Event('change'));"
        "document.body.offsetHeight; return performance.now() - begun;"
    )
    print(
        f"; load event after {loaded:.2f} s, painted by {seconds:.2f} s, "
        f"{sheets} sheets; sorted in {sort / 1000:.2f} s"
    )
    assert len(page.labels()) == count
    assert seconds < most
    assert 1 <= sheets <= 4  # those in sight
    assert page.complaints() == []
