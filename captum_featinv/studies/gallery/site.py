"""The files of a gallery: written if they changed, and taken away if they are no longer part of it."""

from captum_featinv.studies.atlas import Folder

OWN = "gallery"  # the folder in which nothing is anybody else's


class Site:
    """Writes files into an atlas's folder, and knows which.

    Args:
        folder: of the atlas.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._written: set[str] = set()

    def write(self, name: str, content: bytes) -> None:
        """Write a file, unless it is there and the same: a second time costs little."""
        path = self._folder.path / name
        if not (path.is_file() and path.read_bytes() == content):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folder.write(name, content, synced=False)  # it can be made again
        self._written.add(name)

    def tidy(self) -> None:
        """Take away what an earlier gallery had and this one has not."""
        root = self._folder.path
        for path in sorted((root / OWN).rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path.relative_to(root).as_posix() not in self._written:
                path.unlink()
