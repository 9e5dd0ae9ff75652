import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import jupytext
import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from captum_featinv import Recipe
from captum_featinv._moved import MOVED
from tests.pages import PAGES, code

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "captum_featinv").rglob("*.py")
)
TUTORIALS = sorted((ROOT / "tutorials").glob("*.py"))


def in_a_fresh_interpreter(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_needs_no_extra_warns_of_nothing_and_changes_nothing() -> None:
    """In one fresh interpreter, for each costs seconds; the global dice are left alone too."""
    code = """
import sys, torch
extras = ("h5py", "skimage", "safetensors", "lucent", "dreamlens", "kornia", "decorator", "timm")
sys.modules |= dict.fromkeys(extras)
before = torch.random.get_rng_state()
import captum_featinv
assert not [name for name in sys.modules if name.startswith("captum_featinv.studies")]

import captum_featinv.display  # an old path, dot by dot
captum_featinv.display.to_image

from captum_featinv import objectives as of  # without Lucent
loss = of.as_objective("a.b:1") - 2 * of.diversity("a_b") + of.feature_map_ref("a_b", 0)

import captum_featinv.studies
assert "captum_featinv.studies.claims.figures" not in sys.modules
from captum_featinv.studies import claim_figures
assert callable(claim_figures)

import captum_featinv.cli
assert torch.equal(before, torch.random.get_rng_state())
loss(lambda layer: torch.rand(2, 3, 4, 5))

for extra in extras:
    del sys.modules[extra]
"""
    all_ = f"import {', '.join(module.removesuffix('.__init__') for module in MODULES)}"
    in_a_fresh_interpreter(code + all_)


def imported_from_us(text: str) -> set[tuple[str, str]]:
    """Which names a text imports, and from which of our modules."""
    found = set()
    for module, listed, line in re.findall(
        r"from (captum_featinv[\w.]*) import (?:\(([^)]*)\)|([^\n]*))", text
    ):
        names = re.sub(r"#.*", "", listed or line).replace("`", ",").split(",")
        found |= {(module, name.split(" as ")[0].strip()) for name in names if name.strip()}
    return found


@pytest.mark.parametrize(
    "text",
    [*(page for page in PAGES if code(page, "python")), *TUTORIALS],
    ids=lambda path: path.name,
)
def test_readme_pages_and_tutorials_import_from_public_places(text: Path) -> None:
    imported = imported_from_us(text.read_text())
    assert imported
    for module, name in sorted(imported):
        place = import_module(module)
        assert hasattr(place, "__path__"), f"{module} is no package"
        assert name in place.__all__, f"{name} is not in the __all__ of {module}"
        assert hasattr(place, name)


PUBLIC = {
    "images": "load_photo load_middle open_picture from_picture middle_of central_square to_image "
    "to_picture as_saved as_jpeg contact_sheet over_photo signed Normalization",
    "models": "load_model LoadedModel average_pooling",
    "network": "list_layers layer_aliases find_layer anatomy ablation read_code",
    "optimization": "Recipe",
    "studies": "explain compare METHODS Method measure_claims as_text texture_stability "
    "texture_sheet rewrite_sheet",
}


@pytest.mark.parametrize("room", PUBLIC)
def test_a_public_name_is_what_it_is_called_and_no_module(room: str) -> None:
    place = import_module(f"captum_featinv.{room}")
    assert set(PUBLIC[room].split()) <= set(place.__all__)
    assert place.__all__ == sorted(place.__all__)
    assert not [name for name in place.__all__ if isinstance(getattr(place, name), ModuleType)]


@pytest.mark.parametrize("old", sorted(MOVED))
def test_an_old_path_is_the_module_that_took_its_place(old: str) -> None:
    assert import_module(f"captum_featinv.{old}") is import_module(f"captum_featinv.{MOVED[old]}")


@pytest.mark.slow
@pytest.mark.parametrize("script", TUTORIALS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings(
    "ignore::captum_featinv.errors.FeatInvWarning",
    "ignore:FigureCanvasAgg",
    "ignore:Setting forward",
)
def test_a_tutorial_runs_with_few_steps(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mpl.use("Agg")
    monkeypatch.setitem(Recipe.__init__.__kwdefaults__, "n_steps", 2)  # where none are named
    steps = r"(n_steps=|thresholds=\(|in range\((?=\d{3}))\d+"
    hurried = re.sub(steps, r"\g<1>2", script.read_text())
    try:
        exec(compile(hurried, script.name, "exec"), {"__name__": "tutorial"})
    finally:
        plt.close("all")  # matplotlib minds more than twenty


@pytest.mark.parametrize("script", TUTORIALS, ids=lambda path: path.stem)
def test_a_notebook_is_its_scripts_executed_twin(script: Path) -> None:
    notebook = jupytext.read(script.with_suffix(".ipynb"))
    cells = [(cell.cell_type, cell.source) for cell in notebook.cells]
    assert cells == [(cell.cell_type, cell.source) for cell in jupytext.read(script).cells]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not in a clone")
def test_no_file_is_large() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        assert (ROOT / name).stat().st_size < 1_500_000, name


@pytest.mark.slow
def test_without_the_rivals_all_but_the_comparisons_with_them_still_passes() -> None:
    files = [
        str(path)
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search("ucent|reamlens", path.read_text())
    ]
    files.remove(str(Path(__file__)))
    code = f"""
import sys, pytest
sys.modules["lucent"] = sys.modules["dreamlens"] = sys.modules["kornia"] = None
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *{files}]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    summary = done.stdout.strip().splitlines()[-1]
    print(f"\n{len(files)} files: {summary}")
    assert done.returncode == 0, done.stdout
    assert re.search(r"[1-9]\d* passed", summary)
    assert re.search(r"[1-9]\d* skipped", summary)
