"""What the measurements share: samples, their summary, and the machine they were taken on."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_LOAD = Path("/proc/loadavg").read_text().rsplit(" ", 2)[0]
"""Of the last 1, 5 and 15 minutes, before anything was measured."""


@dataclass(frozen=True)
class Result:
    """One row of the report: `value` in `unit`, and how it was got."""

    name: str
    value: float
    unit: str
    method: str
    samples: tuple[float, ...] = field(default=())
    case: str = ""
    """With what, where the same is measured with several."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def median(name: str, samples: Sequence[float], unit: str, method: str, case: str = "") -> Result:
    """The row for the median of `samples`."""
    how = f"{method}; median of {len(samples)}"
    return Result(name, statistics.median(samples), unit, how, tuple(samples), case)


@contextmanager
def stopwatch() -> Iterator[list[float]]:
    """Appends the seconds that the block took to the list it gives."""
    seconds: list[float] = []
    start = time.perf_counter()
    yield seconds
    seconds.append(time.perf_counter() - start)


def machine() -> dict[str, str]:
    """The machine, as far as the numbers depend on it."""
    memory = Path("/proc/meminfo").read_text().split("\n", 1)[0].split()[1]
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "cpu": f"{os.cpu_count()} x {cpu}",
        "load before": _LOAD,
        "memory": f"{int(memory) >> 20} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "nft": _version("nft", "--version"),
        "iptables": _version("iptables", "--version"),
        "crun": _version("crun", "--version"),
    }


def _version(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n", 1)[0]


def number(value: float) -> str:
    """Three significant digits, but all before the point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"
