"""The kernel's news, and what becomes of those that there is no room for."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.packets.proxy.world import Host
from wellhead.linux import netlink, nft
from wellhead.linux.netlink import Message, News, RouteGroup, RouteNews, Socket
from wellhead.linux.nftables import news

pytestmark = pytest.mark.cluster


def test_news_are_heard_in_their_order(host: Host) -> None:
    def work() -> list[int]:
        heard: list[Message] = []
        with Socket(netlink.ROUTE, (RouteGroup.IPV4_RULE,)) as socket:
            os.system("ip rule add pref 99 lookup 99; ip rule del pref 99")
            assert not socket.waiting(heard.append)
        return [each.kind for each in heard]

    assert host.inside(work) == [RouteNews.NEW_RULE, RouteNews.DEL_RULE]


def elements(first: int, count: int) -> str:
    found = ", ".join(str(each) for each in range(first, first + count))
    return f"add element ip t s {{ {found} }}\n"


def test_more_news_than_there_is_room_for_are_told_as_lost_once(host: Host) -> None:
    async def work() -> tuple[int, int]:
        heard: list[Message] = []
        lost: list[bool] = []
        nft.run("add table ip t\nadd set ip t s { type mark; }\n")
        listening = News(news.news_socket(), heard.append, lambda: lost.append(True))
        for each in range(10):
            nft.run(elements(each * 20_000, 20_000))
        listening.read()
        before = len(lost)
        nft.run("delete table ip t\n")  # it goes on hearing
        heard.clear()
        listening.read()
        listening.close()
        return before, len(heard)

    lost, afterwards = host.await_(work())
    assert lost == 1
    assert afterwards > 0


def test_what_is_ignored_takes_no_room(host: Host) -> None:
    async def work() -> tuple[list[str], list[str]]:
        called: list[str] = []
        nft.run("add table ip t\nadd set ip t s { type mark; }\n")
        socket = news.news_socket()
        watching = news.watch("t", (2,), lambda: called.append("changed"), socket)
        for each in range(20):
            nft.run(elements(each * 3000, 3000), started=lambda pid: socket.ignore((1, pid)))
        watching.read()
        ours = list(called)
        nft.run("add chain ip t c\n")
        watching.read()
        watching.close()
        return ours, called

    ours, theirs = host.await_(work())
    assert ours == []
    assert "changed" in theirs


@pytest.mark.parametrize(
    ("change", "concerned"),
    [
        ("add chain ip t c", True),
        ("delete table ip t", True),
        ("add element ip t s { 1 }", True),
        ("add chain ip6 t c", False),
        ("add table ip others", False),
        ("add table ip t2", False),
    ],
)
def test_changes_to_a_table_are_told_from_others(host: Host, change: str, concerned: bool) -> None:
    async def work() -> list[str]:
        called: list[str] = []
        nft.run("add table ip6 t\nadd table ip t\nadd set ip t s { type mark; }\n")
        watching = news.watch("t", (2,), lambda: called.append("changed"))
        nft.run(change)
        watching.read()
        watching.close()
        return called

    assert bool(host.await_(work())) == concerned


async def test_closing_ends_the_listening(host: Host) -> None:
    socket = host.inside(lambda: Socket(netlink.ROUTE, (RouteGroup.LINK,)))
    reads = socket.fileno()
    News(socket, lambda _: None, lambda: None).close()
    assert not asyncio.get_running_loop().remove_reader(reads)
    assert socket.fileno() == -1
