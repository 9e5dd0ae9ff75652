from pathlib import Path

import pytest
from PIL import Image

from captum_featinv.errors import FeatInvWarning
from captum_featinv.images.folder import picture_files, readable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures among what else a folder of photos has."""
    for name in ("b.PNG", "a.jpg", ".hidden.png"):
        Image.new("RGB", (5, 4), (9, 90, 200)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("a cat")
    (tmp_path / "paper.pdf").write_text("%PDF")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "dangling.png").symlink_to(tmp_path / "gone.png")
    return tmp_path


def test_the_pictures_of_a_folder_are_its_files_that_can_be_pictures(folder: Path) -> None:
    assert [path.name for path in picture_files(folder)] == ["a.jpg", "b.PNG"]
    assert [(name, picture.size) for name, picture in readable(picture_files(folder))] == [
        ("a.jpg", (5, 4)),
        ("b.PNG", (5, 4)),
    ]


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_file_that_holds_no_picture_is_named_and_left_out(content: bytes, folder: Path) -> None:
    (folder / "broken.png").write_bytes(content)
    with pytest.warns(FeatInvWarning, match=r"broken\.png' is no picture .*; left out") as caught:
        names = [name for name, _ in readable(picture_files(folder))]
    assert names == ["a.jpg", "b.PNG"]
    assert len(caught) == 1
