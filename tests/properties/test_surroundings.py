"""A picture is the same wherever it is made: in a hook, a rewrite, a thread, another process."""

import gc
import multiprocessing
import os
import tracemalloc
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from tqdm import tqdm

from captum_featinv import CodeInversion, FeatureMapInversion, param, render, style
from captum_featinv.network import activations
from captum_featinv.network.hooking import hooks
from captum_featinv.network.untouched import untouched
from tests.network.test_threads import together
from tests.properties.networks import own_things
from tests.properties.state import bytes_of, nothing_changes

RENDERED: dict[str, Any] = {
    "thresholds": (2,),
    "transforms": [],
    "progress": False,
    "show_image": False,
    "fixed_image_size": 8,
}


def network() -> nn.Module:
    torch.manual_seed(1)
    stem = nn.Conv2d(3, 4, 3, padding=1)
    norm, relu = nn.BatchNorm2d(4), nn.ReLU(inplace=True)
    head = nn.Conv2d(4, 5, 3, padding=1)
    return nn.Sequential(stem, norm, relu, head, nn.ReLU()).eval()


def photo() -> Tensor:
    return 4 * torch.rand(1, 3, 7, 8, generator=torch.Generator().manual_seed(2)) - 2


def picture(model: nn.Module | None = None, seed: int = 0) -> bytes:
    model = network() if model is None else model
    return bytes_of(FeatureMapInversion(model, "2").attribute(photo(), 1, n_steps=3, seed=seed))


# --- inside something of the user's ------------------------------------------------------------


def test_a_hook_of_the_same_model_may_look_for_a_picture() -> None:
    model, found = network(), []
    expected, said = picture(model), model(photo())

    def hook(*_: object) -> None:
        if not found:
            found.append(b"")
            found.append(picture(model))

    model[3].register_forward_hook(hook)
    with nothing_changes(model):
        assert torch.equal(model(photo()), said)
    assert found == [b"", expected]


def test_a_hook_may_do_so_while_a_picture_of_the_same_model_is_looked_for() -> None:
    model, found = network(), []
    expected = picture(model)

    def hook(*_: object) -> None:
        if len(found) % 2 == 0:
            found.append(b"")
            found.append(picture(model))

    model[1].register_forward_hook(hook)
    with nothing_changes(model):
        assert picture(model) == expected
    assert len(found) > 8
    assert set(found) == {b"", expected}


def test_a_rewrite_may_look_for_a_picture() -> None:
    model, found = network(), []
    expected = picture(model)
    inversion = CodeInversion(model, ["0", "2"])
    alone = inversion.attribute(photo(), lambda code: 2 * code, n_steps=3)

    def rewrite(code: Tensor) -> Tensor:
        found.append(picture(model))
        return 2 * code

    with nothing_changes(model):
        assert torch.equal(inversion.attribute(photo(), rewrite, n_steps=3), alone)
    assert found == [expected, expected]


AROUND: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "nothing": nullcontext,
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "anomalies": torch.autograd.detect_anomaly,
    "on the host": torch.autograd.graph.save_on_cpu,
    "one thread": lambda: torch.autograd.set_multithreading_enabled(mode=False),
    "deterministic": lambda: switched(deterministic, 1, 0),
    "double precision": lambda: switched(torch.set_default_dtype, torch.float64, torch.float32),
    "other dice": lambda: switched(torch.manual_seed, 99, 98),
}


def deterministic(mode: int) -> None:
    torch.use_deterministic_algorithms(bool(mode))


@contextmanager
def switched(switch: Callable[[Any], Any], to: Any, back: Any) -> Iterator[None]:
    switch(to)
    try:
        yield
    finally:
        switch(back)


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_what_is_around_a_call_stays_and_does_not_matter(around: str) -> None:
    model = network()
    own_things(model)
    expected = FeatureMapInversion(model, "2").attribute(photo(), 1, n_steps=3)
    shown = photo()
    with AROUND[around](), nothing_changes(model):
        found = FeatureMapInversion(model, "2").attribute(shown, 1, n_steps=3)
    torch.testing.assert_close(found, expected)


class Interrupted(list[Any]):
    """Ctrl-C comes right after something was added."""

    def append(self, thing: Any) -> None:
        super().append(thing)
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("here", "what"), [(activations._HERE, "stack"), (hooks._HERE, "listeners")]
)
def test_ctrl_c_right_before_a_run_leaves_no_word_of_it(
    here: object, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here, what, Interrupted())
    with pytest.raises(KeyboardInterrupt):
        picture()
    assert getattr(here, what) == []


# --- threads and processes ---------------------------------------------------------------------


