"""The README and the pages of tutorials/: their code, commands and links."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "tutorials").rglob("*.md"))]


def code(page: Path, language: str) -> list[str]:
    """The blocks of a language."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", page.read_text())


def commands(page: Path) -> list[list[str]]:
    """The words behind each `captum-featinv` of a page's shell code, in order."""
    found = []
    for block in code(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            parts = [shlex.split(part, comments=True) for part in line.split("&&")]
            found += [words[1:] for words in parts if words[:1] == ["captum-featinv"]]
    return found


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Where a page points to inside the repository: a file, and the heading in it or nothing."""
    text = re.sub(r"(?ms)^```.*?^```$|`[^`\n]*`", "", page.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            file, _, heading = target.partition("#")
            yield (page.parent / file).resolve() if file else page, heading


def headings(page: Path) -> set[str]:
    """As links name them."""
    lines = re.findall(r"(?m)^#+ (.*)$", re.sub(r"(?ms)^```.*?^```$", "", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}
