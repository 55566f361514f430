"""Pods' links are put back, also when somebody is quicker than we are."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from ipaddress import ip_interface
from typing import Any

import pytest

from tests.patience import reached
from wellhead.linux.facts import Fact, Key
from wellhead.node.network import pod_links
from wellhead.node.network.links import PodLink
from wellhead.node.network.pod_links import PodLinks

LINK = PodLink("uid", (ip_interface("10.244.1.2/24"),))
ADDRESS = ("address", LINK.name, "10.244.1.1/32")


class Kernel:
    """What is so, and the news of it: each message is the facts that it tells."""

    def __init__(self) -> None:
        self.facts = LINK.facts()
        self.waits, self.rings = os.pipe()
        self.mends = 0
        self.listed = False
        self.news: list[list[Fact]] = []

    def lose(self, fact: Key) -> None:
        self.facts.pop(fact)
        self.tell([(fact, None)])

    def mend(self) -> bool:
        self.mends += 1
        missing = {key: value for key, value in LINK.facts().items() if self.facts.get(key) != value}
        self.facts |= missing
        self.tell(list(missing.items()))
        return True

    def fileno(self) -> int:
        return self.waits

    def waiting(self, heard: Callable[[Any], None]) -> bool:
        if self.news:
            os.read(self.waits, len(self.news))
        for message in self.news:
            heard(message)
        self.news = []
        return False

    def tell(self, message: list[Fact]) -> None:
        self.news.append(message)
        os.write(self.rings, b"!")


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    made = Kernel()

    class Reader:
        def facts(self, message: list[Fact]) -> list[Fact]:
            return message

        def everything(self) -> list[Fact]:
            made.listed = True
            return list(made.facts.items())

    monkeypatch.setattr(pod_links, "Reader", Reader)
    monkeypatch.setattr("wellhead.linux.facts.news_socket", lambda: nullcontext(made))
    monkeypatch.setattr("wellhead.node.network.links.mend", lambda node, link: made.mend())
    yield made
    os.close(made.waits)
    os.close(made.rings)


async def test_what_is_undone_while_it_is_put_back_is_put_back_again(kernel: Kernel) -> None:
    class Netlink:
        async def ask(self, work: Callable[[Any], Any]) -> Any:
            done = work(None)
            if kernel.mends == 1:
                await heard()
                kernel.lose(ADDRESS)
                await heard()
            return done

    async def heard() -> None:
        await reached(lambda: not kernel.news)

    said: list[str] = []
    kept = PodLinks(Netlink(), said.append)  # type: ignore[arg-type]
    kept.restore(LINK)
    task = asyncio.create_task(kept.run())
    await reached(lambda: kernel.listed)
    kernel.lose(ADDRESS)
    await reached(lambda: len(said) == 2)
    assert kernel.facts == LINK.facts()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_the_kernel_drops_in_silence_is_looked_for(kernel: Kernel) -> None:
    class Netlink:
        async def ask(self, work: Callable[[Any], Any]) -> Any:
            return work(None)

    said: list[str] = []
    kept = PodLinks(Netlink(), said.append)  # type: ignore[arg-type]
    kept.restore(LINK)
    task = asyncio.create_task(kept.run())
    await reached(lambda: kernel.listed)
    # An interface has lost an address, and routes may be gone with it of which nothing is told.
    kernel.facts.pop(ADDRESS)
    kernel.tell([(("address", "eth0", "10.240.0.11/24"), None)])
    await reached(lambda: len(said) == 1)
    assert kernel.facts == LINK.facts()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
