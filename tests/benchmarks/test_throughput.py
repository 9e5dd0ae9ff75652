import re

import pytest

from captum_featinv.studies.atlas import Named
from tests.benchmarks import throughput


@pytest.mark.slow
def test_the_table_is_of_every_layer_and_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    throughput.main(
        ["--model", "alexnet", "--weights", "random", "--size", "64", "--layers", "features.1"]
    )
    out = capsys.readouterr().out
    layer, filters, seconds, a_minute, minutes, *_ = re.findall(r"[^| \n]+", out.splitlines()[-2])
    assert (layer, filters) == ("features.1", "64")
    assert float(a_minute) == pytest.approx(60 / float(seconds), rel=0.2)
    assert float(minutes) == pytest.approx(64 * float(seconds) / 60, abs=1)
    assert out.splitlines()[-1].startswith("all 64 filters: ")


@pytest.mark.slow
def test_operations_are_those_of_the_steps_and_of_some_looks_at_the_whole_network() -> None:
    """By hand: one convolution, forward and backward, 40 times; beside it, whole runs."""
    found = throughput.rate(Named("alexnet", "random"), "features.1", 64)
    once = 2 * 64 * 3 * 11 * 11 * 15 * 15 / 1e9
    classifier = 2 * (9216 * 4096 + 4096 * 4096 + 4096 * 1000) / 1e9
    assert 40 * 2 * once < found.gigaflop < 40 * 2 * once + 8 * (classifier + 10 * once)
