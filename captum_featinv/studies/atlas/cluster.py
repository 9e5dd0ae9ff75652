"""Workers beyond this process: a Dask cluster, on this machine or anywhere."""

import logging
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

from captum_featinv.errors import ArgumentError, MissingExtraError

_ENVIRONMENT = "distributed.nanny.pre-spawn-environ"
# With it all freed memory goes back to the system at once. A step frees and takes hundreds of
# megabytes, and would spend a third of its time on that.
_TRIM = "MALLOC_TRIM_THRESHOLD_"
# A look at a worker's stack every hundredth of a second takes a tenth of its time.
_PROFILE = "distributed.worker.profile.enabled"

# A piece of work that a dying worker held is run again elsewhere, so often at most.
RETRIES = 3


@contextmanager
def cluster(scheduler: str | None = None, workers: int | None = None) -> Iterator[Executor | None]:
    """An executor of a Dask cluster while the block is open; None where neither is named.

    Args:
        scheduler: the address of one that runs, such as `tcp://host:8786`. How its workers were made
            (dask-jobqueue on Slurm, dask-cuda with a GPU each) does not matter here.
        workers: so many processes of one thread each on this machine instead.

    Yields:
        The executor, or None.

    Raises:
        ArgumentError: both are named, or nobody answers at the address.
        MissingExtraError: Dask is not installed.
    """
    if scheduler and workers:
        raise ArgumentError("a scheduler has workers of its own; name it or the number of workers")
    if not scheduler and not workers:
        yield None
        return
    dask = _distributed()
    with ExitStack() as stack:
        address: Any = scheduler
        if workers:
            address = stack.enter_context(_here(dask, workers))
        try:
            client = stack.enter_context(dask.Client(address, timeout="30s"))
        except (OSError, ValueError) as error:
            raise ArgumentError(f"no scheduler answers at {scheduler!r}: {error}") from error
        executor: Executor = client.get_executor(pure=False, retries=RETRIES)
        yield executor


@contextmanager
def _here(dask: Any, workers: int) -> Iterator[Any]:
    """Processes on this machine, reached by nobody else, with the environment of Dask less one word."""
    config = import_module("dask").config
    kept = {name: value for name, value in config.get(_ENVIRONMENT).items() if name != _TRIM}
    with (
        config.set({_ENVIRONMENT: kept, _PROFILE: False}),
        dask.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.ERROR,
        ) as here,
    ):
        yield here


def _distributed() -> Any:
    try:
        return import_module("distributed")
    except ImportError as error:
        raise MissingExtraError("a cluster needs Dask: pip install 'dask[distributed]'") from error
