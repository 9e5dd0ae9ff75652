"""A mutant: a file with one piece of code exchanged.

Left out is what no test should notice: docstrings, annotations and type aliases, `__all__`, imports,
and what errors and warnings say.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.mutants.changes import changes

TYPES = {"annotation", "returns", "bases", "type_comment", "format_spec"}
CLASS = re.compile(r"_?[A-Z]\w*[a-z]\w*")
SAYING = {"warn", "ParamSpec", "TypeVar", "cast", "TypeAlias"}


@dataclass(frozen=True)
class Mutant:
    """`new` in the place of what is at `parent.field[index]`.

    `function` is the first line of the function that the node is in, 0 outside of any.
    """

    path: Path
    tree: ast.Module
    function: int
    parent: ast.AST
    field: str
    index: int | None
    new: ast.AST

    @property
    def old(self) -> Any:
        value = getattr(self.parent, self.field)
        return value if self.index is None else value[self.index]

    def __str__(self) -> str:
        before, after = (
            ast.unparse(node).strip().partition("\n")[0] for node in (self.old, self.new)
        )
        line = getattr(self.old, "lineno", getattr(self.parent, "lineno", 0))
        return f"{self.path}:{line}: {before}  ->  {after}"

    def apply(self) -> ast.Module:
        """The tree with the exchange made in place: for a process that is thrown away."""
        if self.index is None:
            setattr(self.parent, self.field, self.new)
        else:
            getattr(self.parent, self.field)[self.index] = self.new
        return ast.fix_missing_locations(self.tree)


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every mutant of a file, in the order of its text."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }

    def walk(parent: ast.AST, function: int) -> Iterator[Mutant]:
        for field, value in ast.iter_fields(parent):
            if field in TYPES or (field == "args" and _says(parent)):
                continue
            within = function
            if isinstance(parent, ast.FunctionDef) and field == "body":
                within = first_line(parent)
            for index, node in enumerate(value if isinstance(value, list) else [value]):
                if not isinstance(node, ast.AST) or _is_no_behaviour(node, parent):
                    continue
                place = index if isinstance(value, list) else None
                for new in changes(node, imported) if not _says(node) else ():
                    yield Mutant(path, tree, within, parent, field, place, new)
                yield from walk(node, within)

    return walk(tree, 0)


def first_line(function: ast.FunctionDef) -> int:
    """As code objects count: from the first decorator."""
    return min([function.lineno, *(node.lineno for node in function.decorator_list)])


def _is_no_behaviour(node: ast.AST, parent: ast.AST) -> bool:
    """Docstrings, imports, lists of names, type aliases, type checkers' branches."""
    match node:
        case ast.Expr(value=ast.Constant() | ast.Yield() | ast.YieldFrom()):
            return True
        case ast.Import() | ast.ImportFrom():
            return True
        case ast.Constant():
            return isinstance(parent, ast.JoinedStr) or getattr(parent, "arg", "") == "strict"
        case ast.If(test=test):
            return "TYPE_CHECKING" in ast.unparse(test)
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            union = isinstance(getattr(value, "op", None), ast.BitOr)
            alias = isinstance(value, ast.Subscript) or union
            return name == "__all__" or (alias and CLASS.fullmatch(name) is not None)
        case ast.AnnAssign(annotation=annotation):
            return ast.unparse(annotation).endswith("TypeAlias")
        case ast.FunctionDef(decorator_list=decorators):
            return any(ast.unparse(d).endswith("overload") for d in decorators)
    return False


def _says(node: ast.AST) -> bool:
    """Whether a call's arguments are for people or type checkers: `raise Error(...)`, `warn(...)`."""
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    return name in SAYING or name.endswith(("Error", "Warning"))
