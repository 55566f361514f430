"""Cgroups of containers: what they may use at most of memory and processors, and whether that killed them.

Version 2 where its hierarchy has the controllers, else version 1. A hierarchy of version 1 is mounted by the
agent for itself, in its machine; the host's mounts stay as they are. Only containers that ask for something
have one. Those of a pod that asks for something as a whole are below one of the pod's.

Source: pkg/kubelet/cm (MilliCPUToShares, MilliCPUToQuota) of v1.36; Documentation/admin-guide/cgroup-v1 and
cgroup-v2.rst of Linux.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity
from wellhead.linux import mounts

_log = logging.getLogger(__name__)

_UNIFIED = Path("/sys/fs/cgroup")
_CONTROLLERS = ("memory", "cpu")
_PERIOD = 100_000  # microseconds
_LEAST_QUOTA = 1000
_REMOVALS, _SETTLES = (
    100,
    0.01,
)  # tries, and the seconds between them: a process that is killed takes its time
_LEAST_SHARES, _MOST_SHARES = 2, 262_144


_POD = "pod-"  # before a pod's UID


@dataclass(frozen=True)
class Limits:
    """Bytes of memory at most, thousandths of a processor at most, and what it weighs against others."""

    memory: int | None = None
    cpu: int | None = None
    shares: int = _LEAST_SHARES

    @classmethod
    def of(cls, resources: Obj | None) -> Limits | None:
        """Of a container's `resources`; None if they ask for nothing."""
        limits, requests = ((resources or {}).get(kind) or {} for kind in ("limits", "requests"))
        if not {"memory", "cpu"} & {*limits, *requests}:
            return None
        memory, cpu = limits.get("memory"), limits.get("cpu")
        asked = requests.get("cpu", cpu)
        milli = Quantity.parse(asked).milli_value if asked is not None else 0
        return cls(
            memory=Quantity.parse(memory).value or None if memory is not None else None,
            cpu=Quantity.parse(cpu).milli_value or None if cpu is not None else None,
            shares=min(max(milli * 1024 // 1000, _LEAST_SHARES), _MOST_SHARES),
        )

    @property
    def quota(self) -> int | None:
        """Microseconds of a period."""
        return None if self.cpu is None else max(self.cpu * _PERIOD // 1000, _LEAST_QUOTA)


@dataclass(frozen=True)
class Pod:
    """What the containers of a pod have in all."""

    uid: str
    limits: Limits


def _own(controller: str) -> str:
    """The agent's own cgroup of version 1."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path
    return "/"


class Cgroups:
    """The cgroups of one node's containers, in one directory of each hierarchy.

    Every method blocks, but for no longer than it takes the kernel.
    """

    def __init__(self, roots: Mapping[str, Path], unified: bool) -> None:
        """`roots` are the directories by controller; with version 2, one for "" ."""
        self._roots = dict(roots)
        self._unified = unified

    @classmethod
    def find(cls, name: str, place: Path) -> Cgroups | None:
        """Those below `name` in each hierarchy; None where the machine has no such controllers.

        `place` is a directory to mount hierarchies in. Blocks.
        """
        try:
            return cls._unified_ones(name) or cls._legacy_ones(name, place)
        except OSError as error:
            _log.warning("containers have no cgroups: %s", error)
            return None

    @classmethod
    def _unified_ones(cls, name: str) -> Cgroups | None:
        controllers = _UNIFIED / "cgroup.controllers"
        if not controllers.exists() or not set(_CONTROLLERS) <= set(controllers.read_text().split()):
            return None
        directory = _UNIFIED / name
        directory.mkdir(exist_ok=True)
        for each in (_UNIFIED, directory):
            _hand_down(each)
        return cls({"": directory}, True)

    @classmethod
    def _legacy_ones(cls, name: str, place: Path) -> Cgroups | None:
        roots = {}
        for controller in _CONTROLLERS:
            hierarchy = place / controller
            hierarchy.mkdir(parents=True, exist_ok=True)
            if not hierarchy.is_mount():
                try:
                    mounts.mount("cgroup", hierarchy, "cgroup", 0, controller)
                except OSError as error:
                    if error.errno in (errno.ENOENT, errno.EINVAL, errno.EBUSY, errno.ENODEV):
                        return None
                    raise
            # Within the agent's own: whoever limits that limits its containers, too.
            roots[controller] = hierarchy / _own(controller).lstrip("/") / name
            roots[controller].mkdir(parents=True, exist_ok=True)
        return cls(roots, False)

    def make(self, id: str, limits: Limits, pod: Pod | None = None) -> dict[str, Path]:
        """Make a container's cgroups: where each is to be seen in it (below /sys/fs/cgroup). Blocks."""
        places = self._roots
        if pod is not None:
            places = {controller: root / f"{_POD}{pod.uid}" for controller, root in self._roots.items()}
            for place in places.values():
                place.mkdir(exist_ok=True)
            if self._unified:
                _hand_down(places[""])
            self.apply_to_pod(pod)
        for place in places.values():
            (place / id).mkdir(exist_ok=True)
        self.apply(id, limits)
        return {controller: place / id for controller, place in places.items()}

    def apply(self, id: str, limits: Limits) -> None:
        """Let these be the limits from now on. Raises OSError: memory in use can't always be taken back."""
        places = self._places(id)
        if not self._unified:
            _make_room(places["cpu"].parent, limits.quota)
        self._apply(places, limits)

    def apply_to_pod(self, pod: Pod) -> None:
        """The same for a pod, if it has containers; theirs come first."""
        places = self._places(f"{_POD}{pod.uid}")
        if all(each.is_dir() for each in places.values()):
            self._apply(places, pod.limits)

    def _places(self, name: str) -> dict[str, Path]:
        return {controller: _place(root, name) for controller, root in self._roots.items()}

    def _apply(self, places: Mapping[str, Path], limits: Limits) -> None:
        quota = limits.quota
        if self._unified:
            directory = places[""]
            self._refuse_to_starve(directory, limits.memory)
            weight = 1 + (limits.shares - _LEAST_SHARES) * 9999 // (_MOST_SHARES - _LEAST_SHARES)
            (directory / "cpu.weight").write_text(str(weight))
            (directory / "cpu.max").write_text(f"{'max' if quota is None else quota} {_PERIOD}")
            (directory / "memory.max").write_text("max" if limits.memory is None else str(limits.memory))
            return
        cpu, memory = places["cpu"], places["memory"]
        (cpu / "cpu.shares").write_text(str(limits.shares))
        (cpu / "cpu.cfs_period_us").write_text(str(_PERIOD))
        (cpu / "cpu.cfs_quota_us").write_text(str(-1 if quota is None else quota))
        (memory / "memory.limit_in_bytes").write_text(str(-1 if limits.memory is None else limits.memory))

    def _refuse_to_starve(self, directory: Path, most: int | None) -> None:
        """Version 2 would take back what is in use by killing; version 1 says that it is busy."""
        with contextlib.suppress(FileNotFoundError):
            used = int((directory / "memory.current").read_text())
            if most is not None and used > most:
                raise OSError(errno.EBUSY, f"{used} bytes of memory are in use, more than {most}")

    def has(self, id: str) -> bool:
        return bool(self.of(id))

    def of(self, id: str) -> list[Path]:
        """The container's directory in each hierarchy."""
        return [place for place in self._places(id).values() if place.is_dir()]

    def put(self, id: str, pid: int) -> None:
        """Let a process, and all that it will start, be in a container's cgroups."""
        for place in self._places(id).values():
            (place / "cgroup.procs").write_text(str(pid))

    def killed(self, id: str) -> bool:
        """Whether the kernel has killed one of the container's processes for want of memory."""
        name = "memory.events" if self._unified else "memory.oom_control"
        with contextlib.suppress(OSError):
            text = (self._places(id)["" if self._unified else "memory"] / name).read_text()
            found = dict(line.split() for line in text.splitlines() if line.count(" ") == 1)
            return int(found.get("oom_kill", "0")) > 0
        return False

    def remove(self, id: str) -> None:
        """Forget a container whose first process is gone; what else is in there is ended. Blocks."""
        for directory in self.of(id):
            _remove(directory)

    def remove_pod(self, uid: str) -> None:
        """Forget a pod whose containers are gone. Blocks."""
        self.remove(f"{_POD}{uid}")

    def left(self) -> set[str]:
        """The containers that have cgroups. Those of pods without containers go. Blocks."""
        found: set[str] = set()
        for root in self._roots.values():
            for path in filter(Path.is_dir, root.iterdir()):
                if path.name.startswith(_POD):
                    found |= {each.name for each in path.iterdir() if each.is_dir()}
                    with contextlib.suppress(OSError):
                        path.rmdir()
                else:
                    found.add(path.name)
        return found


def _place(root: Path, name: str) -> Path:
    """Where a container's cgroup is: beside others, or below its pod's."""
    found = root / name
    if not name.startswith(_POD) and not found.is_dir():
        found = next(root.glob(f"{_POD}*/{name}"), found)
    return found


def _make_room(pod: Path, quota: int | None) -> None:
    """Version 1 lets nothing have more of a processor than what it is below: that gets as much first."""
    if quota is not None and pod.name.startswith(_POD):
        file = pod / "cpu.cfs_quota_us"
        if 0 < int(file.read_text()) < quota:
            file.write_text(str(quota))


def _hand_down(directory: Path) -> None:
    """Let what is below it in version 2 have limits, too."""
    (directory / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in _CONTROLLERS))


def _remove(directory: Path) -> None:
    for _ in range(_REMOVALS):
        try:
            directory.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            if not _killed(directory):
                time.sleep(_SETTLES)
    _log.warning("cgroup %s can't be removed: something is in it", directory)


def _killed(directory: Path) -> bool:
    """Kill what is in a cgroup: whether that was anything."""
    try:
        pids = [int(line) for line in (directory / "cgroup.procs").read_text().split()]
    except OSError:
        return False
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(pids)
