"""What may stand in the place of a piece of code so that a test should notice."""

import ast
import copy
import re
from collections.abc import Iterator
from typing import Any

SWAPS: dict[type[ast.AST], type[Any]] = {
    ast.Lt: ast.LtE,
    ast.Gt: ast.GtE,
    ast.Eq: ast.NotEq,
    ast.Is: ast.IsNot,
    ast.In: ast.NotIn,
    ast.And: ast.Or,
    ast.Add: ast.Sub,
    ast.Mult: ast.Div,
    ast.BitOr: ast.BitAnd,
    ast.Break: ast.Continue,
}
SWAPS |= {new: old for old, new in SWAPS.items()}
SWAPS |= {ast.Pow: ast.Mult, ast.Mod: ast.Mult, ast.FloorDiv: ast.Div, ast.MatMult: ast.Mult}

ORDERED = ast.Lt | ast.LtE | ast.Gt | ast.GtE
BINDING = {"staticmethod", "classmethod", "property", "overload", "abstractmethod"}
PROSE = re.compile(r"\w \w")


def changes(node: ast.AST, imported: set[str]) -> Iterator[ast.AST]:
    """What may stand in a node's place."""
    yield from _other_operators(node)
    yield from _other_values(node)
    yield from _other_branches(node)
    yield from _other_statements(node)
    if isinstance(node, ast.Call):
        yield from _other_calls(node, imported)


def _other_operators(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops):
                yield _with(node, ops=[*ops[:i], SWAPS[type(op)](), *ops[i + 1 :]])
        case ast.BoolOp(op=op) | ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in SWAPS:
            yield _with(node, op=SWAPS[type(op)]())
        case ast.UnaryOp(operand=operand):
            yield operand


def _other_values(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Constant(value=bool() | int() | float() as value):
            yield from map(ast.Constant, _other_numbers(value))
        case ast.Constant(value=str(value)) if not PROSE.search(value):
            yield ast.Constant(value + "?")
        case ast.JoinedStr() if not PROSE.search(ast.unparse(node)):
            yield ast.Constant("")
        case ast.Slice(lower=lower, upper=upper):
            yield from [_with(node, lower=None)] if lower else []
            yield from [_with(node, upper=None)] if upper else []
        case ast.Lambda(body=body) if not isinstance(body, ast.Constant):
            yield _with(node, body=ast.Constant(None))


def _other_numbers(value: complex) -> Iterator[complex]:
    match value:
        case bool():
            yield not value
        case int():
            yield value + 1
            if value > 4:  # how often, or how many
                yield 100 * value
        case float():
            yield 2 * value or 1.0
            if value:
                yield value / 10


def _other_branches(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.IfExp(test=test) | ast.If(test=test) | ast.While(test=test):
            # `not x`, `a == b`, `a is b` and `a in b` are turned where they are found.
            known = isinstance(test, ast.UnaryOp | ast.Compare)
            ordered = any(isinstance(op, ORDERED) for op in getattr(test, "ops", []))
            if ordered or not known:
                yield _with(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.comprehension(ifs=[_, *_]):
            yield _with(node, ifs=[])
        case ast.FunctionDef(decorator_list=decorators):
            for i, decorator in enumerate(decorators):
                if not BINDING & {getattr(decorator, "id", ""), getattr(decorator, "attr", "")}:
                    yield _with(node, decorator_list=[*decorators[:i], *decorators[i + 1 :]])
        case ast.Break() | ast.Continue():
            yield SWAPS[type(node)]()


def _other_statements(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Return(value=value) if ast.unparse(value or ast.Constant(None)) != "None":
            yield ast.Return(ast.Constant(None))
        case ast.Expr() | ast.AugAssign() | ast.Raise() | ast.Delete():
            yield ast.Pass()
        case ast.Assign(targets=targets, value=value):
            # A name's first assignment cannot go unnoticed; changing a value can.
            read = {name.id for name in ast.walk(value) if isinstance(name, ast.Name)}
            parts = any(isinstance(target, ast.Subscript | ast.Attribute) for target in targets)
            if parts or all(getattr(target, "id", None) in read for target in targets):
                yield ast.Pass()
        case ast.With(items=items, body=body) if not any(item.optional_vars for item in items):
            yield ast.If(ast.Constant(value=True), body, [])


def _other_calls(call: ast.Call, imported: set[str]) -> Iterator[ast.AST]:
    """With an argument less, or not made: `x` for `x.detach()`, but not `torch` for `torch.rand()`."""
    for i, keyword in enumerate(call.keywords):
        if keyword.arg != "strict":  # of `zip`: an assertion
            yield _with(call, keywords=[*call.keywords[:i], *call.keywords[i + 1 :]])
    if len(call.args) > 1 and getattr(call.func, "id", "") != "isinstance":
        yield _with(call, args=call.args[:-1])
    if isinstance(call.func, ast.Attribute):
        owner = call.func.value
        name = getattr(owner, "id", "")
        known = name in imported | {"self", "cls"} or name[:1].isupper()
        if not known and not isinstance(owner, ast.Attribute | ast.Constant):
            yield owner


def _with(node: Any, **fields: Any) -> Any:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new
