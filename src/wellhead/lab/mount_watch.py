"""Hears of changes to the machines' mounts, and says whose own ones aren't as they were made.

A change of any mount is a reason to look at the few that are ours, never to read the list of all.
"""

from __future__ import annotations

import contextlib
import selectors
from collections.abc import Mapping, Sequence
from pathlib import Path

from wellhead.lab import machine_mounts
from wellhead.lab.machine_mounts import Devices
from wellhead.lab.machines import Machine
from wellhead.lab.seclusion import Belongings
from wellhead.linux import mounts
from wellhead.pace import Pace


class _Watched:
    """One machine. `secluded`: it was so once, and has to stay."""

    def __init__(self, machine: Machine, belongings: Sequence[Belongings], secluded: bool) -> None:
        self.news = mounts.News(machine.pid)
        self.pace = Pace()
        self.belongings = belongings
        self.wrong: list[Path] = []
        self._pid = machine.pid
        self.devices: Devices = {}
        self._secluded = secluded
        self.look()
        if not self.wrong:
            self.devices = machine_mounts.devices(self._pid)

    def read(self) -> None:
        self.news.read()
        self.look()

    def look(self) -> None:
        self.wrong = machine_mounts.wrong(self._pid, self.devices)
        secluded = machine_mounts.is_secluded(self._pid, self.belongings)
        if self._secluded and not secluded:
            self.wrong.append(self.belongings[0].root)
        self._secluded |= secluded and bool(self.belongings)

    def settled(self) -> None:
        self.devices = machine_mounts.devices(self._pid)
        self.read()


class MountWatch:
    """The machines that are watched, by name."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._watched: dict[str, _Watched] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._watched

    def attach(self, machine: Machine, belongings: Sequence[Belongings], secluded: bool) -> None:
        """Watch a machine; `secluded`: its components have run before. Raises OSError when it is off."""
        watched = self._watched[machine.name] = _Watched(machine, belongings, secluded)
        self._selector.register(watched.news, selectors.EVENT_READ, watched.read)

    def detach(self, name: str) -> None:
        """The machine is off."""
        if watched := self._watched.pop(name, None):
            self._selector.unregister(watched.news)
            watched.news.close()

    def want(self, name: str, belongings: Sequence[Belongings]) -> None:
        """What a machine's components need has changed."""
        if watched := self._watched.get(name):
            watched.belongings = belongings

    def settled(self, name: str) -> None:
        """A machine's mounts have just been put right."""
        if watched := self._watched.get(name):
            with contextlib.suppress(OSError):  # it was switched off, of which we will hear
                watched.settled()

    def known(self, name: str) -> tuple[Devices, Sequence[Belongings]]:
        """The file systems that were there before, and what the machine's components need."""
        watched = self._watched[name]
        return watched.devices, watched.belongings

    def take(self, now: float) -> Mapping[str, list[Path]]:
        """Which mounts of which machines are to be seen to now.

        Those that somebody changes again and again are left out for a while.
        """
        due = [(name, each) for name, each in self._wrong() if each.pace.not_before(now) <= now]
        for _, each in due:
            each.pace.done(now)
        return {name: each.wrong for name, each in due}

    def deadline(self, now: float) -> float:
        """When one that was left out is to be seen to."""
        return min((each.pace.not_before(now) for _, each in self._wrong()), default=float("inf"))

    def _wrong(self) -> list[tuple[str, _Watched]]:
        return [(name, each) for name, each in self._watched.items() if each.wrong]
