"""The site: the README, the pages and notebooks beside this folder, and the docstrings."""

import re
from importlib import metadata
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

project = "captum_featinv"
author = "the captum_featinv authors"
copyright = f"2026, {author}"
release = version = metadata.version("captum_featinv")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["site"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # a cell of a notebook may begin anywhere

default_role = "py:obj"
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Warns", "notes_style")]

html_theme = "furo"
html_title = f"captum_featinv {release}"
html_copy_source = False
html_show_sphinx = False
html_static_path = ["."]
html_css_files = ["site.css"]
pygments_style = "friendly"
pygments_dark_style = "monokai"


def _with_readme(_app, name, source):
    """The front page begins as the README does; links that leave this folder find their way."""
    if name == "index":
        readme = (REPOSITORY / "README.md").read_text()
        links = re.sub(r"\]\((?!https?:|#|tutorials/)", "](../", readme)
        source[0] = links.replace("](tutorials/", "](") + "\n" + source[0]
    inside = (
        source[0]
        .replace("](../README.md", "](index.md")
        .replace("](../CHANGELOG.md", "](changelog.md")
    )
    # What is no page of the site is a file to be had.
    source[0] = re.sub(r"\]\((?=\.\./[^)]*\.md\))", "](path:", inside)


def _in_restructuredtext(_app, _what, _name, _object, _options, lines):
    """Docstrings are written to be read as they are; only what is a name stays a reference."""
    # Code that can be tried ends with an empty line, or with the text.
    parts = re.split(r"(?m)(^ *>>> (?:.+(?:\n|\Z))+)", "\n".join(lines))
    lines[:] = "".join(p if i % 2 else _escaped(p) for i, p in enumerate(parts)).split("\n")


def _escaped(text):
    parts = re.split(r"(`+[^`]+`+)", text)
    for i, part in enumerate(parts):
        if i % 2 == 0:
            parts[i] = re.sub(r"\\?\*|(?<=\w)_(?=\W|$)", lambda m: "\\" + m[0][-1], part)
        elif not re.fullmatch(r"`[A-Za-z_][\w.]*`", part):
            parts[i] = f"``{' '.join(part.strip('`').split())}``"
    return "".join(parts)


def _skipped(_app, _what, _name, member, skip, _options):
    """Fields of named tuples are told by their class."""
    return skip or type(member).__name__ == "_tuplegetter"


def setup(app):
    app.connect("source-read", _with_readme)
    app.connect("autodoc-process-docstring", _in_restructuredtext, priority=400)
    app.connect("autodoc-skip-member", _skipped)
