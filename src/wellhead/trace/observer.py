"""Watching one connection in many network namespaces at once, and leaving nothing behind.

In each place: a table of its own, which asks the kernel to trace this connection's packets and belongs to
this process (it is gone with it, also after a kill); the trace's messages; new flows of conntrack; the
frames at every interface; counters of what is thrown away. Everything blocks, and works in threads that join
the places.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from struct import Struct
from typing import Self, TypeVar

from wellhead.linux import namespaces, netlink
from wellhead.linux.libnftables import Nftables
from wellhead.linux.netlink import Message
from wellhead.linux.nft import NftError
from wellhead.linux.nftables import socket as nftables
from wellhead.linux.numbers import HookPriority, Table
from wellhead.trace import messages
from wellhead.trace.places import Place
from wellhead.trace.rules import Listings
from wellhead.trace.sightings import CountSeen, FlowSeen, Lost, PacketSeen, RuleSeen, Sighting
from wellhead.trace.token import Tokens

T = TypeVar("T")

_ETH_P_ALL = 3
_TIME = Struct("@qq")  # struct timespec
_OUTGOING = 4  # PACKET_OUTGOING
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE = 35, 33
_BUFFER = 8 << 20  # bytes that may wait
_SNAP = 2048  # bytes of a frame that are kept
_DROPS = (
    "InNoRoutes", "OutNoRoutes", "InAddrErrors", "OutDiscards", "InDiscards", "InHdrErrors",
    "IPReversePathFilter", "ListenDrops", "ListenOverflows", "TCPReqQFullDrop", "InCsumErrors", "NoPorts",
    "Ip6InNoRoutes", "Ip6OutNoRoutes", "Ip6InAddrErrors", "Ip6InDiscards",
)  # fmt: skip


class CannotWatch(Exception):
    """A place can't be watched; the message says which, and why."""


class Observer:
    """Watches `places` for the packets of tokens from when it is made until it is closed. Blocks.

    Raises:
        CannotWatch: nothing is left behind.
    """

    def __init__(
        self,
        places: Iterable[Place],
        tokens: Tokens,
        tunnel_ports: frozenset[int] = frozenset(),
        *,
        opened_by: Collection[str] = (),
    ) -> None:
        """`opened_by` are addresses of load balancers: what they open, whichever token it has, is watched
        too.
        """
        self._watches: list[_Watch] = []
        self._threads = ThreadPoolExecutor(thread_name_prefix="place")
        try:
            places = tuple(places)
            opening = [
                self._threads.submit(_open, place, tokens, tunnel_ports, opened_by) for place in places
            ]
            for each in opening:
                with contextlib.suppress(CannotWatch):
                    self._watches.append(each.result())
            for place, each in zip(places, opening, strict=True):
                error = each.exception()
                if error is not None and not _is_gone(place, error):
                    raise error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def sightings(self) -> list[Sighting]:
        """What has been seen since the last call."""
        return [sighting for watch in self._watches for sighting in watch.read()]

    def counted(self) -> list[CountSeen]:
        """Which counters of packets that are thrown away have grown, in each place."""
        found: list[CountSeen] = []
        counting = [
            (watch.place, self._threads.submit(inside, watch.place, lambda each=watch: list(each.counted())))
            for watch in self._watches
        ]
        for place, each in counting:
            try:
                found += each.result()
            except CannotWatch as error:
                if not _is_gone(place, error):
                    raise
        return found

    def rules(self, place: str) -> Nftables:
        """nft in that place."""
        return next(watch.nft for watch in self._watches if watch.place.name == place)

    def listings(self, place: str) -> dict[tuple[int, str], Listings]:
        """What is known of the tables in that place, to be added to: nothing once one of them has changed."""
        return next(watch.listings() for watch in self._watches if watch.place.name == place)

    def close(self) -> None:
        """Take tables and sockets away: some milliseconds in each place, which the kernel waits."""
        for closing in [self._threads.submit(watch.close) for watch in self._watches]:
            closing.result()
        self._watches.clear()
        self._threads.shutdown()


def _is_gone(place: Place, error: BaseException) -> bool:
    """Whether this is why a pod can't be watched (any more): it has ended since it was found."""
    return bool(place.pod) and isinstance(error.__cause__, FileNotFoundError)


def inside(place: Place, work: Callable[[], T]) -> T:
    """What `work` answers in a place. Raises CannotWatch: it can't be joined."""

    def joined() -> T:
        try:
            with namespaces.inside(place.path, namespaces.CLONE_NEWNET):
                return work()
        except OSError as error:
            raise CannotWatch(f"{place.name}: {error.strerror or error}") from error

    return namespaces.in_new_thread(joined)


