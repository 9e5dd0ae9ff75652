"""The files that a command writes: looked at before the work, numbers before pictures.

Each says how it was made: a JSON under `made`, a PNG in a text chunk called `captum_featinv`.
"""

import argparse
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from captum_featinv.errors import ArgumentError, warn
from captum_featinv.studies.sheet import TextureSheet
from captum_featinv.writing import require_writable, require_writable_folder, write_whole

_JPEG_QUALITY = 90  # where the sheet is one
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WebP"}

KEY = "captum_featinv"
"""Of the text chunk."""

Record = Mapping[str, Any]
"""How something was made."""


def require_outputs(options: argparse.Namespace) -> None:
    """Better now than after minutes of work.

    Raises:
        ArgumentError: `--out` or `--report` names a folder, one in no folder, or both the same.
        OSError: a file cannot be written there.
    """
    files = [path for path in (options.out, options.report) if path is not None]
    for path in files:
        if not path.parent.is_dir():
            raise ArgumentError(f"no folder {str(path.parent)!r} to write {path.name!r} in")
        if path.is_dir():
            raise ArgumentError(f"{str(path)!r} is a folder; name a file in it")
    if len({path.resolve() for path in files}) < len(files):
        raise ArgumentError(f"--out and --report are one file, {str(options.out)!r}; name two")
    if options.out.suffix.lower() not in _FORMATS:
        raise ArgumentError(f"--out {str(options.out)!r} must end in .png, .jpg or .webp")
    for path in files:
        require_writable(path)
    if getattr(options, "pictures", None) is not None:
        require_folder(options.pictures)


def require_folder(path: Path) -> None:
    """The same for a folder, which is made.

    Raises:
        ArgumentError: the path names a file, or a folder in none.
        OSError: no file can be written there.
    """
    if path.exists() and not path.is_dir():
        raise ArgumentError(f"{str(path)!r} is a file; name a folder")
    if not path.exists() and not path.parent.is_dir():
        raise ArgumentError(f"no folder {str(path.parent)!r} to make {path.name!r} in")
    require_writable_folder(path if path.exists() else path.parent)


def write_sheet(sheet: TextureSheet, options: argparse.Namespace, made: Record) -> str:
    """The numbers, the sheet, and single pictures; what there is to tell of them."""
    numbers = {"pictures": sheet.records}
    written = write_files(sheet.picture, numbers, options, made, pictures=sheet.pictures)
    tables = [f"{label}\n{report}\n" for label, report in sheet.reports.items()]
    return "\n".join([*tables, written])


def write_files(
    picture: Image.Image,
    numbers: Mapping[str, Any],
    options: argparse.Namespace,
    made: Record,
    *,
    pictures: Mapping[str, Image.Image] | None = None,
    quality: int = _JPEG_QUALITY,
) -> str:
    """The numbers if they were asked for, the picture, and single pictures by their names.

    Returns:
        Where they are now, in words.
    """
    # Both are made before either is written: what cannot be leaves the old files as they are.
    report = as_json({"made": made, **numbers})
    content, path = _encoded(picture, options.out, quality, made)
    if options.report is not None:
        write_whole(options.report, report)
    write_whole(path, content)
    folder: Path | None = getattr(options, "pictures", None)
    if folder is None or not pictures:
        return f"wrote {path}"
    folder.mkdir(exist_ok=True)
    for name, one in pictures.items():
        write_whole(folder / f"{_as_file(name)}.png", as_png(one, made))
    return f"wrote {path}, and {len(pictures)} pictures in {folder}"


def as_json(numbers: Any) -> bytes:
    """Numbers as the content of a file.

    Raises:
        ValueError: one of them is not finite, which is no JSON.
    """
    return (json.dumps(numbers, indent=1, allow_nan=False) + "\n").encode()


def as_line(made: Record) -> str:
    """A record on one line, as a picture keeps it."""
    return json.dumps(made, separators=(",", ":"))


def _encoded(picture: Image.Image, path: Path, quality: int, made: Record) -> tuple[bytes, Path]:
    """As PNG where the format that was asked for cannot hold it: WebP ends at 16,383 pixels a side."""
    kind = _FORMATS[path.suffix.lower()]
    try:
        return _content(picture, kind, quality, made), path
    except (OSError, ValueError) as error:
        if kind == "PNG":
            raise
        other = path.with_suffix(".png")
        warn(f"the picture does not go into {path.name} ({error}); it is in {other.name}")
        return _content(picture, "PNG", quality, made), other


def _content(picture: Image.Image, kind: str, quality: int, made: Record) -> bytes:
    if kind == "PNG":
        return as_png(picture, made)
    told = {"comment": as_line(made)} if kind == "JPEG" else {}
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=quality, **told)
    return buffer.getvalue()


def as_png(picture: Image.Image, made: Record) -> bytes:
    """A picture as the content of a PNG that says how it was made."""
    info = PngInfo()
    info.add_itxt(KEY, as_line(made))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def _as_file(name: str) -> str:
    """A name that every system takes, and that brings no folder along."""
    return "".join(letter if letter.isalnum() or letter in " ._-=" else "_" for letter in name)
