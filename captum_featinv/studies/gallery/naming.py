"""Names that other people chose: shown as text, and turned into names of files."""

import hashlib
from collections.abc import Iterable

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_LONGEST = 80


def printable(text: str) -> str:
    r"""A text in which nothing acts: line breaks, terminal codes, changes of direction are spelled out.

    >>> printable("a\n\x1b[1mb")
    'a\\n\\x1b[1mb'
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def folder_names(layers: Iterable[str]) -> dict[str, str]:
    """For each layer the name of a folder, no two the same, also where capitals do not count."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for layer in layers:
        if layer not in names:
            name = _plain(layer)
            if not name or name != layer or name.lower() in taken:
                name = _marked(name, layer)
            names[layer] = name
            taken.add(name.lower())
    return names


def _plain(layer: str) -> str:
    kept = "".join(letter if letter in _SAFE else "_" for letter in layer)
    return kept.strip(".")[:_LONGEST]


def _marked(name: str, layer: str) -> str:
    digest = hashlib.sha256(layer.encode(errors="surrogatepass")).hexdigest()[:12]
    return f"{name}-{digest}"
