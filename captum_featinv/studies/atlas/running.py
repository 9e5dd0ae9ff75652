"""Do pieces of work, here or on an executor, and hand on their rows as they come."""

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Any

from torch import Tensor

from captum_featinv.progress import each, steps
from captum_featinv.studies.atlas.plan import Shard
from captum_featinv.studies.atlas.source import Source
from captum_featinv.studies.atlas.work import How, Row, work

# Pieces handed out and not yet back: enough for many workers, few enough for a scheduler's memory.
_IN_FLIGHT = 256

Done = tuple[Shard, list[Row]]


def run(
    source: Source,
    photos: dict[str, Tensor],
    shards: Sequence[Shard],
    how: How,
    executor: Executor | None = None,
) -> Iterator[Done]:
    """The rows of pieces of work, as they are done.

    Args:
        source: the network; by name if the executor's workers are processes.
        photos: displayable images, (1, C, H, W), by name.
        shards: the pieces.
        how: how to make the pictures.
        executor: who does the work; this process, one piece after the other, if None.
    """
    if executor is None:
        for shard in each(shards, _named, lambda one: len(one.filters)):
            yield shard, work(source, photos[shard.photo], shard, how)
        return
    waiting: dict[Future[Any], Shard] = {}
    left = list(reversed(shards))
    try:
        with steps(len(shards)) as step:
            while left or waiting:
                while left and len(waiting) < _IN_FLIGHT:
                    shard = left.pop()
                    task = executor.submit(work, source, photos[shard.photo], shard, how)
                    waiting[task] = shard
                for task in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(task), task.result()
                    step()
    finally:
        for task in waiting:
            task.cancel()


def _named(shard: Shard) -> str:
    return f"{shard.layer} of {shard.photo}"
