"""Netlink: a socket, the attributes that messages are made of, and the kernel's news.

pyroute2 makes links, where that is seldom; its encoder is generic, and builds objects where this joins bytes.
Here is what it is too slow for (nftables' elements, by the hundred thousand; routes, with every node) or too
heavy (news, of which mostly nothing but the kind matters).

Sources: netlink(7), rtnetlink(7), linux/netlink.h, linux/rtnetlink.h.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import enum
import errno
import os
import socket
from collections.abc import Callable, Collection, Iterable, Iterator
from struct import Struct
from typing import NamedTuple, Self

ROUTE = 0
NETFILTER = 12
"""The protocols that are spoken here (NETLINK_…)."""

NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x1
NLM_F_DUMP_INTR = 0x10
NLM_F_DUMP = 0x300
_NLM_F_ACK_TLVS = 0x200
_NLMSGERR_ATTR_MSG = 1

_SOL_NETLINK = 270
_ADD_MEMBERSHIP, _DROP_MEMBERSHIP, _CAP_ACK, _EXT_ACK, _STRICT = 1, 2, 10, 11, 12
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE, _SO_ATTACH_FILTER = 32, 33, 26

NESTED = 0x8000
_TYPE = 0x3FFF

HEADER = Struct("=IHHII")
"""A message's header: length, kind, flags, sequence number, port id of the sender."""
_ATTRIBUTE = Struct("=HH")
_ERROR = Struct("=i")
_RECEIVE = 1 << 20
_WAITING = 4 << 20  # bytes of news that may wait to be read


class RouteGroup(enum.IntEnum):
    """What NETLINK_ROUTE tells of (RTNLGRP_…)."""

    LINK = 1
    NEIGH = 3
    IPV4_ADDRESS = 5
    IPV4_ROUTE = 7
    IPV4_RULE = 8
    IPV6_ADDRESS = 9
    IPV6_ROUTE = 11
    IPV6_RULE = 19
    IPV4_SETTINGS = 24
    """Some of /proc/sys/net/ipv4/conf: forwarding, rp_filter (RTNLGRP_IPV4_NETCONF)."""
    IPV6_SETTINGS = 25


class RouteNews(enum.IntEnum):
    """Kinds of messages of NETLINK_ROUTE (RTM_…). The body of most begins with the family, of a byte."""

    NEW_LINK = 16
    DEL_LINK = 17
    NEW_ADDRESS = 20
    DEL_ADDRESS = 21
    NEW_ROUTE = 24
    DEL_ROUTE = 25
    NEW_NEIGH = 28
    DEL_NEIGH = 29
    NEW_RULE = 32
    DEL_RULE = 33
    NEW_SETTINGS = 80


class NetlinkError(OSError):
    """The kernel refused a request. `index` is the refused message's place in its batch."""

    def __init__(self, number: int, said: str, index: int = 0) -> None:
        super().__init__(number, f"{os.strerror(number)}: {said}" if said else os.strerror(number))
        self.index = index


class Message(NamedTuple):
    """A message from the kernel."""

    kind: int
    flags: int
    sequence: int
    port_id: int
    """Of the socket whose request it answers or, in news, whose request caused it."""
    body: memoryview


# ---- attributes


def attribute(type: int, payload: bytes) -> bytes:
    """An attribute, padded to whole words."""
    length = len(payload)
    return _ATTRIBUTE.pack(4 + length, type) + payload + bytes(-length % 4)


def nested(type: int, *attributes: bytes) -> bytes:
    """An attribute that holds others."""
    return attribute(type | NESTED, b"".join(attributes))


def text(type: int, value: str) -> bytes:
    return attribute(type, value.encode() + b"\0")


def u32(type: int, value: int) -> bytes:
    """A number in network byte order, as netfilter wants them."""
    return attribute(type, (value & 0xFFFFFFFF).to_bytes(4, "big"))


def u64(type: int, value: int) -> bytes:
    return attribute(type, value.to_bytes(8, "big"))


def parse(data: memoryview) -> dict[int, memoryview]:
    """The attributes in `data` by type. Of repeated ones the last counts; see `parse_list`."""
    return dict(parse_list(data))


