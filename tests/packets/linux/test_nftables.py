"""The library against the kernel: what it makes is what is read, and what the fake refuses is refused."""

from __future__ import annotations

import contextlib

import pytest

from tests.packets.proxy.world import Host
from tests.unit.linux.nftables.test_fake import ADDRESSES, PORTS, REFUSED, WAYS, made
from wellhead.ip import Family
from wellhead.linux.netlink import NetlinkError
from wellhead.linux.nftables.content import Content, read, remove
from wellhead.linux.nftables.fake import FakeTable
from wellhead.linux.nftables.messages import messages
from wellhead.linux.nftables.objects import Element, ElementKey, Set, Table, Transaction
from wellhead.linux.nftables.socket import Socket
from wellhead.linux.nftables.types import INET_SERVICE, IPV4_ADDR

pytestmark = pytest.mark.cluster

TABLE = Table(Family.IPV4, "t", (ADDRESSES, WAYS, PORTS, Set("others", (IPV4_ADDR,))))


def after(host: Host, *transactions: Transaction) -> Content:
    """What the kernel holds then."""

    def inside() -> Content:
        with contextlib.closing(Socket()) as socket:
            for each in transactions:
                socket.transact(messages(each, TABLE))
            return read(socket, TABLE)

    return host.inside(inside)


def test_what_was_made_is_what_is_read(host: Host) -> None:
    fake = FakeTable()
    fake.commit(made())
    assert after(host, made()) == fake.content()


def test_a_key_shorter_than_a_word_is_read_as_it_was_made(host: Host) -> None:
    short, port = Set("short", (INET_SERVICE,)), ElementKey("short", INET_SERVICE.pack(80))
    table = Table(Family.IPV4, "t", (short,))

    def inside() -> Content:
        with contextlib.closing(Socket()) as socket:
            change = Transaction(add_table=True, add_sets=[short], add_elements=[Element(port)])
            socket.transact(messages(change, table))
            return read(socket, table)

    assert host.inside(inside).elements == {port: None}


@pytest.mark.parametrize(("number", "change"), REFUSED)
def test_the_kernel_refuses_what_the_fake_refuses(host: Host, number: int, change: Transaction) -> None:
    before = after(host, made())
    with pytest.raises(NetlinkError):
        after(host, change)
    assert after(host) == before


def test_a_table_is_removed_once(host: Host) -> None:
    after(host, made())

    def inside() -> list[bool]:
        with contextlib.closing(Socket()) as socket:
            return [remove(socket, Family.IPV4, "t"), remove(socket, Family.IPV4, "t")]

    assert host.inside(inside) == [True, False]
