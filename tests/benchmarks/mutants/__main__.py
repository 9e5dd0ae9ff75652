"""Break the library on purpose and count what the tests notice: `poe mutants --help`.

A mutant is the library with one operator, constant, argument or statement exchanged (see `changes`).
Each runs in a forked child of a process that has imported torch, against the tests that enter its
function, the quickest first, until one fails. What no test notices is listed: a test that is missing,
or a mutant that is no change at all.
"""

import argparse
import contextlib
import gc
import io
import multiprocessing
import os
import random
import sys
import threading
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType

import pytest
from tqdm import tqdm

from tests.benchmarks.mutants.mutant import Mutant, mutants_of
from tests.benchmarks.mutants.record import Chosen, Record, Recorder

PACKAGE = Path("captum_featinv")
ROOMS = ["codes", "objectives", "optimization", "network", "inversion", "style", "images/files"]
FORK = multiprocessing.get_context("fork")
QUIET = ["-q", "-x", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]


class Broken(SourceFileLoader):
    """Imports a mutant in place of its file."""

    def __init__(self, mutant: Mutant) -> None:
        parts = mutant.path.with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        super().__init__(name, str(mutant.path.resolve()))
        self.tree = mutant.apply()

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        wanted = name == self.name
        return spec_from_file_location(name, self.path, loader=self) if wanted else None

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.tree, self.path, "exec")


def silently(arguments: Sequence[str], *plugins: object) -> int:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return int(pytest.main([*QUIET, *arguments], plugins=plugins))


def warm_up(tests: Sequence[str]) -> None:
    """Import all that the tests need, and forget what is ours, so that children import it anew."""
    silently(["--collect-only", *tests])
    for name in list(sys.modules):
        first, *rest = name.split(".")
        if first == PACKAGE.name or (first == "tests" and rest[:1] != ["benchmarks"]):
            del sys.modules[name]
    gc.collect()
    gc.freeze()  # or every child would go through, and so copy, all of torch


def observe(tests: Sequence[str], sender: Connection) -> None:
    recorder = Recorder(str(PACKAGE.resolve()))
    threading.setprofile(recorder.enter)
    sys.setprofile(recorder.enter)
    silently(["--maxfail=0", *tests], recorder)
    sys.setprofile(None)
    sender.send(recorder.record)


def judge(mutant: Mutant, chosen: list[str]) -> None:
    sys.meta_path.insert(0, Broken(mutant))
    sys.exit(silently(sorted({test.partition("::")[0] for test in chosen}), Chosen(chosen)))


def survives(mutant: Mutant, record: Record) -> bool:
    """Whether every test passes; one that crashes, or takes too long, does not."""
    chosen = record.tests_of(mutant)
    if not chosen:
        return True
    child = FORK.Process(target=judge, args=(mutant, chosen))
    child.start()
    child.join(20 + 5 * sum(record.seconds.values()))
    if child.exitcode is None:
        child.kill()
        child.join()
    return child.exitcode == 0


def recorded(tests: Sequence[str]) -> Record:
    receiver, sender = FORK.Pipe(duplex=False)
    observer = FORK.Process(target=observe, args=(tests, sender))
    observer.start()
    sender.close()  # so that a crash there is an error here
    record: Record = receiver.recv()
    observer.join()
    if not record.seconds:
        sys.exit(f"no test ran in {', '.join(tests)}")
    for test in sorted(record.failed):
        print(f"left out, as it fails without a mutant: {test}")
    return record


def mutants_in(room: str) -> list[Mutant]:
    parts = sorted(PACKAGE.glob(f"{room}*"))
    files = [file for part in parts for file in ([part] if part.is_file() else part.rglob("*.py"))]
    mutants = [mutant for file in sorted(files) for mutant in mutants_of(file)]
    return mutants or sys.exit(f"nothing to exchange in {PACKAGE / room}*")


def run(room: str, tests: Sequence[str], sample: int | None, seed: int) -> dict[Mutant, bool]:
    """Which mutants of a room survive its tests."""
    mutants = mutants_in(room)
    if sample is not None and sample < len(mutants):
        places = sorted(random.Random(seed).sample(range(len(mutants)), sample))
        mutants = [mutants[i] for i in places]
    warm_up(tests)
    record = recorded(tests)
    verdicts = {}
    for mutant in tqdm(mutants, room):
        verdicts[mutant] = survives(mutant, record)
        if verdicts[mutant]:
            tqdm.write(str(mutant) + ("" if record.tests_of(mutant) else "  (no test enters it)"))
    return verdicts


def table(verdicts: dict[Mutant, bool]) -> str:
    lines = [f"{'file':48}{'mutants':>9}{'killed':>9}{'survived':>10}{'share':>8}"]
    files = sorted({str(mutant.path) for mutant in verdicts})
    for file in [*files, "all"]:
        alive = [v for mutant, v in verdicts.items() if file in (str(mutant.path), "all")]
        killed = len(alive) - sum(alive)
        lines.append(f"{file:48}{len(alive):9}{killed:9}{sum(alive):10}{killed / len(alive):8.0%}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="poe mutants", description=__doc__)
    parser.add_argument("rooms", nargs="*", default=ROOMS, help="such as codes, or codes/live")
    parser.add_argument("--sample", type=int, help="so many mutants of each room; default: all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--also", nargs="+", default=[], help="tests, beside the room's own folder")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads do not survive a fork
    verdicts: dict[Mutant, bool] = {}
    for room in args.rooms:
        tests = [f"tests/{room.partition('/')[0]}", *args.also]
        verdicts |= run(room, list(dict.fromkeys(tests)), args.sample, args.seed)
    print(table(verdicts))


if __name__ == "__main__":
    main()
