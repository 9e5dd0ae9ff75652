"""What a person at a terminal meets: help at once, no silence, a record in every file."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captum_featinv.cli import main
from captum_featinv.cli.parsing import parser
from captum_featinv.cli.parsing.compare import METHODS as NAMES
from captum_featinv.cli.parsing.compare import QUICK
from captum_featinv.cli.parsing.invert import ENERGIES, RECIPES
from captum_featinv.cli.parsing.options import PRECISIONS, STEPS
from captum_featinv.cli.parsing.restyle import MATCHES
from captum_featinv.cli.watching import _Estimate
from captum_featinv.models.loaded import best_device

COMMANDS = [
    "demo",
    "invert",
    "explain",
    "compare",
    "restyle",
    "atlas",
    "gallery",
    "claims",
    "layers",
]
HEAVY = ["torch", "torchvision", "captum", "numpy", "PIL", "rich"]


@pytest.fixture(autouse=True)
def _in_a_folder_with_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    dice = np.random.default_rng(0)
    Path("photos").mkdir()
    for name in ("photo.png", "photos/a.png", "photos/b.png"):
        Image.fromarray(dice.integers(0, 256, (28, 28, 3), dtype=np.uint8)).save(name)


QUICKLY = ["--model=squeezenet1_1", "--weights=random", "--size=32", "--steps=2"]


# --- help --------------------------------------------------------------------------------------


def test_help_and_mistakes_need_nothing_heavy() -> None:
    code = f"""
import sys
from captum_featinv.cli import main
for words in (["--help"], ["--version"], ["invert"], *([c, "--help"] for c in {COMMANDS})):
    try:
        main(words)
    except SystemExit:
        pass
