"""The GPU's table is made where there is none, so that it can be made where there is one."""

import pytest
import torch
from torch import nn

from tests.benchmarks import gpu


@pytest.fixture(autouse=True)
def _as_if(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("synchronize", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 3 * 1024**2)
    monkeypatch.setattr(gpu, "STEPS", 2)
    monkeypatch.setattr(gpu, "ROUNDS", 1)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_row_has_a_cell_for_every_column_and_the_cpus_share(precision: str) -> None:
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU()).eval()
    line = gpu.row(model, "1", 4 * torch.rand(1, 3, 24, 24) - 2, [0, 2], precision)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert len(cells) == gpu.HEAD.splitlines()[0].count("|") - 1
    assert cells[:2] == ["1", precision]
    assert cells[6] == "3"
    assert float(cells[7]) == pytest.approx(float(cells[8]), rel=0.1)


def test_without_a_gpu_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpu.main([])
    assert capsys.readouterr().out == "no CUDA device here: not measured\n"


@pytest.mark.filterwarnings("ignore")
def test_lucents_step_is_measured_beside_ours() -> None:
    pytest.importorskip("lucent")
    model = nn.Sequential(*(nn.Conv2d(3, 6, 3) if i == 0 else nn.ReLU() for i in range(9))).eval()
    assert gpu.beside_lucent(model).count("ms a step") == 2