def parse_list(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The attributes in `data`, in their order."""
    offset, end = 0, len(data)
    while offset + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            return
        yield kind & _TYPE, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def string(data: memoryview) -> str:
    return bytes(data).rstrip(b"\0").decode()


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """A request, padded to whole words."""
    length = HEADER.size + len(body)
    return HEADER.pack(length, kind, flags, sequence, 0) + body + bytes(-length % 4)


def split(data: memoryview) -> Iterator[Message]:
    """The messages of one datagram."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, flags, sequence, port_id = HEADER.unpack_from(data, offset)
        yield Message(kind, flags, sequence, port_id, data[offset + HEADER.size : offset + length])
        offset += (max(length, HEADER.size) + 3) & ~3


def refusal(found: Message, index: int = 0) -> NetlinkError | None:
    """What an NLMSG_ERROR says, with the kernel's own words where it has any; None: it is only an answer."""
    (number,) = _ERROR.unpack_from(found.body)
    if not number:
        return None
    said = None
    if found.flags & _NLM_F_ACK_TLVS:
        said = parse(found.body[4 + HEADER.size :]).get(_NLMSGERR_ATTR_MSG)
    return NetlinkError(-number, string(said) if said is not None else "", index)


class Socket:
    """A netlink socket in the network namespace of the thread that makes it, which hears of `groups`.

    Raises:
        OSError: the kernel doesn't speak this protocol.
    """

    def __init__(self, protocol: int, groups: Iterable[int] = ()) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self._room = 0
        try:
            self._socket.bind((0, 0))
            self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
            self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _WAITING)
            for group in groups:
                self.subscribe(group)
        except BaseException:
            self._socket.close()
            raise
        self.port_id: int = self._socket.getsockname()[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, data: bytes) -> None:
        """Send one datagram, however large. What the kernel does for it, it does within this call."""
        if len(data) > self._room:
            self._room = len(data) * 2 + 65536
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, self._room)
        self._socket.send(data)

    def receive(self) -> Iterator[Message]:
        """The messages of the next datagram. Waits for it."""
        return split(memoryview(self._socket.recv(_RECEIVE)))

    def dump(self, kind: int, body: bytes) -> Iterator[Message]:
        """All objects that a request is about.

        Raises:
            NetlinkError: it is refused.
        """
        self.send(message(kind, NLM_F_REQUEST | NLM_F_DUMP, 0, body))
        while True:
            for each in self.receive():
                if each.kind == NLMSG_ERROR and (error := refusal(each)) is not None:
                    raise error
                if each.kind in (NLMSG_ERROR, NLMSG_DONE):
                    return
                yield each

    def waiting(self, heard: Callable[[Message], None]) -> bool:
        """Pass on what has arrived, without waiting for more. Returns whether messages were lost.

        That is the one way in which the kernel may fail to tell: more came than there was room for
        (ENOBUFS). Whoever hears of it has to look at everything again.
        """
        lost = False
        while True:
            try:
                data = self._socket.recv(_RECEIVE, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return lost
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True
                continue
            for each in split(memoryview(data)):
                heard(each)

    def be_strict(self) -> None:
        """Have requests checked, and lists hold what their headers ask for alone, where the kernel can."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(_SOL_NETLINK, _STRICT, 1)

    def subscribe(self, group: int, on: bool = True) -> None:
        """Hear the news of a group, or no longer."""
        self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP if on else _DROP_MEMBERSHIP, group)

    def ignore(self, senders: Collection[int]) -> None:
        """From now on hear no news of what these, by their port ids, have caused.

        The kernel drops it before it takes room: a large change of our own can't make us miss others'.
        """
        program = _INSTRUCTION.pack(_LOAD_WORD, 0, 0, _PORT_ID_OFFSET)
        for index, sender in enumerate(senders):
            # A filter's words are in network order, netlink's numbers in the machine's.
            number = int.from_bytes(_WORD.pack(sender), "big")
            program += _INSTRUCTION.pack(_JUMP_IF_EQUAL, len(senders) - index, 0, number)
        program += _INSTRUCTION.pack(_RETURN, 0, 0, 0xFFFFFFFF) + _INSTRUCTION.pack(_RETURN, 0, 0, 0)
        memory = ctypes.create_string_buffer(program, len(program))
        described = _PROGRAM.pack(len(program) // _INSTRUCTION.size, ctypes.addressof(memory))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)


_WORD = Struct("=I")
_INSTRUCTION = Struct("=HBBI")  # struct sock_filter (linux/filter.h): code, jump if true, if false, k
_PROGRAM = Struct("@HP")  # struct sock_fprog: the number of instructions, and where they are
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_PORT_ID_OFFSET = 12


class News:
    """Calls back, on the running loop, for each message that arrives at `socket`, and when some were lost.

    The socket may have been made in another network namespace. It is this one's to close.
    """

    def __init__(self, socket: Socket, heard: Callable[[Message], None], lost: Callable[[], None]) -> None:
        self._socket = socket
        self._heard = heard
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(socket.fileno(), self.read)

    def read(self) -> None:
        """Don't wait for the loop to find that something has arrived."""
        if self._socket.waiting(self._heard):
            self._lost()

    def close(self) -> None:
        """Stop listening."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
