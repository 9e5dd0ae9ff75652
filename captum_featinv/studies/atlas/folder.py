"""The folder of an atlas: a manifest, and a Parquet file a piece of work, each whole or not there."""

import json
import os
import platform
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor

from captum_featinv.errors import ArgumentError, MissingExtraError
from captum_featinv.images.display import as_png, to_image
from captum_featinv.inversion.report import FilterRecord
from captum_featinv.studies.atlas.plan import Plan, Shard
from captum_featinv.studies.atlas.work import Row
from captum_featinv.writing import write_whole

MANIFEST = "manifest.json"
SHARDS = "shards"
PHOTOS = "photos"
SURVEY = "survey.parquet"
_UNFINISHED = ".unfinished"


class Folder:
    """Keeps what was made, and gives it back.

    Args:
        path: of the folder; made if it is not there.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def open(self, plan: Plan, *, overwrite: bool = False) -> None:
        """Begin an atlas, or go on with the same one.

        Args:
            plan: of the atlas.
            overwrite: whether another atlas that is there may be lost.

        Raises:
            ArgumentError: the folder holds another atlas, or something else.
            OSError: it cannot be written to.
        """
        kept = self.manifest()
        if kept is None:
            self._require_empty()
        elif differs := plan.differences(kept):
            if not overwrite:
                raise ArgumentError(
                    f"{str(self.path)!r} holds another atlas: {'; '.join(differs[:3])}; choose another "
                    "folder, or --overwrite"
                )
            # Before the new manifest: pieces of both would have the same names.
            for part in (SHARDS, PHOTOS):
                shutil.rmtree(self.path / part, ignore_errors=True)
        # First of all, so that a process killed hereafter leaves an atlas.
        self.write(MANIFEST, (json.dumps(plan.to_dict(), indent=1) + "\n").encode())
        for part in (SHARDS, PHOTOS):
            (self.path / part).mkdir(exist_ok=True)

    def manifest(self) -> dict[str, Any] | None:
        """What the atlas is of, or None where none was begun.

        Raises:
            ArgumentError: the file is there, and no manifest.
        """
        try:
            found: Any = json.loads((self.path / MANIFEST).read_text())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ArgumentError(f"{str(self.path / MANIFEST)!r} is no manifest: {error}") from error
        if not isinstance(found, dict) or "shards" not in found:
            raise ArgumentError(f"{str(self.path / MANIFEST)!r} is no atlas's manifest")
        return found

    def has(self, shard: Shard) -> bool:
        """Whether a piece of work is done.

        Args:
            shard: the piece.

        Returns:
            Whether its file is there, and so whole.
        """
        return self._file(shard).is_file()

    def keep(self, shard: Shard, rows: Iterable[Row], told: Mapping[str, str]) -> None:
        """Write the rows of a piece of work, all or none.

        Args:
            shard: the piece.
            rows: its rows.
            told: what the file says of itself beside its columns.
        """
        arrow = _arrow()
        table = arrow.Table.from_pylist(list(rows), schema=_schema(arrow))
        buffer = arrow.BufferOutputStream()
        _parquet().write_table(table.replace_schema_metadata(dict(told)), buffer)
        self.write(f"{SHARDS}/{self._file(shard).name}", buffer.getvalue().to_pybytes())

    def keep_survey(self, rows: Sequence[Row]) -> None:
        """Where each filter fires most: the rows of `Survey.strongest_places`.

        Args:
            rows: of plain values.
        """
        arrow = _arrow()
        buffer = arrow.BufferOutputStream()
        _parquet().write_table(arrow.Table.from_pylist(list(rows)), buffer)
        self.write(SURVEY, buffer.getvalue().to_pybytes())

    def survey(self) -> list[Row]:
        """What `keep_survey` kept; nothing if it did not."""
        if not (self.path / SURVEY).is_file():
            return []
        rows: list[Row] = _parquet().read_table(self.path / SURVEY).to_pylist()
        return rows

    def keep_photos(self, photos: Mapping[str, Tensor]) -> None:
        """The photos as they were looked at, displayable (1, C, H, W), numbered in their order.

        Args:
            photos: displayable, (1, C, H, W), by name.
        """
        for number, photo in enumerate(photos.values()):
            name = f"{PHOTOS}/{number}.png"
            if not (self.path / name).is_file():
                self.write(name, as_png(to_image(photo[0], mean=None)))

    def shards(self) -> list[Shard]:
        """The pieces that the atlas will have, in the order of the plan."""
        kept = self.manifest() or {"shards": []}
        return [Shard(s["layer"], s["photo"], tuple(s["filters"])) for s in kept["shards"]]

    def rows(self, shards: Iterable[Shard] | None = None) -> Iterator[Row]:
        """What was made, piece by piece, in the order of the plan.

        Args:
            shards: which pieces; all of the plan's if None. What is not made yet is passed over.

        Returns:
            A row a picture, of plain values; `image` and `map` are PNGs.
        """
        for shard in self.shards() if shards is None else shards:
            if self.has(shard):
                rows: list[Row] = _parquet().read_table(self._file(shard)).to_pylist()
                yield from rows

    def write(self, name: str, content: bytes, *, synced: bool = True) -> None:
        """Write a file beside, and put it in its place when it is whole.

        Args:
            name: of the file, from the folder.
            content: all of it.
            synced: whether it is to be whole after a power failure too, which takes the disk's time.
        """
        # Where `tidy` finds what killed processes left.
        beside = self.path / _UNFINISHED / f"{_mine()}-{Path(name).name}"
        write_whole(self.path / name, content, beside=beside, synced=synced)

    def tidy(self) -> None:
        """Take away what killed processes of this machine left; what others write at stays."""
        unfinished = self.path / _UNFINISHED
        for path in unfinished.iterdir() if unfinished.is_dir() else ():
            host, number, _ = path.name.split("-", 2)
            if host == _host() and not _runs(int(number)):
                path.unlink(missing_ok=True)
        with suppress(OSError):  # not there, or not empty
            unfinished.rmdir()

    def _file(self, shard: Shard) -> Path:
        return self.path / SHARDS / f"{shard.name}.parquet"

    def _require_empty(self) -> None:
        there = self.path.iterdir() if self.path.is_dir() else ()
        others = [one.name for one in there if one.name != _UNFINISHED]
        if others or (self.path.exists() and not self.path.is_dir()):
            raise ArgumentError(
                f"{str(self.path)!r} holds files that are no atlas; name a new folder"
            )


def _host() -> str:
    return platform.node().replace("-", "_")


def _mine() -> str:
    """This process's, on this machine: no other writes files of this name."""
    return f"{_host()}-{os.getpid()}"


def _runs(number: int) -> bool:
    """Whether there is a process of this number that is not this one, which writes nothing now."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return number != os.getpid()


def _schema(arrow: Any) -> Any:
    """Columns of a fixed kind, also where a piece has no value in one."""
    kinds = {"int": arrow.int64(), "float": arrow.float64(), "bool": arrow.bool_()}
    kinds["int | None"] = kinds["int"]
    figures = [
        (field.name, kinds[getattr(field.type, "__name__", str(field.type))])
        for field in fields(FilterRecord)
        if field.name not in ("photo", "filter")
    ]
    text, number = arrow.string(), arrow.float64()
    first = [("layer", text), ("filter", arrow.int64()), ("photo", text)]
    first += [("image", arrow.binary()), ("map", arrow.binary())]
    return arrow.schema([*first, *figures, ("edges", number), ("seconds", number)])


def _arrow() -> Any:
    return _module("pyarrow")


def _parquet() -> Any:
    return _module("pyarrow.parquet")


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtraError("an atlas is kept as Parquet: pip install pyarrow") from error