print([name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.bench
def test_help_answers_within_a_second() -> None:
    words = [sys.executable, "-m", "captum_featinv", "--help"]
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(words, capture_output=True, check=True)
        seconds.append(time.perf_counter() - start)
    print(f"--help: {sorted(seconds)[2]:.2f} s")
    assert sorted(seconds)[2] < 1


@pytest.mark.bench
def test_layers_of_a_vgg_are_told_within_four_seconds() -> None:
    words = [sys.executable, "-m", "captum_featinv", "layers", "vgg16"]
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(words, capture_output=True, check=True)
        seconds.append(time.perf_counter() - start)
    print(f"layers vgg16: {sorted(seconds)[1]:.2f} s")
    assert sorted(seconds)[1] < 4


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    import captum_featinv

    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"captum_featinv {captum_featinv.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_what_it_does(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    options = re.split(r"\n  (?=-)", capsys.readouterr().out.partition("options:")[2])[1:]
    assert len(options) >= 3
    for option in options:
        words = option.split()
        assert len(words) > 3 or words[0] in ("--layer", "--match"), option


def test_what_can_be_chosen_is_what_the_library_has() -> None:
    from typing import get_args

    from captum_featinv import Recipe
    from captum_featinv.codes import Energy
    from captum_featinv.optimization.precision import Precision
    from captum_featinv.studies.compare import METHODS
    from captum_featinv.style import RECIPES as STYLES
    from captum_featinv.style import Match

    assert get_args(Precision) == PRECISIONS
    assert get_args(Energy) == ENERGIES
    assert get_args(Match) == MATCHES
    assert set(METHODS) < set(NAMES)
    assert set(QUICK) < set(NAMES)
    assert all(callable(getattr(Recipe, name)) for name in RECIPES)
    assert (Recipe.default().n_steps, Recipe.paper().n_steps) == (STEPS, 1000)
    assert {name: recipe.n_steps for name, recipe in STYLES.items()} == {
        "energies": 50, "gram": 80, "both": 80,
    }  # fmt: skip


# --- one answer for several photos -------------------------------------------------------------


def test_all_photos_of_a_folder_are_shown_with_the_same_filters_and_each_alone_too() -> None:
    words = ["photos", "--layer=features.3", "--filters=top:3", "--report=r.json", *QUICKLY]
    assert main(["invert", *words, "--pictures=alone"]) == 0
    told = json.loads(Path("r.json").read_text())
    rows = [(one["photo"], one["filter"]) for one in told["pictures"]]
    filters = [k for _, k in rows[:3]]
    assert rows == [(name, k) for name in ("a.png", "b.png") for k in filters]
    alone = sorted(path.name for path in Path("alone").iterdir())
    assert alone == sorted(f"{name}-features.3-{k}.png" for name in "ab" for k in filters)
    with Image.open(f"alone/a-features.3-{filters[0]}.png") as picture:
        assert picture.size == (32, 32)
        assert json.loads(picture.info["captum_featinv"]) == told["made"]


def test_all_filters_are_all() -> None:
    words = ["photo.png", "--layer=features.3.squeeze", "--filters=all", "--report=r.json"]
    assert main(["invert", *words, *QUICKLY]) == 0
    told = json.loads(Path("r.json").read_text())
    assert [one["filter"] for one in told["pictures"]] == list(range(16))


# --- the record --------------------------------------------------------------------------------


def test_a_picture_says_how_it_was_made_and_the_same_command_gives_the_same_bytes() -> None:
    words = ["invert", "photo.png", "--layer=features.3", "--filters=top:2", *QUICKLY]
    words += ["--report=r.json", "--seed=3"]
    assert main(words) == 0
    first = Path("textures.png").read_bytes(), Path("r.json").read_bytes()
    made = json.loads(first[1])["made"]
    assert made["command"] == f"captum-featinv {' '.join(words)}"
    assert (made["seed"], made["steps"], made["precision"]) == (3, 2, "float32")
    assert made["recipe"]["n_steps"] == "2"
    assert set(made["versions"]) >= {"python", "captum_featinv", "torch", "captum"}
    assert made["device"].startswith(best_device())
    with Image.open("textures.png") as picture:
        assert json.loads(picture.info["captum_featinv"]) == made
    assert main(words) == 0
    assert (Path("textures.png").read_bytes(), Path("r.json").read_bytes()) == first


def test_other_weights_and_other_photos_have_other_hashes() -> None:
    words = ["--layer=features.3", "--filters=top:2", "--report=r.json", *QUICKLY]
    records = []
    for photo, more in (
        ("photos/a.png", []),
        ("photos/b.png", []),
        ("photos/a.png", ["--model=squeezenet1_0"]),
    ):
        assert main(["invert", photo, *words, *more]) == 0
        records.append(json.loads(Path("r.json").read_text())["made"])
    a, b, other = records
    assert a["weights"] == b["weights"] != other["weights"]
    assert a["photos"]["photos/a.png"] == other["photos"]["photos/a.png"]
    assert a["photos"]["photos/a.png"] != b["photos"]["photos/b.png"]


@pytest.mark.parametrize("device", ["cuda:9", "abacus"])
def test_a_device_that_is_not_there_is_named(
    device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["invert", "photo.png", "--layer=features.3", f"--device={device}", *QUICKLY]) == 2
    said = capsys.readouterr().err
    assert f"no network can be put on device '{device}' here" in said
    assert said.count("\n") == 1


# --- what is said ------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["before", "after"])
def test_quiet_says_nothing(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["invert", "photo.png", "--layer=features.3", "--filters=top:2", *QUICKLY]
    assert main(["--quiet", *words] if place == "before" else [*words, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert Path("textures.png").exists()


def test_an_estimate_is_said_once_and_only_where_it_takes_over_a_minute(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for seconds, said in ((50, ""), (300, "about 5 minutes"), (7200, "about 2.0 hours")):
        # A download before the first stage says nothing of the rest.
        clock = iter([0, *range(40, 61)])
        estimate = _Estimate(partial(next, clock))
        for tick in range(21):
            estimate(tick / seconds, "a stage")
        err = capsys.readouterr().err
        assert (said in err) if said else not err
        assert err.count("\n") == bool(said)
        assert estimate.left == pytest.approx(seconds - 20)


def test_a_reader_that_has_had_enough_gets_no_complaint() -> None:
    words = (
        f"{sys.executable} -m captum_featinv layers squeezenet1_1 | true; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout == f"{128 + signal.SIGPIPE}\n"
    assert done.stderr == ""


def longest_silence(words: list[str]) -> tuple[float, str]:
    """Seconds between two signs of life on a terminal, and all that it showed."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    command = [sys.executable, "-m", "captum_featinv", *words]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        last, longest, text = time.perf_counter(), 0.0, b""
        while True:
            ready, _, _ = select.select([ours], [], [], 60)
            try:
                said = os.read(ours, 65536) if ready else b""
            except OSError:  # the other end is closed
                break
            if not said:
                break
            now = time.perf_counter()
            last, longest, text = now, max(longest, now - last), text + said
    os.close(ours)
    assert process.returncode == 0, text.decode()[-2000:]
    return longest, text.decode()


def test_a_terminal_sees_stages_and_what_is_done() -> None:
    words = ["photo.png", "--layer=features.3", "--filters=0:3", *QUICKLY, "--steps=60"]
    _, text = longest_silence(["invert", *words])
    assert "starting" in text
    assert "photo.png, features.3" in text
    assert re.search(r"\d+%", text)
    assert text.endswith("wrote textures.png\r\n")


@pytest.mark.bench
@pytest.mark.parametrize(
    "command",
    [
        "invert photo.png --weights hed --layer relu4_2 --steps 6",
        "demo --steps 3",
        "explain photo.png --model efficientnet_lite0 --ablate --exemplars photos --steps 4",
        "compare photo.png --weights hed --layer relu2_2 --steps 4 --size 96",
        "restyle photo.png photos/a.png --weights hed --steps 10 --size 128",
        "claims --weights hed --layer relu1_2 --layer relu2_2 --filters 3 --steps 4 --size 48 "
        "--photos photos --out claims",
        "atlas photo.png --weights hed --layers relu2_2 --steps 3 --size 48",
        "layers resnet18 --fields",
    ],
)
def test_no_command_is_silent_for_two_seconds(command: str) -> None:
    gap, text = longest_silence(command.split())
    print(f"{command.split(maxsplit=1)[0]}: longest silence {gap:.2f} s")
    assert gap < 2
    assert "\x1b[?25h" in text  # the cursor is back


def test_every_command_is_known_to_these_tests() -> None:
    (commands,) = [action.choices for action in parser()._actions if action.dest == "command"]
    assert sorted(commands) == sorted(COMMANDS)
