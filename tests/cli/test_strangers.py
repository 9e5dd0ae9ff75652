"""Files that strangers sent: the right picture, or exit code 2 and one line; never half an output."""

import io
import os
import pickle
import re
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from captum_featinv.cli import main

SOURCE = """
from torch import nn

def small():
    pool = nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), pool, nn.Flatten())
"""
FUZZ = settings(derandomize=True, deadline=None, max_examples=12, database=None)


@pytest.fixture(autouse=True)
def _in_a_folder_with_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("strangers_net.py").write_text(SOURCE)
    Image.fromarray(noise()).save("photo.png")
    yield
    sys.modules.pop("strangers_net", None)


def noise(height: int = 20, width: int = 26) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def invert(photo: str, *more: str) -> list[str]:
    words = "--model=strangers_net:small --layer=1 --filters=0:2 --size=16 --steps=1"
    return ["invert", *words.split(), "--out=out.png", "--report=out.json", *more, "--", photo]


def outcome(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code and what was said on stderr; old files are there whole, or new ones are."""
    for name in ("out.png", "out.json"):
        Path(name).write_bytes(b"old")
    code = main(words)
    printed = capsys.readouterr()
    said = printed.err
    kept = [Path(name).read_bytes() for name in ("out.png", "out.json")]
    if code == 0:
        with Image.open("out.png") as sheet:
            sheet.verify()
        assert kept[1].endswith(b"]\n}\n")
    else:
        assert code == 2
        assert kept == [b"old", b"old"]
        assert said.startswith("captum-featinv: error: ")
        assert said.count("\n") == 1
        assert len(said) < 500
    assert "Traceback" not in said
    assert all(letter.isprintable() or letter == "\n" for letter in said + printed.out)
    assert not list(Path().glob(".*.part"))
    return code, said


def encoded(kind: str, picture: Image.Image | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (Image.fromarray(noise()) if picture is None else picture).save(buffer, kind, **options)
    return buffer.getvalue()


def fuzz(path: Path, whole: bytes, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A file with some bytes changed, or cut, is read by a command or refused; both come."""
    codes = []

    @FUZZ
    @given(
        changes=st.lists(
            st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=8
        ),
        length=st.integers(1, len(whole)),
        cut=st.booleans(),
    )
    def check(changes: list[tuple[int, int]], length: int, cut: bool) -> None:
        content = bytearray(whole)
        for place, value in changes:
            content[place] = value
        path.write_bytes(bytes(content[:length] if cut else content))
        codes.append(outcome(words, capsys)[0])

    check()
    assert set(codes) == {0, 2}


def claimed(width: int, height: int) -> bytes:
    """A PNG that says it is so large, of next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def animated_bomb(screen: int, frame: int) -> bytes:
    """A GIF of two frames of next to nothing that says it, or they, are so large."""
    picture = struct.pack("<BHHHHB", 0x2C, 0, 0, frame, frame, 0) + b"\x02\x02\x4c\x01\x00"
    head = b"GIF89a" + struct.pack("<HHBBB", screen, screen, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return head + picture + picture + b";"


def animated() -> bytes:
    frames = [Image.fromarray(noise() // n) for n in (1, 2, 3)]
    return encoded("GIF", frames[0], save_all=True, append_images=frames[1:])


def sixteen_bits() -> Image.Image:
    return Image.fromarray(noise()[..., 0].astype(np.uint16) * 257)


READ: dict[str, Callable[[], bytes]] = {
    "animated.gif": animated,
    "cmyk.jpg": lambda: encoded("JPEG", Image.fromarray(noise()).convert("CMYK")),
    "palette.png": lambda: encoded("PNG", Image.fromarray(noise()).convert("P")),
    "alpha.png": lambda: encoded("PNG", Image.fromarray(noise()).convert("RGBA")),
    "grey.png": lambda: encoded("PNG", Image.fromarray(noise()).convert("L")),
    "bits.png": lambda: encoded("PNG", Image.fromarray(noise()).convert("1")),
    "sixteen.png": lambda: encoded("PNG", sixteen_bits()),
    "sixteen.tif": lambda: encoded("TIFF", sixteen_bits()),
    "no suffix": lambda: encoded("PNG"),
    "wrong suffix.jpg": lambda: encoded("WEBP"),
    "bad exif.jpg": lambda: encoded("JPEG", exif=b"Exif\0\0MM\0*" + b"\xff" * 40),
}
REFUSED: dict[str, Callable[[], bytes]] = {
    "empty.png": lambda: b"",
    "text.jpg": lambda: b"a cat",
    "cut.png": lambda: encoded("PNG")[:300],
    "cut.jpg": lambda: encoded("JPEG")[:200],
    "cut.webp": lambda: encoded("WEBP")[:100],
    "bomb.png": lambda: claimed(60_000, 60_000),
    "bomb.gif": lambda: animated_bomb(60_000, 1),
    "bomb in a frame.gif": lambda: animated_bomb(1, 60_000),
    "short.png": lambda: claimed(600, 600),
    "nothing wide.png": lambda: claimed(0, 5),
    "pickle.png": lambda: pickle.dumps({"a": 1}),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READ)
def test_pictures_of_any_kind_are_read(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(name).write_bytes(READ[name]())
    assert outcome(invert(name), capsys)[0] == 0


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_whole_picture_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(name).write_bytes(REFUSED[name]())
    code, said = outcome(invert(name), capsys)
    assert code == 2
    assert name in said


@pytest.mark.parametrize(("width", "height"), [(1, 1), (6000, 1), (1, 6000)])
def test_a_picture_may_have_any_shape(
    width: int, height: int, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(noise(height, width)).save("line.png")
    code, said = outcome(invert("line.png"), capsys)
    assert code == 0 or "small" in said or "line.png" in said


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_photo_stands_as_its_exif_says(turn: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Turned by a quarter, it is higher than wide, and so is the picture of it in the sheet."""
    exif = Image.Exif()
    exif[0x0112] = turn
    Path("turned.jpg").write_bytes(encoded("JPEG", exif=exif.tobytes()))
    Image.fromarray(noise(26, 20) if turn >= 5 else noise()).save("upright.png")
    sizes = []
    for name in ("turned.jpg", "upright.png"):
        assert outcome(invert(name), capsys)[0] == 0
        with Image.open("out.png") as sheet:
            sizes.append(sheet.size)
    assert sizes[0] == sizes[1]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_a_file_with_any_bytes_changed_or_cut_is_read_or_refused(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fuzz(Path("fuzzed"), encoded(kind), invert("fuzzed"), capsys)


@pytest.mark.parametrize(
    "name",
    ["-rf.png", "--out=x.png", "$HOME.png", "a\nb.png", "\x1b[31mred.png", "a'b\".png", "ä é.png"],
)
def test_names_are_names(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In errors too, where they move no cursor and break no line."""
    Path("photo.png").rename(name)
    assert outcome(invert(name), capsys)[0] == 0
    Path(name).write_text("a cat")
    code, said = outcome(invert(name), capsys)
    assert code == 2
    assert "is no picture" in said


class Hostile:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("broken in",)


@pytest.mark.parametrize("wrapped", [Hostile(), {"state_dict": Hostile()}, [Hostile()]], ids=type)
@pytest.mark.parametrize(
    "save", [torch.save, lambda what, path: Path(path).write_bytes(pickle.dumps(what))]
)
def test_code_in_weights_never_runs(
    wrapped: Any, save: Callable[[Any, str], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    save(wrapped, "weights.pt")
    code, said = outcome(invert("photo.png", "--weights=weights.pt"), capsys)
    assert code == 2
    assert "weights.pt" in said
    assert not Path("broken in").exists()


def test_weights_with_any_bytes_changed_or_cut_are_read_or_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    import strangers_net  # type: ignore[import-not-found]

    buffer = io.BytesIO()
    torch.save(strangers_net.small().state_dict(), buffer)
    words = invert("photo.png", "--weights=weights.pt")
    fuzz(Path("weights.pt"), buffer.getvalue(), words, capsys)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state | {"0.weight": torch.zeros(5, 3, 3, 3)}, "0.weight"),
        (lambda state: {f"x.{name}": value for name, value in state.items()}, "x."),
        (lambda state: {"0.weight": state["0.weight"]}, "0.bias"),
        (lambda state: state | {f"{n}\x1b[2J": torch.zeros(1) for n in range(999)}, "and 996 more"),
    ],
)
def test_weights_that_do_not_fit_are_told_in_one_line(
    change: Callable[[dict[str, Any]], dict[str, Any]],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import strangers_net

    torch.save(change(strangers_net.small().state_dict()), "weights.pt")
    code, line = outcome(invert("photo.png", "--weights=weights.pt"), capsys)
    assert code == 2
    assert re.search(re.escape(said), line)


@FUZZ
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12))
@pytest.mark.parametrize(
    "option", ["--filters", "--layer", "--rewrite", "--weights", "--seed", "--mean"]
)
def test_any_text_is_understood_or_refused(option: str, text: str) -> None:
    """The parsers that are ours; what argparse refuses ends with its usage."""
    words = ["invert", "photo.png", "--model=strangers_net:small", "--size=8", "--steps=1"]
    layer = [] if option == "--layer" else ["--layer=1"]
    try:
        code = main([*words, *layer, f"{option}={text}"])
    except SystemExit as error:
        code = int(str(error.code))
    assert code in (0, 2)
