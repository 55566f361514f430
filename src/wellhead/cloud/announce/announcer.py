"""Answers for VIPs on the nodes' network, for as long as this process leads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Callable, Collection

from wellhead.backoff import Backoff
from wellhead.cloud.announce.packets import answer, unasked
from wellhead.cloud.announce.sockets import Link
from wellhead.health import Check, Overdue
from wellhead.ip import IPAddress
from wellhead.linux.netlink import ROUTE, Message, News, RouteGroup, RouteNews, Socket
from wellhead.linux.netns import NetnsThread
from wellhead.waiting import comes

_log = logging.getLogger(__name__)

_SILENT_SECONDS = 30.0
_REPEATS = 5  # an announcement may be lost; a second apart
_INTERVAL_SECONDS = 1.0
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
        self._silent = Overdue(f"VIPs can't be announced at {', '.join(self._interfaces)}", _SILENT_SECONDS)

    @property
    def vips(self) -> frozenset[IPAddress]:
        """What is announced."""
        return frozenset().union(*self._vips.values())

    def announce(self, version: int, vips: frozenset[IPAddress]) -> None:
        """Announce these, and no others, of IP `version`."""
        self._due |= dict.fromkeys(vips - self._vips.get(version, frozenset()), _REPEATS)
        self._vips[version] = vips
        self._wake.set()

    def check(self) -> Check:
        """That VIPs can be announced."""
        return Check("announcing", self._silent.problem)

    async def run(self) -> None:
        """Announce until cancelled; an interface that isn't there is waited for.

        Raises:
            OSError: the network namespace can't be joined.
        """
        thread = NetnsThread(self._netns)
        now = asyncio.get_running_loop().time
        backoff = Backoff(0.2, 5.0)
        self._silent.begin(now())
        try:
            while True:
                began = now()
                try:
                    await self._announce(thread)
                except OSError as error:
                    self._silent.begin(now(), str(error))
                    delay = backoff.next(worked=now() - began)
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
            indices = {link.index for link in links}
            notices = await thread.call(Socket, ROUTE, (RouteGroup.LINK,))
            news = News(notices, lambda message: self._note_link(message, indices), self._announce_all)
            stack.callback(news.close)
            self._broken = None
            self._silent.end()
            self._announce_all()
            while True:
                await comes(self._wake, _INTERVAL_SECONDS if self._due else None)
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

    def _announce_all(self) -> None:
        self._due = dict.fromkeys(self.vips, _REPEATS)
        self._wake.set()

    def _note_link(self, message: Message, indices: Collection[int]) -> None:
        """A link that comes up may lead to others than before: announce everything again."""
        if message.kind != RouteNews.NEW_LINK or len(message.body) < _INTERFACE.size:
            return
        _, _, index, flags, _ = _INTERFACE.unpack_from(message.body)
        up = bool(flags & _IFF_LOWER_UP)
        if index in indices and up and self._up.get(index) is False:
            self._announce_all()
        self._up[index] = up
