"""Whatever dies, and whenever: what is there is whole, and the atlas ends as if nothing was."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from captum_featinv import Recipe
from captum_featinv.images.normalization import Normalization
from captum_featinv.models import LoadedModel
from captum_featinv.studies.atlas import Folder, atlas, cluster
from tests.studies.atlas.test_atlas import files, without_times

LAYERS = ["1", "3"]
RECIPE = Recipe.default(n_steps=10)


def network() -> LoadedModel:
    torch.manual_seed(5)
    model = nn.Sequential(nn.Conv2d(3, 60, 3), nn.ReLU(), nn.Conv2d(60, 70, 3), nn.ReLU())
    return LoadedModel(model.eval(), "tiny", Normalization(0.5, 0.5))


def some_photos() -> dict[str, Tensor]:
    dice = torch.Generator().manual_seed(0)
    return {name: torch.rand(1, 3, 24, 30, generator=dice) for name in "abc"}


@pytest.fixture
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make(out: Path) -> list[dict[str, Any]]:
    return list(atlas(network(), some_photos(), LAYERS, recipe=RECIPE, out=out))


@pytest.mark.slow
def test_killed_at_ten_moments_and_resumed_it_is_that_of_an_uninterrupted_run(
    one_thread: None, tmp_path: Path
) -> None:
    begun = time.perf_counter()
    whole = make(tmp_path / "whole")
    takes = time.perf_counter() - begun
    moments = random.Random(1)
    done = []
    for _ in range(10):
        child = os.fork()
        if not child:
            try:
                make(tmp_path / "killed")
            finally:
                os._exit(0)
        time.sleep(moments.uniform(0.02, 0.25) * takes)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        # Whatever can be seen can be read to its end.
        done.append(len(list(Folder(tmp_path / "killed").rows())))
    print(f"\npictures after each kill: {done} of {len(whole)}; an uninterrupted run {takes:.1f} s")
    assert done == sorted(done)
    assert done[-1] > 0
    last = make(tmp_path / "killed")
    assert without_times(last) == without_times(whole)
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_two_workers_of_which_one_dies_make_what_one_process_does(
    one_thread: None, tmp_path: Path
) -> None:
    whole = make(tmp_path / "whole")
    with cluster(workers=2) as executor:
        assert executor is not None
        client: Any = executor
        pids = list(client._client.run(os.getpid).values())
        assert len(set(pids)) == 2
        # Dask's own environment, less its order to hand memory back, which costs a third of a step.
        environments = client._client.run(lambda: dict(os.environ)).values()
        assert all(environment["OMP_NUM_THREADS"] == "1" for environment in environments)
        assert all("MALLOC_TRIM_THRESHOLD_" not in environment for environment in environments)
        rows = atlas(
            network(), some_photos(), LAYERS, recipe=RECIPE, out=tmp_path / "c", executor=executor
        )
        made = [next(rows)]
        os.kill(pids[0], signal.SIGKILL)
        made += rows
    assert without_times(made) == without_times(whole)
    assert files(tmp_path / "c") == files(tmp_path / "whole")


@contextmanager
def mounted(place: Path, *options: str) -> Iterator[None]:
    """A small file system of its own, where this process may make one."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", *options, "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_said_and_what_was_made_stays(one_thread: None, tmp_path: Path) -> None:
    whole = make(tmp_path / "whole")
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "-o", "size=300k"):
        with pytest.raises(OSError, match=r"No space left on device: .*disk/atlas/") as caught:
            make(disk / "atlas")
        kept = len(list(Folder(disk / "atlas").rows()))
        print(f"\n{caught.value}: {kept} pictures of {len(whole)} kept")
        assert 0 < kept < len(whole)
        assert not any(".unfinished/" in name for name in files(disk / "atlas"))
        shutil.copytree(disk / "atlas", tmp_path / "larger")
    assert without_times(make(tmp_path / "larger")) == without_times(whole)
    assert files(tmp_path / "larger") == files(tmp_path / "whole")


@pytest.mark.slow
def test_a_folder_that_may_not_be_written_to_is_said_and_stays(
    one_thread: None, tmp_path: Path
) -> None:
    """Mounted for reading alone, for nothing else keeps a file from the administrator."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk):
        rows = atlas(network(), some_photos(), LAYERS, recipe=RECIPE, out=disk / "atlas")
        next(rows)
        rows.close()
        kept = without_times(Folder(disk / "atlas").rows())
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for place in (disk / "atlas", disk / "other"):
            with pytest.raises(OSError, match=r"Read-only file system: .*disk"):
                make(place)
        assert without_times(Folder(disk / "atlas").rows()) == kept
        assert kept
