"""The files that a command writes: looked at before the work, numbers before pictures."""

import argparse
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

from captum_featinv.cli.options import add_seed
from captum_featinv.cli.telling import tell
from captum_featinv.errors import ArgumentError, warn
from captum_featinv.studies.sheet import TextureSheet
from captum_featinv.writing import require_writable, require_writable_folder, write_whole

_JPEG_QUALITY = 85  # where the sheet is one
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WebP"}


def add_output(parser: argparse.ArgumentParser, out: str, *, many_seeds: bool = False) -> None:
    """With which dice and where to; `out` is the file's name by default."""
    add_seed(parser, many_seeds=many_seeds)
    parser.add_argument("--out", type=Path, default=Path(out), help=f"the sheet; default {out}")
    parser.add_argument("--report", type=Path, help="also write the numbers, as JSON")


def require_outputs(options: argparse.Namespace) -> None:
    """Better now than after minutes of work.

    Raises:
        ArgumentError: `--out` or `--report` names a folder, one in no folder, or both the same.
        OSError: a file cannot be written there.
    """
    for path in (options.out, options.report):
        if path is not None and not path.parent.is_dir():
            raise ArgumentError(f"no folder {str(path.parent)!r} to write {path.name!r} in")
        if path is not None and path.is_dir():
            raise ArgumentError(f"{str(path)!r} is a folder; name a file in it")
    if options.report is not None and options.report.resolve() == options.out.resolve():
        raise ArgumentError(f"--out and --report are one file, {str(options.out)!r}; name two")
    if options.out.suffix.lower() not in _FORMATS:
        raise ArgumentError(f"--out {str(options.out)!r} must end in .png, .jpg or .webp")
    for path in (options.out, options.report):
        if path is not None:
            require_writable(path)


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


def write_sheet(sheet: TextureSheet, options: argparse.Namespace) -> None:
    """The numbers, the picture, and the numbers once more for the reader."""
    written = write_files(sheet.picture, sheet.records, options)
    for label, report in sheet.reports.items():
        tell(f"{label}\n{report}\n")
    tell(f"wrote {written}")


def write_files(
    picture: Image.Image,
    records: Any,
    options: argparse.Namespace,
    *,
    quality: int = _JPEG_QUALITY,
) -> Path:
    """The numbers if they were asked for, and the picture; where the picture is now."""
    # Both are made before either is written: what cannot be leaves the old files as they are.
    numbers = as_json(records)
    content, path = _encoded(picture, options.out, quality)
    if options.report is not None:
        write_whole(options.report, numbers)
    write_whole(path, content)
    return path


def as_json(records: Any) -> bytes:
    """Numbers as the content of a file.

    Raises:
        ValueError: one of them is not finite, which is no JSON.
    """
    return (json.dumps(records, indent=1, allow_nan=False) + "\n").encode()


def _encoded(picture: Image.Image, path: Path, quality: int) -> tuple[bytes, Path]:
    """As PNG where the format that was asked for cannot hold it: WebP ends at 16,383 pixels a side."""
    kind = _FORMATS[path.suffix.lower()]
    try:
        return _content(picture, kind, quality), path
    except (OSError, ValueError) as error:
        if kind == "PNG":
            raise
        other = path.with_suffix(".png")
        warn(f"the picture does not go into {path.name} ({error}); it is in {other.name}")
        return _content(picture, "PNG", quality), other


def _content(picture: Image.Image, kind: str, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=quality)
    return buffer.getvalue()
