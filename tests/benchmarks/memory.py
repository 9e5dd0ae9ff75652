"""The most memory that a process has had."""

from pathlib import Path


def peak_megabytes() -> float:
    """Of this process since its program began.

    `getrusage` would not do: what a process had before it became another program counts there, and
    so a child of a large one seems as large.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) / 1024
    raise OSError("this system does not say how much memory a process has had")
