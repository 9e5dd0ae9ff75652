"""On a device that is not the CPU all commands work, and their numbers are the CPU's."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch.utils import backend_registration

from captum_featinv.cli import main

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
        reason="this PyTorch makes no device in Python",
    ),
    pytest.mark.filterwarnings("ignore"),
]

QUICKLY = "--model squeezenet1_1 --weights random --size 48 --steps 3"
COMMANDS = {
    "invert": f"photos/a.png photos/b.png --layer features.3 --filters top:2 {QUICKLY}",
    "invert --rewrite": f"photos/a.png --layer features.3 --rewrite random {QUICKLY}",
    "invert --recipe": f"photos/a.png --layer features.3 --filters 12 --recipe smooth {QUICKLY}",
    "explain": f"photos/a.png --layer features.3 --ablate --exemplars photos --top 2 {QUICKLY}",
    "compare": f"photos/a.png --layer features.3 --filters 12 {QUICKLY}",
    "restyle": f"photos/a.png photos/b.png --match both {QUICKLY}",
    "atlas": f"photos --layers features.3.squeeze {QUICKLY} --out atlas",
    "claims": "--model squeezenet1_1 --weights random --layer features.3 --layer features.6 "
    "--photos photos --filters 3 --steps 3 --size 64 --out claims",
}
# Seconds, which no two runs share; and what says where it was.
TOLD_APART = {"seconds", "made", "error"}


@pytest.fixture
def _photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    dice = np.random.default_rng(0)
    for name in "abc":
        coarse = dice.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((64, 48)).save(f"photos/{name}.png")


def commands() -> list[list[str]]:
    """With a report each, where there is one to be had."""
    found = []
    for name, words in COMMANDS.items():
        has_report = name not in ("atlas", "claims")
        report = [f"--report={name}.json", f"--out={name}.png"] if has_report else []
        found.append([name.split()[0], *words.split(), *report])
    return found


def numbers(told: object) -> list[float]:
    """All numbers of a report, in order."""
    if isinstance(told, dict):
        kept = (value for name, value in told.items() if name not in TOLD_APART)
        return [number for value in kept for number in numbers(value)]
    if isinstance(told, list):
        return [number for value in told for number in numbers(value)]
    return [float(told)] if isinstance(told, int | float) else []


@pytest.mark.usefixtures("_photos")
@pytest.mark.parametrize("doubles", [True, False], ids=["as on CUDA", "as on MPS"])
def test_every_command_works_elsewhere_and_says_what_it_says_on_the_cpu(doubles: bool) -> None:
    reports = [f"{name}.json" for name in COMMANDS if name not in ("atlas", "claims")]
    code = f"from tests.elsewhere import main; main({commands()!r})"
    there = [sys.executable, "-W", "ignore", "-c", code, *([] if doubles else ["--no-doubles"])]
    root = Path(__file__).parents[1]
    done = subprocess.run(there, capture_output=True, text=True, check=False, env=_with_path(root))
    assert done.returncode == 0, done.stderr[-3000:]
    assert "failed on" not in done.stderr, done.stderr
    told = {name: json.loads(Path(name).read_text()) for name in [*reports, "claims/claims.json"]}
    assert {one["made"]["device"].split(":")[0] for one in told.values()} == {"elsewhere"}
    for words in commands():
        words = [word.replace("atlas", "atlas2") if words[0] == "atlas" else word for word in words]
        assert main([words[0].replace("atlas2", "atlas"), *words[1:]]) == 0
    for name in reports:
        here = json.loads(Path(name).read_text())
        assert numbers(told[name]) == pytest.approx(numbers(here), rel=2e-3, abs=1e-4), name


def _with_path(root: Path) -> dict[str, str]:
    import os

    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]),
    }
