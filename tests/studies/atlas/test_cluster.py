"""How workers beyond this process are asked for; `test_survival.py` has real ones."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import dask
import pytest

from captum_featinv.errors import ArgumentError, MissingExtraError
from captum_featinv.studies.atlas import cluster

ENVIRONMENT = "distributed.nanny.pre-spawn-environ"
SETTINGS = (ENVIRONMENT, "distributed.worker.profile.enabled")


class Dask:
    """Notes what is asked for, and what Dask is set to meanwhile."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.made: list[tuple[Any, ...]] = []
        self.settings: dict[str, Any] = {}

    @contextmanager
    def LocalCluster(self, **options: Any) -> Iterator[str]:  # noqa: N802 - Dask's
        self.settings = {name: dask.config.get(name) for name in SETTINGS}
        self.made.append(("workers", options["n_workers"], options["threads_per_worker"]))
        assert (options["host"], options["dashboard_address"]) == ("127.0.0.1", "127.0.0.1:0")
        self.open.append("workers")
        yield "here"
        self.open.remove("workers")

    @contextmanager
    def Client(self, address: Any, timeout: str) -> Iterator[SimpleNamespace]:  # noqa: N802
        if "nobody" in address:
            raise OSError(f"none within {timeout}")
        self.made.append(("client", address))
        self.open.append("client")
        yield SimpleNamespace(get_executor=lambda **options: options)
        self.open.remove("client")


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Dask:
    import distributed  # noqa: F401 - adds its settings to Dask's

    made = Dask()
    monkeypatch.setitem(sys.modules, "distributed", made)
    return made


def test_workers_of_ones_own_have_dasks_environment_less_one_word(known: Dask) -> None:
    before = {name: dask.config.get(name) for name in SETTINGS}
    assert "MALLOC_TRIM_THRESHOLD_" in before[ENVIRONMENT]
    with cluster(workers=3) as executor:
        assert executor == {"pure": False, "retries": 3}
        assert known.open == ["workers", "client"]
    assert known.made == [("workers", 3, 1), ("client", "here")]
    environment, profile = known.settings.values()
    assert set(before[ENVIRONMENT]) - set(environment) == {"MALLOC_TRIM_THRESHOLD_"}
    assert environment.items() <= before[ENVIRONMENT].items()
    assert profile is False
    assert not known.open
    assert {name: dask.config.get(name) for name in SETTINGS} == before


def test_a_scheduler_brings_its_workers(known: Dask) -> None:
    with cluster("tcp://host:8786"):
        assert known.open == ["client"]
    assert known.made == [("client", "tcp://host:8786")]


def test_without_either_the_work_is_done_here(known: Dask) -> None:
    with cluster() as executor:
        assert executor is None
    assert not known.made


def test_a_scheduler_that_does_not_answer_is_named(known: Dask) -> None:
    words = "no scheduler answers at 'tcp://nobody': none within 30s"
    with pytest.raises(ArgumentError, match=words), cluster("tcp://nobody"):
        pass
    with pytest.raises(ArgumentError, match="name it or the number"), cluster("tcp://host", 2):
        pass


def test_without_dask_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'dask\[distributed\]'"), cluster("x"):
        pass
