"""An Adam that notes when each step begins, so that whole steps can be timed from outside."""

from collections.abc import Callable
from time import process_time
from typing import Any

from torch.optim import Adam

# The fastest of ever more steps comes ever nearer to what a step takes on a machine that does
# nothing else, on both sides: rounds are added while a bar is missed. Seconds are the processor's,
# of one thread in the tests that use this: what else runs then hardly counts.
LEAST_ROUNDS, MOST_ROUNDS = 3, 20


class TimedAdam(Adam):
    """Adam with a rate of 0.05, as all here use."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, lr=0.05)
        self.begun: list[float] = []

    def step(self, closure: Callable[[], float]) -> float:
        self.begun.append(process_time())
        return super().step(closure)


class Stopwatch:
    """Makes the optimizer of a run, and knows what its fastest whole step took.

    The fastest, because whatever else the machine does only adds.
    """

    def __init__(self) -> None:
        self._optimizers: list[TimedAdam] = []

    def optimizer(self, parameters: Any) -> TimedAdam:
        self._optimizers.append(TimedAdam(parameters))
        return self._optimizers[-1]

    @property
    def seconds_a_step(self) -> float:
        return min(
            after - before
            for optimizer in self._optimizers
            for before, after in zip(optimizer.begun[1:], optimizer.begun[2:], strict=False)
        )
