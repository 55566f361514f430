"""The kernel's news of changes to nftables tables."""

from __future__ import annotations

from collections.abc import Callable, Collection

from wellhead.linux.netlink import NETFILTER, Message, News, Socket, parse_list, string
from wellhead.linux.nftables import attributes as nfta

SUBSYSTEM = 10
"""What NETLINK_NETFILTER calls nftables (NFNL_SUBSYS_NFTABLES): the upper byte of a message's kind."""
NFPROTO_INET = 1
"""The family of tables that see both IPv4 and IPv6; theirs are `Family.number`."""
_GROUP = 7


def news_socket() -> Socket:
    """A socket that hears of every change to nftables in the calling thread's network namespace."""
    return Socket(NETFILTER, (_GROUP,))


def listen(socket: Socket, on: bool) -> None:
    """Have such a socket hear the news, or not for a while."""
    socket.subscribe(_GROUP, on)


def concerns(message: Message, table: str, families: Collection[int]) -> bool:
    """Whether a message is about a table of this name, in one of these families (NFPROTO_…)."""
    if message.kind >> 8 != SUBSYSTEM or message.kind & 0xFF == nfta.Message.NEW_GENERATION:
        return False
    if message.body[0] not in families:
        return False
    kind, value = next(parse_list(message.body[4:]), (0, memoryview(b"")))
    return kind == nfta.Table.NAME and string(value) == table


def watch(
    table: str, families: Collection[int], changed: Callable[[], None], socket: Socket | None = None
) -> News:
    """Call back, on the running loop, after changes to a table, and when some may have been missed.

    They may be the caller's own: see `Socket.ignore`. `socket` is one of `news_socket`.
    """

    def heard(message: Message) -> None:
        if concerns(message, table, families):
            changed()

    return News(socket or news_socket(), heard, changed)
