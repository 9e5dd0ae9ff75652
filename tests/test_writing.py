"""A file is the old one until it is the new one, whatever happens in between."""

import errno
import os
import stat
from pathlib import Path

import pytest

from captum_featinv.writing import require_writable, require_writable_folder, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("there", [False, True])
def test_a_file_is_written_and_nothing_beside_it_is_left(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "a.json"
    if there:
        path.write_bytes(b"old")
        path.chmod(0o640)
    mask = os.umask(0o027)
    try:
        write_whole(path, b"new")
    finally:
        os.umask(mask)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("where", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_whatever_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: BaseException
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(*((os, "fsync") if where == "fsync" else (Path, "replace")), fail)
    with pytest.raises(type(error)) as caught:
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.json"]
    if isinstance(caught.value, OSError):
        assert str(path) in str(caught.value)


def test_behind_a_link_it_is_the_file_that_changes(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "a").write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "far" / "a")
    require_writable(link)
    write_whole(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "far" / "a").read_bytes() == b"new"


def test_what_is_no_file_is_written_to_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        require_writable(pipe)
        write_whole(pipe, b"new")
        assert os.read(reader, 9) == b"new"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_device_that_is_full_says_which_it_is() -> None:
    require_writable(Path("/dev/full"))
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        write_whole(Path("/dev/full"), b"new")


def test_a_look_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    for name in ("a", "b"):
        require_writable(tmp_path / name)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_look_says_what_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk that is mounted for reading alone; the superuser may do the rest."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with pytest.raises(FileNotFoundError, match="nowhere"):
        require_writable(tmp_path / "nowhere" / "a")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OSError, match=f"Read-only file system: '{tmp_path}'"):
        require_writable_folder(tmp_path)
