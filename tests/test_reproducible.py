"""One command and one seed give the same bytes, whatever else the machine does."""

import hashlib
import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def picture(photo: Path, folder: Path, threads: int, *options: str) -> bytes:
    """What the command writes into a folder, in a fresh process with so many threads."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "captum_featinv", "invert", str(photo), "--out=sheet.png"]
    model = ["--model", "resnet18", "--weights", "random", "--layer", "layer2.0.relu"]
    subprocess.run(
        [*command, *model, "--filters", "live:2", "--size", "64", "--steps", "12", *options],
        check=True,
        capture_output=True,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)},
    )
    return (folder / "sheet.png").read_bytes()


def pixels_of(content: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Without what the file says of how it was made."""
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    dice = np.random.default_rng(0)
    small = dice.integers(0, 255, (8, 8, 3), dtype=np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(small).resize((64, 64), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.mark.slow
def test_ten_fresh_processes_write_the_same_picture(photo: Path, tmp_path: Path) -> None:
    """Five with one thread and five with two, four at a time, so that each is the others' load.

    Between the two kinds there is rounding alone.
    """

    def written(threads: int, number: int) -> bytes:
        return picture(photo, tmp_path / f"{threads}_{number}", threads)

    with ThreadPoolExecutor(4) as pool:
        asked = [(threads, number) for number in range(5) for threads in (1, 2)]
        files = list(pool.map(lambda one: written(*one), asked))
    found = {threads: files[threads - 1 :: 2] for threads in (1, 2)}
    for threads, files in found.items():
        checksums = {hashlib.sha256(file).hexdigest()[:12] for file in files}
        print(f"\n{threads} thread(s), {len(files)} processes: {checksums}")
        assert len(checksums) == 1
    pixels = [pixels_of(files[0]).astype(int) for files in found.values()]
    apart = np.abs(pixels[0] - pixels[1])
    print(f"between 1 and 2 threads: {apart.mean():.4f} of 255 on average, {apart.max()} at most")
    assert apart.mean() < 1


@pytest.mark.slow
def test_another_precision_is_another_picture_and_says_so(photo: Path, tmp_path: Path) -> None:
    import json

    report = tmp_path / "report.json"
    precisions = []
    pictures = set()
    for options in ([], ["--precision", "float32"], ["--precision", "bfloat16"]):
        content = picture(photo, tmp_path, 1, "--report", str(report), *options)
        pictures.add(pixels_of(content).tobytes())
        told = json.loads(report.read_text())
        (precision,) = {record["precision"] for record in told["pictures"]}
        assert told["made"]["precision"] == precision
        precisions.append(precision)
    assert precisions == ["float32", "float32", "bfloat16"]
    assert len(pictures) == 2
