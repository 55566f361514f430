"""Keeps the pods' links as they should be, whoever changes them, and the routes to other nodes.

The kernel's news are held against what is wanted (wellhead.linux.mirror); only what differs is put back. A
link that is gone can't be put back: its other end went with it, so the pod is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from wellhead.health import Check
from wellhead.linux import facts, sysctls
from wellhead.linux.facts import Key, Reader, Value
from wellhead.linux.mirror import Mirror
from wellhead.linux.netlink import Message, Socket
from wellhead.linux.numbers import POD_LINK_PREFIX
from wellhead.linux.rtnetlink import Requests
from wellhead.node.network import links
from wellhead.node.network.links import PodLink
from wellhead.node.network.netlink import Netlink
from wellhead.node.network.restoring import Restoring, Say

_log = logging.getLogger(__name__)

T = TypeVar("T")

_ROUTES = "the routes to other nodes"  # no UID


class PodLinks:
    """The pods' links by UID. `say` is told what had to be put back."""

    def __init__(self, netlink: Netlink, say: Say = _log.warning) -> None:
        self._netlink = netlink
        self._links: dict[str, PodLink] = {}
        self._owners: dict[Key, str] = {}  # the UID whose link a fact is about, or _ROUTES
        self._busy: set[str] = set()  # owners of facts that are being changed
        self._heard: list[dict[Key, Value | None]] = []  # the news since each change that is being made began
        self._gone: set[str] = set()  # those whose link was removed by others
        self._lost: dict[str, Callable[[], None]] = {}
        self._put_routes_back: Callable[[], None] | None = None
        self._mirror = Mirror()
        self._reader = Reader()
        self._news: Socket | None = None
        self._settings: sysctls.Writes | None = None
        self._doubtful = True
        self._restoring = Restoring("links", self._restore, say)

    async def connect(self, link: PodLink, namespace: Path) -> None:
        """Make the link of a pod in the network namespace file. Raises NetlinkError, OSError."""
        self._busy.add(link.uid)
        self._gone.discard(link.uid)
        try:
            self._expect(link)
            await self._change(
                self._netlink.ask(partial(links.connect, link=link, namespace=namespace)), link.facts()
            )
        except BaseException:
            self._forget(link.uid)
            raise
        finally:
            self._busy.discard(link.uid)
        self._listen(link)
        self._look()

    async def disconnect(self, uid: str) -> None:
        """Remove the pod's link, if it has one. Raises NetlinkError."""
        self._forget(uid)
        self._gone.discard(uid)
        self._lost.pop(uid, None)
        await self._netlink.ask(partial(links.disconnect, pod_uid=uid))

    def restore(self, link: PodLink) -> None:
        """Say what a pod that is there already has."""
        self._expect(link)

    def on_loss(self, uid: str, lost: Callable[[], None]) -> None:
        """Call this when somebody has removed the pod's link, or if that has happened already."""
        self._lost[uid] = lost
        if uid in self._gone:
            lost()

    async def set_routes(
        self,
        wanted: Mapping[Key, Value],
        gone: Collection[Key],
        apply: Callable[[Requests], None],
        put_back: Callable[[], None],
    ) -> None:
        """Have `apply` bring about these routes, besides those of before, and remove what is gone.

        `put_back` is called when any is no longer so.
        """
        self._busy.add(_ROUTES)
        try:
            for key in gone:
                self._owners.pop(key, None)
            self._mirror.forget(gone)
            self._owners |= dict.fromkeys(wanted, _ROUTES)
            self._mirror.want(wanted)
            self._put_routes_back = put_back
            await self._change(self._netlink.ask(apply), wanted)
        finally:
            self._busy.discard(_ROUTES)
        self._look()

    def checks(self) -> list[Check]:
        """That the links are in place."""
        return self._restoring.checks()

    async def run(self) -> None:
        """Put back what others change, until cancelled. The links stay."""
        loop = asyncio.get_running_loop()
        with facts.news_socket() as news, contextlib.closing(sysctls.Writes(self._written)) as settings:
            self._news, self._settings = news, settings
            loop.add_reader(news.fileno(), self._read)
            for link in self._links.values():
                self._listen(link)
            try:
                self._restoring.disturbed()  # as it is already, perhaps
                await self._restoring.run()
            finally:
                loop.remove_reader(news.fileno())
                self._news = self._settings = None

    def _expect(self, link: PodLink) -> None:
        self._links[link.uid] = link
        self._owners |= dict.fromkeys(link.facts(), link.uid)
        self._mirror.want(link.facts())

    def _forget(self, uid: str) -> None:
        if self._settings is not None:
            self._settings.forget(uid)
        if link := self._links.pop(uid, None):
            self._mirror.forget(link.facts())
            for key in link.facts():
                self._owners.pop(key, None)

    def _listen(self, link: PodLink) -> None:
        """Hear of writes to the link's settings, of which netlink doesn't tell."""
        if self._settings is not None and (keys := _settings(link)):
            try:
                self._settings.listen(link.uid, keys)
            except OSError as error:
                _log.warning("%s: changed settings are found with other changes only: %s", link.name, error)
            self._mirror.note(sysctls.read(keys))  # as of now: somebody may have been quicker

    def _written(self, key: Key) -> None:
        self._mirror.note(sysctls.read([key]))
        self._look()

    async def _change(self, work: Coroutine[Any, Any, T], facts: Mapping[Key, Value]) -> T:
        """Have `work` bring these facts about; they are taken as so, unless it returns False.

        News of IPv6 addresses come late, of some things none. But what was heard meanwhile may be newer:
        somebody can undo a part before the whole is done.
        """
        heard: dict[Key, Value | None] = {}
        self._heard.append(heard)
        try:
            done = await work
        finally:
            self._heard = [each for each in self._heard if each is not heard]
        if done is not False:
            self._mirror.note((key, value) for key, value in facts.items() if key not in heard)
            self._read()
        return done

    def _read(self) -> None:
        """Take note of the news, and see to it that what they are about is put back."""
        if self._news is None:
            return
        risen = False

        def heard(message: Message) -> None:
            nonlocal risen
            told = list(self._reader.facts(message))
            for each in self._heard:
                each.update(told)
            impaired = self._mirror.note(told)
            # What goes by a pod's own link is put back together with it.
            self._doubtful |= not all(name.startswith(POD_LINK_PREFIX) for name in impaired)
            risen |= any(key[0] == "link" and key[2] == "up" and value for key, value in told)

        lost = self._news.waiting(heard)
        self._doubtful |= lost
        if risen and self._routes_are_wrong and self._put_routes_back is not None:
            self._put_routes_back()  # as could not be done while the interface was down
        self._look()

    def _look(self) -> None:
        if self._doubtful or any(self._owners.get(key) not in self._busy for key in self._mirror.wrong):
            self._restoring.disturbed()

    @property
    def _routes_are_wrong(self) -> bool:
        return any(self._owners.get(key) == _ROUTES for key in self._mirror.wrong)

    async def _restore(self) -> str:
        if self._doubtful:
            await self._list_everything()
        put_back = []
        if _ROUTES not in self._busy and self._routes_are_wrong and self._put_routes_back is not None:
            self._put_routes_back()
            put_back.append(_ROUTES)
        for uid in {self._owners[key] for key in self._mirror.wrong} - {_ROUTES, *self._busy}:
            link = self._links[uid]
            if await self._change(self._netlink.ask(partial(links.mend, link=link)), link.facts()):
                put_back.append(link.name)
            elif self._links.get(uid) is link:
                _log.warning("the link %s is gone, and its pod is told", link.name)
                self._forget(uid)
                self._gone.add(uid)
                if lost := self._lost.get(uid):
                    lost()
        return f"somebody changed {', '.join(sorted(put_back))}: put back" if put_back else ""

    async def _list_everything(self) -> None:
        """Facts as of now. News wait meanwhile: those that are older than the list, newer ones correct."""
        news, self._news = self._news, None
        loop = asyncio.get_running_loop()
        assert news is not None
        loop.remove_reader(news.fileno())
        try:
            self._doubtful = False
            reader = Reader()
            settings = [key for link in self._links.values() for key in _settings(link)]
            everything = await asyncio.to_thread(lambda: [*reader.everything(), *sysctls.read(settings)])
            self._reader = reader
            self._mirror.replace(everything)
        except BaseException:
            self._doubtful = True
            raise
        finally:
            self._news = news
            loop.add_reader(news.fileno(), self._read)
        self._read()


def _settings(link: PodLink) -> list[Key]:
    return [key for key in link.facts() if key[0] == "sysctl"]