class _Watch:
    def __init__(
        self, place: Place, tokens: Tokens, tunnel_ports: frozenset[int], opened_by: Collection[str]
    ) -> None:
        self.place = place
        self._order = 0
        self._lost: list[str] = []
        self._listings: dict[tuple[int, str], Listings] = {}
        self._listed = 0
        with contextlib.ExitStack() as opened:
            self.nft = opened.enter_context(Nftables())
            self._tables = opened.enter_context(contextlib.closing(nftables.Socket()))
            self._news = opened.enter_context(
                netlink.Socket(netlink.NETFILTER, (messages.NFTRACE_GROUP, messages.CONNTRACK_NEW_GROUP))
            )
            self._frames = opened.enter_context(
                socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
            )
            tokens.attach(self._frames, tunnel_ports, all_tcp=bool(opened_by))
            self._frames.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            self._frames.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
            self._frames.setblocking(False)
            for _ in self._packets():
                pass  # what came before the filter
            self.nft.run(_table(tokens, opened_by))
            self._interfaces = dict(socket.if_nameindex())
            self._counters = _counters()
            self._opened = opened.pop_all()

    def read(self) -> Iterator[Sighting]:
        found: list[Sighting] = []

        def heard(message: Message) -> None:
            seen: RuleSeen | FlowSeen | None = messages.rule_seen(
                self.place.name, self._order, message, self._interfaces
            ) or messages.flow_seen(self.place.name, message)
            if seen is not None:
                self._order += 1
                found.append(seen)

        if self._news.waiting(heard):
            self._lost.append("rules")
        yield from found
        yield from self._packets()
        yield from (Lost(self.place.name, what) for what in self._lost)
        self._lost.clear()

    def _packets(self) -> Iterator[PacketSeen]:
        while True:
            try:
                frame, ancillary, _, address = self._frames.recvmsg(_SNAP, 256)
            except BlockingIOError:
                return
            seconds, nanoseconds = _TIME.unpack(ancillary[0][2]) if ancillary else (0, 0)
            time = seconds * 1_000_000_000 + nanoseconds
            yield PacketSeen(self.place.name, time, address[0], address[2] == _OUTGOING, frame)

    def listings(self) -> dict[tuple[int, str], Listings]:
        if (now := self._tables.generation()) != self._listed:
            self._listings, self._listed = {}, now
        return self._listings

    def counted(self) -> Iterator[CountSeen]:
        for name, now in _counters().items():
            if now > self._counters.get(name, 0):
                yield CountSeen(self.place.name, name, now - self._counters.get(name, 0))

    def close(self) -> None:
        self._opened.close()


def _open(place: Place, tokens: Tokens, tunnel_ports: frozenset[int], opened_by: Collection[str]) -> _Watch:
    try:
        return inside(place, lambda: _Watch(place, tokens, tunnel_ports, opened_by))
    except NftError as error:
        raise CannotWatch(f"{place.name}: {error}") from error


def _table(tokens: Tokens, opened_by: Collection[str]) -> str:
    """Chains before and after all others; those at the end only show the packet as it leaves."""
    first, last = HookPriority.TRACE_FIRST, HookPriority.TRACE_LAST
    opening = [
        f"{'ip6' if ':' in address else 'ip'} {which} {address} tcp flags & (syn | ack) == {flags}"
        for address in opened_by
        for which, flags in (("saddr", "syn"), ("daddr", "(syn | ack)"))
    ]
    rules = "\n".join(f"    {match} meta nftrace set 1" for match in (*tokens.rules(), *opening))
    chains = [
        f"  chain {hook} {{\n    type filter hook {hook} priority {priority};\n{body}\n  }}"
        for hook, priority, body in (
            ("prerouting", first, rules),
            ("output", first, rules),
            ("input", last, ""),
            ("postrouting", last, ""),
        )
    ]
    return f"table inet {Table.TRACE} {{\n  flags owner\n" + "\n".join(chains) + "\n}\n"


def _counters() -> dict[str, int]:
    """Of the calling thread's network namespace."""
    found: dict[str, int] = {}
    for file in ("snmp", "netstat"):
        lines = [line.split() for line in Path(f"/proc/thread-self/net/{file}").read_text().splitlines()]
        for names, values in zip(lines[::2], lines[1::2], strict=False):
            found |= dict(zip(names[1:], map(int, values[1:]), strict=True))
    for line in Path("/proc/thread-self/net/snmp6").read_text().splitlines():
        name, value = line.split()
        found[name] = int(value)
    return {name: found[name] for name in _DROPS if name in found}
