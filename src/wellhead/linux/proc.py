"""The processes of a machine, as /proc tells. One that has ended, or may not be looked at, isn't there.

Source: proc(5). Other errors (a lack of descriptors, say) are raised as OSError: who is sought may be there.
"""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")

_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


def pids(proc: Path = PROC) -> list[int]:
    """Of all processes that are there now, in ascending order."""
    return sorted(map(int, filter(str.isdecimal, os.listdir(proc))))


def arguments(pid: int) -> list[str]:
    """Its command line, without what a title is padded with; [] if it is gone."""
    return _strings(pid, "cmdline")


def environment(pid: int) -> dict[str, str]:
    """The variables that it was started with, or shows; {} if it is gone."""
    return {name: value for name, _, value in (each.partition("=") for each in _strings(pid, "environ"))}


def statistics(pid: int, proc: Path = PROC) -> list[str]:
    """Fields of /proc/PID/stat from the third on, behind a name that may hold anything; [] if it is gone."""
    return _read(proc / str(pid) / "stat").decode(errors="replace").rpartition(")")[2].split()


def fields(path: Path, name: str) -> list[str]:
    """What follows this name at the beginning of a line; [] if nothing does, or the process is gone."""
    lines = map(str.split, _read(path).decode(errors="replace").splitlines())
    return next((rest for first, *rest in filter(None, lines) if first == name), [])


def number(path: Path, name: str) -> int:
    """The first of `fields`; 0 if there is none."""
    return int(next(iter(fields(path, name)), 0))


def proportional_memory(pid: int, proc: Path = PROC) -> int:
    """Bytes: what it has for itself, and its share of what it has with others; 0 if it is gone."""
    return number(proc / str(pid) / "smaps_rollup", "Pss:") * 1024


def machine_memory() -> int:
    """Bytes that the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _strings(pid: int, file: str) -> list[str]:
    content = _read(PROC / str(pid) / file).rstrip(b"\0")
    return os.fsdecode(content).split("\0") if content else []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except _GONE:
        return b""
