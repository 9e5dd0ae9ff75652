import gc
from collections.abc import Iterator
from itertools import pairwise

import pytest

from captum_featinv.progress import bar, each, stages, steps, watching

Told = list[tuple[float, str]]


@pytest.fixture
def told() -> Told:
    return []


def test_stages_take_their_weights_and_steps_what_is_theirs(told: Told) -> None:
    watcher = watching(lambda done, name: told.append((round(done, 9), name)))
    with watcher, stages({"first": 1, "second": 3}) as begin:
        begin("first")
        with steps(2) as step:
            step()
            step()
        begin("second")
        for number in each([1, 2], "photo {}".format, weight=float):
            with steps(1) as step:
                step()
            assert number in (1, 2)
    names = ["first"] * 3 + ["second"] + ["second, photo 1"] * 2 + ["second, photo 2"] * 2
    assert told == list(
        zip(
            [0.0, 0.125, 0.25, 0.25, 0.25, 0.5, 0.5, 1.0, 1.0, 1.0],
            [*names, "second", ""],
            strict=True,
        )
    )


def test_what_is_done_never_falls_and_ends_with_all(told: Told) -> None:
    with watching(lambda done, name: told.append((done, name))):
        for _ in each(range(7)):
            with stages({"a": 0.3, "b": 0.0, "c": 5}) as begin:
                for name in "abc":
                    begin(name)
                    with steps(3) as step:
                        for _ in range(4):  # one more than was said
                            step()
    fractions = [done for done, _ in told]
    assert all(one <= other + 1e-12 for one, other in pairwise(fractions))
    assert fractions[0] == 0
    assert fractions[-1] == 1


def test_where_nobody_watches_nothing_is_told_and_items_are_the_same() -> None:
    assert list(each("abc")) == ["a", "b", "c"]
    with stages({"one": 1}) as begin, steps(2) as step:
        begin("one")
        step()


def test_an_error_leaves_nothing_behind_however_late_its_generator_is_closed(told: Told) -> None:
    kept: list[Iterator[int]] = []

    def works() -> None:
        with watching(lambda done, name: told.append((done, name))):
            items = each([1, 2])
            kept.append(items)
            next(items)
            raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        works()
    told.clear()
    with steps(1) as step:
        step()
    assert not told
    with watching(lambda done, name: told.append((done, "later"))):
        kept.clear()
        gc.collect()
        with steps(2) as step:
            step()
    assert told == [(0.5, "later")]


def test_one_bar_shows_all_and_none_is_made_beside_a_watcher(
    told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    with bar():
        for _ in each(["cat", "dog"]):
            pass
    shown = capsys.readouterr().err
    assert "100%" in shown
    assert "dog" in shown
    with watching(lambda done, name: told.append((done, name))), bar():
        for _ in each(["cat"]):
            pass
    with bar(shown=False):
        list(each(["cat"]))
    assert capsys.readouterr().err == ""
    assert told[-1][0] == 1
