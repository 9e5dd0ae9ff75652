"""Every public name says what it takes, what it gives and what it raises."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, get_origin

import pytest

import captum_featinv

# What is imported from, beside the package itself.
ROOMS = """
    codes directions errors images inversion models network network.views objectives optimization param
    render studies studies.atlas studies.claims studies.gallery style transform
"""
METRICS = Path(captum_featinv.__file__).parent / "metrics"
PUBLIC = [
    "captum_featinv",
    *(f"captum_featinv.{name}" for name in ROOMS.split()),
    *(f"captum_featinv.metrics.{path.stem}" for path in sorted(METRICS.glob("[a-z]*.py"))),
]


def names_in(module: ModuleType) -> list[str]:
    """Those of `__all__`, or what is defined there; modules have a case of their own."""
    own = module.__name__
    here = [name for name, it in vars(module).items() if getattr(it, "__module__", "") == own]
    listed = getattr(module, "__all__", [name for name in here if not name.startswith("_")])
    return [name for name in listed if not isinstance(getattr(module, name), ModuleType)]


@cache
def of_class(kind: type) -> dict[str, Callable[..., Any]]:
    """A class's own public methods, as functions."""
    plain = {name: getattr(it, "__func__", it) for name, it in vars(kind).items()}
    methods = {name: it for name, it in plain.items() if inspect.isfunction(it)}
    fields = getattr(kind, "__dataclass_fields__", {})
    return {
        name: it
        for name, it in methods.items()
        if (name == "__call__" or not name.startswith("_")) and name not in fields
    }


def documented(module: str) -> Iterator[tuple[str, Any]]:
    """What has a docstring of its own."""
    place = import_module(module)
    for name in names_in(place):
        it = getattr(place, name)
        if get_origin(it) is not None:  # an alias of types, a class to Python 3.10
            continue
        if inspect.isclass(it):
            yield name, it
            yield from ((f"{name}.{method}", code) for method, code in of_class(it).items())
        elif inspect.isroutine(it):
            yield name, inspect.unwrap(it)


def section(text: str, *titles: str) -> str:
    """What stands below one of some headings, in Google's style."""
    found = re.search(rf"(?ms)^(?:{'|'.join(titles)}):\n(.*?)(?=^\w|\Z)", text)
    return found[1] if found else ""


def taken(it: Any) -> list[str]:
    """The names of what is passed to a function or to a class."""
    if inspect.isclass(it):
        own = {"__init__", "__new__"} & set(vars(it))
        if not own or issubclass(it, BaseException) or Protocol in it.__bases__:
            return []
    return [name for name in inspect.signature(it).parameters if name not in ("self", "cls")]


def raised(it: Any) -> set[str]:
    """The errors that a function names where it raises them, or a class where it is made."""
    made = it
    if inspect.isclass(it):
        made = vars(it).get("__post_init__") or vars(it).get("__init__")
        made = None if Protocol in it.__bases__ else made
    try:
        code = ast.parse(textwrap.dedent(inspect.getsource(made)))
    except (OSError, TypeError):  # made by a dataclass or a named tuple
        return set()
    called = [node.exc for node in ast.walk(code) if isinstance(node, ast.Raise)]
    plain = [getattr(exc, "func", exc) for exc in called]
    return {exc.id for exc in plain if isinstance(exc, ast.Name) and exc.id[0].isupper()}


def lacking(it: Any) -> list[str]:
    text = inspect.getdoc(it) or ""
    if not text or text.startswith("Alias for field"):
        return ["a docstring"]
    arguments = taken(it)
    told = re.findall(r"(?m)^    \*{0,2}(\w+)", section(text, "Args", "Attributes"))
    missing = [f"argument {name}" for name in arguments if name not in told]
    if not inspect.isclass(it):
        gives = inspect.signature(it).return_annotation
        if arguments and gives not in (None, "None") and not section(text, "Returns", "Yields"):
            missing.append("what it returns")
    return missing + [f"that it raises {e}" for e in raised(it) if e not in section(text, "Raises")]


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_say_what_they_take_give_and_raise(module: str) -> None:
    found = {name: lacking(it) for name, it in documented(module)}
    assert {name: missing for name, missing in found.items() if missing} == {}


@pytest.mark.parametrize("module", PUBLIC)
def test_public_modules_say_what_they_are(module: str) -> None:
    assert (import_module(module).__doc__ or "").strip()


def test_the_walk_notices_what_is_missing() -> None:
    def told(code: int, *rest: int) -> int:
        """What it does.

        Args:
            code: a number.
            *rest: more of them.

        Returns:
            A number.

        Raises:
            ValueError: it is too large.
        """
        raise ValueError

    def untold(code: int) -> int:
        """What it does."""
        raise ValueError

    assert lacking(told) == []
    assert lacking(untold) == ["argument code", "what it returns", "that it raises ValueError"]
    assert lacking(lambda: None) == ["a docstring"]
