"""The README's pictures, made by its commands: `python -m tests.pictures`; a few minutes."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import skimage.data
from PIL import Image

from captum_featinv.cli import main as run
from tests.pages import ROOT, commands

PHOTOS = {
    "cat.jpg": "chelsea",
    "coffee.jpg": "coffee",
    "painting.jpg": "hubble_deep_field",
    "photo.jpg": "chelsea",
    "tissue.jpg": "immunohistochemistry",
}
TUTORIALS = ROOT / "tutorials"
_GAP = 8


def save_photos(folder: Path) -> None:
    """The photos that README and pages speak of, and two of them in a folder."""
    (folder / "photos").mkdir(exist_ok=True)
    for name, source in PHOTOS.items():
        Image.fromarray(getattr(skimage.data, source)()).save(folder / name, quality=95)
    for name in ("cat.jpg", "coffee.jpg"):
        (folder / "photos" / name).write_bytes((folder / name).read_bytes())


@contextlib.contextmanager
def in_folder(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def beside(pictures: Sequence[Image.Image]) -> Image.Image:
    """In a row, as high as the last of them."""
    height = pictures[-1].height
    fitted = [one.resize((round(one.width * height / one.height), height)) for one in pictures]
    width = sum(one.width for one in fitted) + _GAP * (len(fitted) - 1)
    row = Image.new("RGB", (width, height), "white")
    left = 0
    for one in fitted:
        row.paste(one, (left, 0))
        left += one.width + _GAP
    return row


def made(words: list[str]) -> Image.Image:
    """What a command of the README writes, in the current folder."""
    if run(words):
        raise SystemExit(f"captum-featinv {' '.join(words)} failed")
    if words[0] == "demo":
        return Image.open("demo.png")
    picture = Image.open(words[words.index("--out") + 1])
    shown = [Image.open(name) for name in words[1:3]] if words[0] == "restyle" else []
    return beside([*shown, picture]) if shown else picture


def main() -> None:
    """All that the README shows, into `tutorials/`."""
    with TemporaryDirectory() as folder, in_folder(Path(folder)):
        save_photos(Path(folder))
        for words in commands(ROOT / "README.md"):
            name = words[words.index("--out") + 1] if "--out" in words else f"{words[0]}.jpg"
            if (TUTORIALS / name).is_file():
                made(words).convert("RGB").save(TUTORIALS / name, quality=82)
                print(name, f"{(TUTORIALS / name).stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
