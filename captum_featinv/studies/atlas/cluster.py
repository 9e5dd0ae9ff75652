"""Workers beyond this process: a Dask cluster, on this machine or anywhere."""

import logging
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

from captum_featinv.errors import ArgumentError, MissingExtraError

# What Dask sets for a worker, less its order to hand all freed memory back to the system at once:
# a step frees and takes hundreds of megabytes, and then spends a third of its time on that.
_ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), 1)

# A piece of work that a dying worker held is run again elsewhere, so often at most.
RETRIES = 3


@contextmanager
def cluster(scheduler: str | None = None, workers: int | None = None) -> Iterator[Executor | None]:
    """An executor of a Dask cluster while the block is open; None where neither is named.

    Args:
        scheduler: the address of one that runs, such as `tcp://host:8786`. How its workers were made
            (dask-jobqueue on Slurm, dask-cuda with a GPU each) does not matter here.
        workers: so many processes of one thread each on this machine instead.

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
    """Processes on this machine, reached by nobody else."""
    # Before the class is asked, for it reads this when it starts a worker.
    with (
        import_module("dask").config.set({"distributed.nanny.pre-spawn-environ": _ENVIRONMENT}),
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
