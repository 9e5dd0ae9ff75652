"""A signal ends a command within a step: what is finished is kept, what was there stays."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captum_featinv.cli import main
from captum_featinv.cli.stopping import stopping

SOURCE = """
import os
from torch import nn

class Button(nn.Module):
    calls = 0

    def forward(self, image):
        Button.calls += 1
        if Button.calls == int(os.environ["AT"]):
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))
        return image

def pressed():
    return nn.Sequential(Button(), nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU())
"""
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "buttons", raising=False)
    noise = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    Image.fromarray(noise).save("photo.png")
    Path("buttons.py").write_text(SOURCE)


def invert(monkeypatch: pytest.MonkeyPatch, at: int, number: int) -> int:
    """Two rows of two pictures; the signal comes at a call of the network."""
    import buttons  # type: ignore[import-not-found]

    buttons.Button.calls = 0
    monkeypatch.setenv("AT", str(at))
    monkeypatch.setenv("SIGNAL", str(int(number)))
    words = "--model=buttons:pressed --layer=2 --layer=4 --filters=0:2 --size=24 --steps=4"
    return main(["invert", "photo.png", *words.split(), "--out=out.png", "--report=out.json"])


@pytest.mark.filterwarnings("always::captum_featinv.errors.FeatInvWarning")
@pytest.mark.parametrize("number", CODES)
def test_at_every_moment_there_is_what_was_finished_or_what_was_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert invert(monkeypatch, 0, number) == 0
    whole = json.loads(Path("out.json").read_text())["pictures"]
    import buttons

    calls, kept = buttons.Button.calls, set()
    for at in range(1, calls + 1):
        Path("out.png").write_text("old")
        Path("out.json").write_text('"old"')
        capsys.readouterr()
        assert invert(monkeypatch, at, number) == CODES[number]
        assert buttons.Button.calls == at
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
        said = capsys.readouterr().err
        found = json.loads(Path("out.json").read_text())
        if found == "old":
            assert Path("out.png").read_text() == "old"
            assert said.endswith("interrupted: nothing more is written, and what was there stays\n")
        else:
            found = found["pictures"]
            assert found == whole[:2]
            with Image.open("out.png") as sheet:
                sheet.verify()
            assert "interrupted: 1 of 2 rows are finished" in said
        kept.add(len(found))
        assert sorted(p.name for p in Path().iterdir() if p.is_file()) == [
            "buttons.py", "out.json", "out.png", "photo.png",
        ]  # fmt: skip
    assert kept == {len("old"), 2}


@pytest.mark.slow
@pytest.mark.parametrize("number", CODES)
def test_a_process_of_its_own_is_answered_within_seconds(tmp_path: Path, number: int) -> None:
    """20,000 steps on a real network would take hours."""
    words = "invert photo.png --model vgg16 --weights hed --layer relu2_2 --filters 0:2 --size 64"
    command = [sys.executable, "-u", "-m", "captum_featinv", *words.split(), "--steps", "20000"]
    with subprocess.Popen([*command, "--out", "out.png"], stderr=subprocess.PIPE) as process:
        time.sleep(40)  # it is at its steps by then
        begun = time.monotonic()
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    print(f"\nanswered after {time.monotonic() - begun:.1f} s")
    assert process.returncode == CODES[number]
    estimate, interrupted = said.decode().splitlines()
    assert "this takes about" in estimate
    assert interrupted.startswith("captum-featinv: interrupted: nothing more is written")
    assert not Path("out.png").exists()


def test_outside_the_main_thread_signals_stay_whose_they_are() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    seen = []

    def listen() -> None:
        with stopping() as stop:
            seen.append((signal.getsignal(signal.SIGTERM), stop.exit_code))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == [(handler, 130)]


def test_a_signal_says_which_it_was() -> None:
    with pytest.raises(KeyboardInterrupt), stopping() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.exit_code == 143
