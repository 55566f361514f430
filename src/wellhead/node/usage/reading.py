"""Reading what processes and cgroups have used so far.

A container's processes are those that share the mount namespace of its first one. What a process has used
includes its children that have ended, so no CPU time is lost when one ends.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wellhead.linux.proc import PROC, number, pids, proportional_memory, statistics

_CGROUPS = Path("/sys/fs/cgroup")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Used:
    """CPU time in seconds; memory in bytes, what could be given back at once left out."""

    cpu: float = 0.0
    memory: int = 0
    processes: int = 0

    def __add__(self, other: Used) -> Used:
        return Used(self.cpu + other.cpu, self.memory + other.memory, self.processes + other.processes)


@dataclass(frozen=True)
class Traffic:
    """Of one interface: (bytes, packets, errors, dropped), received and sent."""

    received: tuple[int, int, int, int]
    sent: tuple[int, int, int, int]


@dataclass(frozen=True)
class Reading:
    """By container id, for those that have processes; and all processes of this machine."""

    containers: Mapping[str, Used]
    node: Used


def read(first: Mapping[str, int], proc: Path = PROC, cgroups: Path = _CGROUPS) -> Reading:
    """`first` is container id -> pid of its first process. Blocks for as long as /proc takes."""
    owners = {
        namespace: container
        for container, pid in first.items()
        if (namespace := _mount_namespace(proc, pid)) is not None
    }
    ours = _mount_namespace(proc, os.getpid())
    owners.pop(ours or "", None)
    containers = dict.fromkeys(owners.values(), Used())
    node = Used()
    for pid in pids(proc):
        used = _of_process(proc, pid)
        if used is None:
            continue
        node += used
        owner = owners.get(_mount_namespace(proc, pid) or "")
        if owner is not None:
            containers[owner] += used
    for container in containers:
        exact = _of_cgroup(proc, cgroups, first[container])
        if exact is not None:
            containers[container] = Used(exact.cpu, exact.memory, containers[container].processes)
    return Reading(containers, node)


def traffic(pid: int, proc: Path = PROC) -> dict[str, Traffic]:
    """What the namespace of a process has received and sent, loopback left out; {} if it is gone. Blocks."""
    try:
        lines = (proc / str(pid) / "net/dev").read_text().splitlines()[2:]
    except OSError:
        return {}
    found = {}
    for line in lines:
        name, _, rest = line.partition(":")
        fields = list(map(int, rest.split()))
        if name.strip() != "lo" and len(fields) >= 12:
            # proc(5): bytes, packets, errs, drop, fifo, frame, compressed, multicast; then the same sent.
            received, sent = fields[0:4], fields[8:12]
            found[name.strip()] = Traffic(_four(received), _four(sent))
    return found


def _four(values: list[int]) -> tuple[int, int, int, int]:
    first, second, third, fourth = values
    return first, second, third, fourth


def available_memory(proc: Path = PROC) -> int:
    """Bytes that could be had without swapping."""
    return number(proc / "meminfo", "MemAvailable:") * 1024


def _mount_namespace(proc: Path, pid: int) -> str | None:
    try:
        return os.readlink(proc / str(pid) / "ns/mnt")
    except OSError:
        return None


def _of_process(proc: Path, pid: int) -> Used | None:
    """None: it has ended meanwhile."""
    # utime, stime, cutime, cstime: proc(5), fields 14 to 17; the list begins with the third.
    times = statistics(pid, proc)[11:15]
    return Used(sum(map(int, times)) / _TICKS, _memory(proc, pid), 1) if times else None


def _memory(proc: Path, pid: int) -> int:
    """Its share of what it maps: pages that several share count for each in part."""
    if share := proportional_memory(pid, proc):
        return share
    try:  # a kernel without the former, or one of its threads
        resident, shared = (proc / str(pid) / "statm").read_text().split()[1:3]
    except (OSError, ValueError):
        return 0
    return max(0, int(resident) - int(shared)) * _PAGE


def _of_cgroup(proc: Path, cgroups: Path, pid: int) -> Used | None:
    """What a container's own cgroup says; None if it hasn't got one."""
    try:
        own, theirs = (_cgroup(proc, each) for each in (os.getpid(), pid))
        if theirs in ("", "/") or theirs == own or ".." in theirs:
            return None
        directory = cgroups / theirs.lstrip("/")
        current = int((directory / "memory.current").read_text())
        memory = max(0, current - number(directory / "memory.stat", "inactive_file"))
        return Used(number(directory / "cpu.stat", "usage_usec") / 1e6, memory)
    except (OSError, ValueError):
        return None


def _cgroup(proc: Path, pid: int) -> str:
    """Its path in the second version's hierarchy."""
    for line in (proc / str(pid) / "cgroup").read_text().splitlines():
        if line.startswith("0::"):
            return line[3:]
    return ""
