import ast
from itertools import islice
from pathlib import Path

import pytest

from tests.benchmarks.mutants.mutant import mutants_of
from tests.benchmarks.mutants.record import Record


def changes_in(folder: Path, source: str) -> list[str]:
    path = folder / "source.py"
    path.write_text(source)
    return [str(mutant).partition(": ")[2] for mutant in mutants_of(path)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("z = a < b", {"a < b -> a <= b"}),
        ("z = a and b", {"a and b -> a or b"}),
        ("z = a + b", {"a + b -> a - b"}),
        ("z = not a", {"not a -> a"}),
        ("a = 1", {"1 -> 2"}),
        ("a = 10", {"10 -> 11", "10 -> 1000"}),
        ("a = 0.5", {"0.5 -> 1.0", "0.5 -> 0.05"}),
        ("a = 'own'", {"'own' -> 'own?'"}),
        ("a = b.c()", {"b.c() -> b"}),
        ("import b\na = b.c()", set()),
        ("a = f(b, c)", {"f(b, c) -> f(b)"}),
        ("a = f(b, c=d)", {"f(b, c=d) -> f(b)"}),
        ("a = g(a)", {"a = g(a) -> pass"}),
        ("a = b[c:]", {"c: -> :"}),
        ("if a: b = c", {"if a: -> if not a:"}),
        ("if a < b: c = d", {"if a < b: -> if not a < b:", "a < b -> a <= b"}),
        ("def f(a):\n    return a", {"return a -> return None"}),
        ("@b\ndef f(a): pass", {"@b -> def f(a):"}),
        ("with a: b = c", {"with a: -> if True:"}),
        (
            "if a:\n    raise ValueError('a', 1)",
            {"if a: -> if not a:", "raise ValueError('a', 1) -> pass"},
        ),
        ("a = [b for b in c if d]", {"for b in c if d -> for b in c"}),
    ],
)
def test_one_thing_is_exchanged_at_a_time(source: str, expected: set[str], tmp_path: Path) -> None:
    found = {change.replace("  ->  ", " -> ") for change in changes_in(tmp_path, source)}
    assert found == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""A module of 3 words, x < 1."""',
        "from a import b",
        "__all__ = ['a']",
        "Energy = Literal['layer', 'own']",
        "Filters = int | str",
        "a: TypeAlias = Callable[[int], 'b']",
        "a: int | None = b",
        "_ADVICE = 'pass the image'",
        "P = ParamSpec('P')",
        "for a in zip(c, strict=True): e = a",
        "class A(B | C): pass",
    ],
)
def test_what_no_test_should_notice_is_left_alone(source: str, tmp_path: Path) -> None:
    assert changes_in(tmp_path, source) == []


def test_every_mutant_is_a_module_and_differs_from_its_file() -> None:
    path = Path(__file__).parents[2] / "captum_featinv" / "codes" / "reallocation.py"
    original = ast.unparse(ast.parse(path.read_text()))
    for number in range(0, len(list(mutants_of(path))), 10):
        tree = next(islice(mutants_of(path), number, None)).apply()  # a file is broken once only
        compile(tree, str(path), "exec")
        assert ast.unparse(tree) != original


def test_the_quickest_tests_that_enter_the_function_come_first(tmp_path: Path) -> None:
    path = tmp_path / "source.py"
    path.write_text("a = 1\n\n@f\ndef g(b):\n    return b\n")
    outside, *_, inside = mutants_of(path)
    file = str(path.resolve())
    record = Record(
        {"slow": 0.9, "quick": 0.1, "other": 0.2, "fails": 0.1, "elsewhere": 3.0}, {"fails"}
    )
    record.entered = {(file, 3): {"slow", "quick", "fails"}}
    assert record.tests_of(inside) == ["quick", "slow"]
    assert record.tests_of(outside) == ["quick", "other", "slow"]
    record.entered[file, 3].add("")  # by an import too
    assert record.tests_of(inside) == ["quick", "other", "slow"]
    record.entered = {}
    assert record.tests_of(inside) == []
