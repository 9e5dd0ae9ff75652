"""What the tests do without a mutant, and the choice of those that can notice one."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType

import pytest

from tests.benchmarks.mutants.mutant import Mutant


@dataclass
class Record:
    """What the tests do without a mutant: how long each takes, and which functions it enters."""

    seconds: dict[str, float] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    entered: dict[tuple[str, int], set[str]] = field(default_factory=dict)

    def tests_of(self, mutant: Mutant) -> list[str]:
        """The tests that can notice a mutant, the quickest first."""
        tests = self.entered.get((str(mutant.path.resolve()), mutant.function), set())
        if not mutant.function or "" in tests:  # run by an import, which all tests rest on
            tests = set(self.seconds)
        return sorted(tests - self.failed - self._elsewhere(), key=self.seconds.__getitem__)

    def _elsewhere(self) -> set[str]:
        """Tests that start another interpreter, which has no mutant: long, and nothing entered."""
        here = set().union(*self.entered.values())
        return {test for test, seconds in self.seconds.items() if seconds > 1} - here


class Recorder:
    """The pytest plugin that makes a record; `""` stands for what no test, but an import, enters."""

    def __init__(self, package: str) -> None:
        self.record, self.test, self.package = Record(), "", package

    def enter(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(self.package):
            place = frame.f_code.co_filename, frame.f_code.co_firstlineno
            self.record.entered.setdefault(place, set()).add(self.test)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.test = item.nodeid
        result = yield
        self.test = ""
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        seconds = self.record.seconds.get(report.nodeid, 0)
        self.record.seconds[report.nodeid] = seconds + report.duration
        if report.failed:
            self.record.failed.add(report.nodeid)


class Chosen:
    """The pytest plugin that runs some tests only, in their order."""

    def __init__(self, tests: list[str]) -> None:
        self.place = {test: i for i, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        chosen = [item for item in items if item.nodeid in self.place]
        items[:] = sorted(chosen, key=lambda item: self.place[item.nodeid])
