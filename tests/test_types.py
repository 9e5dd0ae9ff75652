"""What a type checker tells somebody who uses the front doors: never Any."""

import re
from pathlib import Path

import pytest
from mypy import api

TENSOR = "torch._tensor.Tensor"
PAIR = f"tuple[{TENSOR}, ...]"

# What is asked, and what has to come back.
REVEALED = {
    "fmi.attribute(photos, 1)": TENSOR,
    "fmi.attribute(photos, [0, 1], baselines=0.0, energy='own')": TENSOR,
    "fmi.attribute(inputs, (1, 2), n_steps=2)": PAIR,
    "fmi.attribute(photos, None, return_convergence_delta=False)": TENSOR,
    "fmi.attribute(photos, 1, return_convergence_delta=True)": f"tuple[{TENSOR}, {TENSOR}]",
    "fmi.attribute(inputs, 1, return_convergence_delta=True)": f"tuple[{PAIR}, {TENSOR}]",
    "inversion.attribute(photos)": TENSOR,
    "inversion.attribute((photos, photos), codes.original, seed=1)": PAIR,
    "inversion.attribute(photos, return_convergence_delta=True)": f"tuple[{TENSOR}, {TENSOR}]",
    "inversion.attribute(inputs, return_convergence_delta=True)": f"tuple[{PAIR}, {TENSOR}]",
    "style.restyle(model, photos, photos)": TENSOR,
    "style.restyle(model, photos, photos, n_steps=2, return_distances=False)": TENSOR,
    "style.restyle(model, photos, photos, return_distances=True).after.gram": TENSOR,
    "fmi.report(photos, photos, 1)[0].share": "float",
    "fmi.report(photos, photos, 1).to_csv()": "str",
    "fmi.objective(photos, 1)": "captum_featinv.objectives.objective.Objective",
    "fmi.param(photos, 1)()[1]()": TENSOR,
    "fmi.to_image(photos).shape": "tuple[Any, ...]",  # numpy's own word for it
}


@pytest.mark.slow  # mypy reads torch
def test_a_type_checker_knows_what_comes_back(tmp_path: Path) -> None:
    lines = [
        "from torch import Tensor, nn",
        "from captum_featinv import CodeInversion, FeatureMapInversion, codes, style",
        "def asked(model: nn.Module, photos: Tensor, inputs: tuple[Tensor, ...]) -> None:",
        "    inversion, fmi = CodeInversion(model, '0'), FeatureMapInversion(model, '0')",
        *(f"    reveal_type({expression})" for expression in REVEALED),
    ]
    script = tmp_path / "asked.py"
    script.write_text("\n".join(lines) + "\n")
    told, errors, status = api.run(["--strict", "--cache-dir", str(tmp_path), str(script)])
    assert not status, told + errors
    found = re.findall(r'Revealed type is "(.*)"', told)
    assert dict(zip(REVEALED, found, strict=True)) == REVEALED
