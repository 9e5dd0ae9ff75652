"""What a release says about itself, in one voice."""

import re
from importlib.metadata import metadata
from pathlib import Path

import captum_featinv

ROOT = Path(__file__).parents[1]
PROJECT = (ROOT / "pyproject.toml").read_text()


def test_package_changelog_and_citation_name_one_version() -> None:
    (version,) = re.findall(r'^version = "(.*)"$', PROJECT, re.MULTILINE)
    assert captum_featinv.__version__ == version
    released = re.findall(
        r"^## \[(\d.*)\] - (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert released[0][0] == version
    assert all(re.fullmatch(r"Unreleased|\d{4}-\d\d-\d\d", date) for _, date in released)
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()


def test_the_oldest_and_newest_python_are_those_that_are_tried() -> None:
    (oldest,) = re.findall(r'^requires-python = ">=(.*)"$', PROJECT, re.MULTILINE)
    told = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PROJECT)
    assert told == [f"3.{minor}" for minor in range(int(oldest[2:]), int(told[-1][2:]) + 1)]
    tried = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert f"--python python{oldest}" in tried
    assert f'python: ["{told[-2]}", "{told[-1]}"]' in tried


def test_machines_find_the_readmes_command_for_who_develops() -> None:
    (command,) = re.findall(
        r"^<!-- test -->\n```bash\n(.*?)\n```$",
        (ROOT / "README.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    assert command.startswith("pip install ")
    assert command.endswith("poe check")
    for machine in (".ci/run", ".github/workflows/ci.yml", ".github/workflows/release.yml"):
        assert "sed -n '/<!-- test -->/,/^```$/p' README.md" in (ROOT / machine).read_text()


def test_what_the_index_shows_is_there() -> None:
    shown = metadata("captum_featinv")
    assert shown["Summary"].startswith("What does this filter of this CNN extract?")
    assert shown["License-Expression"] == "BSD-3-Clause"
    assert shown["Requires-Python"] == ">=3.10"
