"""Answers for VIPs on the nodes' network, for as long as this process leads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Callable, Collection

from wellhead.client.backoff import Backoff
from wellhead.cloud.announce.packets import answer, unasked
from wellhead.cloud.announce.sockets import Link
from wellhead.cloud.forwarder.disturbances import messages, subscribed
from wellhead.cloud.forwarder.netns import NetnsThread
from wellhead.cloud.vips import IPAddress

_log = logging.getLogger(__name__)

_REPEATS = 5  # an announcement may be lost; a second apart
_INTERVAL_SECONDS = 1.0
_NETLINK_ROUTE, _LINK_GROUP, _RTM_NEWLINK = 0, 1, 16
_INTERFACE = struct.Struct("=BxHiII")
_IFF_LOWER_UP = 1 << 16


class Announcer:
    """Announces VIPs at some interfaces of the network namespace at `netns` (None: this process's own).

    `may` is asked before every frame: a process that has slept through the end of its term must say nothing.
    """

    def __init__(
        self, interfaces: Collection[str], netns: str | None, may: Callable[[], bool] = lambda: True
    ) -> None:
        self._interfaces = tuple(interfaces)
        self._netns = netns
        self._may = may
        self._vips: dict[int, frozenset[IPAddress]] = {}
        self._due: dict[IPAddress, int] = {}  # how often each is still to be announced unasked
        self._wake = asyncio.Event()
        self._up: dict[int, bool] = {}
        self._broken: OSError | None = None

    @property
    def vips(self) -> frozenset[IPAddress]:
        """What is announced."""
        return frozenset().union(*self._vips.values())

    def announce(self, version: int, vips: frozenset[IPAddress]) -> None:
        """Announce these, and no others, of IP `version`."""
        self._due |= dict.fromkeys(vips - self._vips.get(version, frozenset()), _REPEATS)
        self._vips[version] = vips
        self._wake.set()

    async def run(self) -> None:
        """Announce until cancelled; an interface that isn't there is waited for.

        Raises:
            OSError: the network namespace can't be joined.
        """
        thread = NetnsThread(self._netns)
        backoff = Backoff(0.2, 5.0)
        try:
            while True:
                try:
                    await self._announce(thread)
                except OSError as error:
                    delay = backoff.next()
                    names = ", ".join(self._interfaces)
                    _log.error("VIPs can't be announced at %s, again in %.1f s: %s", names, delay, error)
                    await asyncio.sleep(delay)
        finally:
            thread.close()

    async def _announce(self, thread: NetnsThread) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as stack:
            links = []
            for name in self._interfaces:
                link = await thread.call(Link, name)
                stack.callback(link.close)
                links.append(link)
                for sock in (link.arp, link.ndp):
                    loop.add_reader(sock, self._guarded, self._answer, link, sock)
                    stack.callback(loop.remove_reader, sock)
            notices = await thread.call(subscribed, _NETLINK_ROUTE, (_LINK_GROUP,))
            stack.callback(notices.close)
            loop.add_reader(notices, self._note_links, notices, links)
            stack.callback(loop.remove_reader, notices)
            self._broken = None
            self._due = dict.fromkeys(self.vips, _REPEATS)
            self._wake.set()
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_INTERVAL_SECONDS if self._due else None):
                        await self._wake.wait()
                self._wake.clear()
                if self._broken is not None:
                    raise self._broken
                vips = self.vips
                self._due = {vip: left for vip, left in self._due.items() if vip in vips}
                for link in links:
                    link.listen_for(vips)
                    mac = link.mac
                    for vip in self._due:
                        for frame in unasked(vip, mac):
                            if self._may():
                                link.send(frame)
                self._due = {vip: left - 1 for vip, left in self._due.items() if left > 1}

    def _answer(self, link: Link, sock: socket.socket) -> None:
        for asked in link.questions(sock):
            if asked.wanted in self._vips.get(asked.wanted.version, ()) and self._may():
                link.send(answer(asked, link.mac))

    def _guarded(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            function(*arguments)
        except OSError as error:
            self._broken = error
            self._wake.set()

    def _note_links(self, notices: socket.socket, links: Collection[Link]) -> None:
        """A link that comes up may lead to others than before: announce everything again."""
        indices = {link.index for link in links}
        for kind, body in messages(notices):
            if kind != _RTM_NEWLINK or len(body) < _INTERFACE.size:
                continue
            _, _, index, flags, _ = _INTERFACE.unpack_from(body)
            up = bool(flags & _IFF_LOWER_UP)
            if index in indices and up and self._up.get(index) is False:
                self._due = dict.fromkeys(self.vips, _REPEATS)
                self._wake.set()
            self._up[index] = up
