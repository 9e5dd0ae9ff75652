"""When the forward may stop: after as many calls of each layer as it makes in a complete run."""

from collections import Counter
from collections.abc import Hashable

Counts = Counter[str]
Traits = frozenset[Hashable]


class Schedule:
    """Learns from complete runs how often each layer is called, and says whether that holds.

    Two complete runs must agree. The first run of all may differ, since models warm up in it; when
    others do, a layer's calls depend on what the model is shown, and every run has to be complete. A
    run that is unlike all before it, the first with gradients or the first of several images, is
    complete in any case.
    """

    def __init__(self) -> None:
        self._runs: list[Counts] = []
        self._seen: set[Hashable] = set()
        self._trusted = True

    @property
    def begun(self) -> bool:
        """Whether there was a complete run."""
        return bool(self._runs)

    def calls(self, traits: Traits) -> Counts | None:
        """How often each layer will be called in a run with these traits; None if not sure."""
        sure = self._trusted and len(self._runs) > 1 and self._runs[-1] == self._runs[-2]
        return self._runs[-1] if sure and traits <= self._seen else None

    def learn(self, traits: frozenset[Hashable], counts: Counts) -> None:
        """A complete run called the layers so often."""
        if len(self._runs) > 1 and counts != self._runs[-1]:
            self._trusted = False
        self._seen |= traits
        self._runs = [*self._runs[-1:], counts]

    def distrust(self) -> None:
        """Let every run from now on be complete."""
        self._trusted = False