def test_two_threads_that_ask_in_many_ways_find_what_one_finds() -> None:
    model = network()
    asked = [2, 3, 2, 3]
    expected = [picture(model, seed) for seed in asked]
    found: dict[tuple[int, int], bytes] = {}

    def work(thread: int) -> None:
        for number, seed in enumerate(asked):
            found[thread, number] = picture(model, seed)
            style.restyle(model, photo(), photo(), style_layers=["0"], content_layer="2", n_steps=2)

    with nothing_changes(model):
        together(lambda: work(0), lambda: work(1))
    assert all(found[t, n] == expected[n] for t in range(2) for n in range(len(asked)))


def test_where_no_bar_is_asked_for_no_thread_of_a_bar_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """tqdm starts one with its first bar, also with one that is not shown."""
    model, started = network(), Thread.start
    monkeypatch.setattr(tqdm, "monitor", None)
    seen: list[str] = []
    monkeypatch.setattr(Thread, "start", lambda thread: seen.append(thread.name) or started(thread))
    picture(model)
    style.restyle(model, photo(), photo(), style_layers=["0"], content_layer="2", n_steps=1)
    render.render_vis(model, "2:1", lambda: param.image(8), **RENDERED)
    assert seen == []


def put_picture(queue: Any) -> None:
    torch.set_num_threads(1)
    queue.put(picture())


def in_a_process(method: str) -> bytes:
    context: Any = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    process = context.Process(target=put_picture, args=(queue,))
    process.start()
    process.join(60)
    alive = process.is_alive()
    process.kill()
    assert not alive, "it hangs"
    assert process.exitcode == 0
    found: bytes = queue.get()
    return found


@pytest.mark.slow
def test_a_spawned_process_finds_the_same_picture() -> None:
    torch.set_num_threads(1)
    assert in_a_process("spawn") == picture()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_process_finds_the_same_picture() -> None:
    expected = picture()
    assert in_a_process("fork") == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_process_may_be_forked_while_another_thread_looks_for_a_picture() -> None:
    """Of the threads the child has the one that forked alone: nobody else will open a lock there."""
    expected, inside, done = picture(), Event(), Event()

    def hold() -> None:
        with untouched(nn.ReLU().eval(), torch.device("cpu"), 0):
            inside.set()
            done.wait(120)

    thread = Thread(target=hold)
    thread.start()
    inside.wait()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on forks and threads
            assert in_a_process("fork") == expected
    finally:
        done.set()
        thread.join()


# --- memory ------------------------------------------------------------------------------------


def test_nothing_of_a_model_is_kept_alive() -> None:
    model, shown = network(), photo()
    inversion = FeatureMapInversion(model, "2")
    textures = inversion.attribute(shown, [0, 1], n_steps=3)
    inversion.report(textures, shown, [0, 1])
    CodeInversion(model, ["0", "2"]).attribute(shown, n_steps=2)
    style.restyle(model, shown, shown, style_layers=["0"], content_layer="2", n_steps=2)
    render.render_vis(model, "2:1", lambda: param.image(8), **RENDERED)
    kept = [weakref.ref(module) for module in model.modules()]
    kept += [weakref.ref(weight) for weight in model.parameters()]
    kept += [weakref.ref(shown), weakref.ref(textures)]
    del model, shown, textures, inversion
    gc.collect()
    assert [one() for one in kept if one() is not None] == []


def test_a_result_keeps_nothing_but_itself() -> None:
    model = network()
    picture(model)
    gc.collect()
    before = _tensors()
    textures = FeatureMapInversion(model, "2").attribute(photo(), 1, n_steps=3).clone()
    gc.collect()
    assert _tensors() == before + 1
    assert textures.shape == photo().shape


def _tensors() -> int:
    return sum(issubclass(type(thing), Tensor) for thing in gc.get_objects())


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_two_hundred_inversions_leave_nothing_behind() -> None:
    """Python's memory, and the process's, in which a model's codes would be."""
    model = network()
    wide = photo().repeat(1, 1, 4, 4)

    def work(count: int) -> None:
        for seed in range(count):
            FeatureMapInversion(model, "2").attribute(wide, 1, n_steps=1, seed=seed)

    tracemalloc.start()
    work(100)  # Python's pools and torch's caches fill
    gc.collect()
    traced, before = tracemalloc.get_traced_memory()[0], resident()
    work(200)
    gc.collect()
    grown, after = tracemalloc.get_traced_memory()[0] - traced, resident() - before
    tracemalloc.stop()
    print(f"\n200 inversions: {grown / 1024:.1f} KiB of Python's, {after / 2**20:.1f} MiB in all")
    assert grown < 64 * 1024
    assert after < 16 * 2**20
