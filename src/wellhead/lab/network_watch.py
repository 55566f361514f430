"""Hears of changes to the machines' networks, and says whose isn't as the topology has it.

A netlink socket belongs to the network namespace where it was made: the supervisor, which has one thread,
goes there for a moment and comes back. The sockets are in its selector, a callable without arguments each.
"""

from __future__ import annotations

import contextlib
import os
import selectors
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from wellhead.ip import Family
from wellhead.lab.machines import Machine
from wellhead.linux import facts, namespaces, sysctls
from wellhead.linux.facts import Fact, Key, Reader, Value
from wellhead.linux.mirror import Mirror
from wellhead.linux.netlink import Message, Socket
from wellhead.linux.nftables import news
from wellhead.linux.sysctls import News
from wellhead.pace import Pace

T = TypeVar("T")


class _Watched:
    """One machine, whose settings `written` hears of."""

    def __init__(self, machine: Machine, wanted: Mapping[Key, Value], written: News[str]) -> None:
        self.socket = _within(machine, facts.news_socket)
        self.mirror = Mirror()
        self.pace = Pace()
        self._machine = machine
        self._proc = Path(f"/proc/{machine.pid}/root/proc")
        self._written = written
        self._wanted: dict[Key, Value] = {}
        self._reader = Reader()
        self.want(wanted, fresh=True)
        self.list_all()

    def want(self, wanted: Mapping[Key, Value], fresh: bool) -> None:
        """`fresh`: its interfaces are others than before, and so are their settings' files."""
        there = _within(self._machine, lambda: sysctls.served(wanted, self._proc))
        if fresh or there.keys() != self._wanted.keys():
            name = self._machine.name
            _within(self._machine, lambda: self._written.listen(name, there, self._proc))
        self.mirror.forget(self._wanted.keys() - there.keys())
        self._wanted = there
        self.mirror.want(self._wanted)

    def list_all(self) -> None:
        """All facts as of now. What of the news is older than them, newer ones correct."""
        self._reader = Reader()
        self.mirror.replace(
            _within(self._machine, lambda: [*self._reader.everything(), *self._settings(self._wanted)])
        )

    def read(self) -> None:
        doubtful = False

        def heard(message: Message) -> None:
            nonlocal doubtful
            found = self._reader.facts(message)
            # What counts for all interfaces brings changes with it of which nobody tells.
            doubtful |= bool(self.mirror.note(found)) or any(
                key[::2] == ("setting", "all") for key, _ in found
            )

        lost = self.socket.waiting(heard)
        if lost or doubtful:
            self.list_all()

    def look_at(self, keys: Iterable[Key]) -> None:
        """Somebody has written these settings."""
        self.mirror.note(_within(self._machine, lambda: self._settings(keys)))

    def _settings(self, keys: Iterable[Key]) -> list[Fact]:
        return sysctls.read(keys, self._proc)

    def settled(self) -> None:
        """It has just been brought about. News of IPv6 addresses come late."""
        self.mirror.note(self._wanted.items())
        self.read()


class NetworkWatch:
    """The machines that are watched, by name; and the nftables table called `table` on one of them."""

    def __init__(self, selector: selectors.BaseSelector, table: str) -> None:
        self._selector = selector
        self._table = table
        self._watched: dict[str, _Watched] = {}
        self._written: News[str] = News()
        selector.register(self._written, selectors.EVENT_READ, self._look_at_settings)
        self._nft: dict[str, Socket] = {}
        self._ours: deque[int] = deque(maxlen=16)
        self._table_changed, self._table_pace = False, Pace()

    def __contains__(self, name: str) -> bool:
        return name in self._watched

    def attach(self, machine: Machine, wanted: Mapping[Key, Value]) -> None:
        """Watch a machine. Raises OSError, ProcessLookupError when it is off."""
        watched = self._watched[machine.name] = _Watched(machine, wanted, self._written)
        self._selector.register(watched.socket, selectors.EVENT_READ, watched.read)

    def attach_table(self, machine: Machine) -> None:
        """Watch the table on this machine. Raises as `attach`."""
        socket = self._nft[machine.name] = _within(machine, news.news_socket)
        families = tuple(family.number for family in Family)

        def read() -> None:
            found = False

            def heard(message: Message) -> None:
                nonlocal found
                if message.port_id not in self._ours:
                    found |= news.concerns(message, self._table, families)

            if socket.waiting(heard) or found:
                self._table_changed = True

        self._selector.register(socket, selectors.EVENT_READ, read)

    def ours(self, process: int) -> None:
        """What this nft process has changed was for us."""
        self._ours.append(process)

    def _look_at_settings(self) -> None:
        for name, keys in self._written.written().items():
            with contextlib.suppress(OSError):  # it was switched off, of which we will hear
                self._watched[name].look_at(keys)

    def detach(self, name: str) -> None:
        """The machine is off: its network is gone once nobody holds a socket there."""
        self._written.forget(name)
        sockets = [watched.socket] if (watched := self._watched.pop(name, None)) else []
        if table := self._nft.pop(name, None):
            sockets.append(table)
        for socket in sockets:
            self._selector.unregister(socket)
            socket.close()

    def want(self, name: str, wanted: Mapping[Key, Value], fresh: bool) -> None:
        """What a machine's network should be has changed, or its interfaces are others (`fresh`).

        Raises OSError, ProcessLookupError when it is off.
        """
        if watched := self._watched.get(name):
            watched.want(wanted, fresh)

    def settled(self, name: str) -> None:
        """A machine's network has just been put right."""
        if watched := self._watched.get(name):
            watched.settled()

    def take(self, now: float) -> tuple[list[str], bool]:
        """What is to be seen to now: machines whose network isn't as it should be, and whether the table is.

        Those that somebody changes again and again are left out for a while.
        """
        due = [(name, each) for name, each in self._wrong() if each.pace.not_before(now) <= now]
        for _, each in due:
            each.pace.done(now)
        table = self._table_changed and self._table_pace.not_before(now) <= now
        if table:
            self._table_changed = False
            self._table_pace.done(now)
        return [name for name, _ in due], table

    def deadline(self, now: float) -> float:
        """When one that was left out is to be seen to."""
        waiting = [each.pace for _, each in self._wrong()]
        waiting += [self._table_pace] if self._table_changed else []
        return min((each.not_before(now) for each in waiting), default=float("inf"))

    def _wrong(self) -> list[tuple[str, _Watched]]:
        return [(name, each) for name, each in self._watched.items() if each.mirror.wrong]


def _within(machine: Machine, work: Callable[[], T]) -> T:
    network = machine.open_network()
    try:
        with namespaces.inside(f"/proc/self/fd/{network}", namespaces.CLONE_NEWNET):
            return work()
    finally:
        os.close(network)
