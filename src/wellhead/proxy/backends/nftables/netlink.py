"""nfnetlink, as far as nftables needs it: attributes, atomic batches, dumps, and what went wrong with them.

The `nft` program is not used. It starts in 4 ms and reads 10,000 elements' text in 300 ms, about three
times what this takes; version 1.0.6 also miscompiles a dynamic map of IPv6 clients. pyroute2's encoder is
generic: it builds objects where this joins bytes, which shows with hundreds of thousands of elements.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from struct import Struct
from typing import NamedTuple

NETLINK_NETFILTER = 12
NFNL_SUBSYS_NFTABLES = 10
NFNLGRP_NFTABLES = 7
_NFNL_MSG_BATCH_BEGIN = 16
_NFNL_MSG_BATCH_END = 17

_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_NLM_F_REQUEST = 0x1
_NLM_F_DUMP_INTR = 0x10
_NLM_F_DUMP = 0x300
_NLM_F_ACK_TLVS = 0x200

_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
_NETLINK_DROP_MEMBERSHIP = 2
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_NLMSGERR_ATTR_MSG = 1
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33

NESTED = 0x8000
_TYPE = 0x3FFF

HEADER = Struct("=IHHII")
"""A netlink message's header: length, type, flags, sequence number, port id of the sender."""
_GENERIC = Struct("!BBH")
_ATTRIBUTE = Struct("=HH")
_ERROR = Struct("=i")
_RECEIVE = 1 << 20


class NetlinkError(OSError):
    """The kernel refused a request. `index` is the refused message's place in its batch."""

    def __init__(self, number: int, said: str, index: int = 0) -> None:
        super().__init__(number, f"{os.strerror(number)}: {said}" if said else os.strerror(number))
        self.index = index


class Message(NamedTuple):
    """A message to nftables, without its header: what `linux/netfilter/nf_tables.h` calls NFT_MSG_…"""

    type: int
    flags: int
    family: int
    payload: bytes


class Batch(NamedTuple):
    """A transaction as the kernel takes it."""

    first: int
    """The sequence number of its first message."""
    encoded: bytes


class Reply(NamedTuple):
    """A message from nftables."""

    type: int
    family: int
    port_id: int
    """Of the socket whose request caused the message; only in notifications."""
    payload: memoryview


def attribute(type: int, payload: bytes) -> bytes:
    """A netlink attribute, padded to whole words."""
    length = len(payload)
    return _ATTRIBUTE.pack(4 + length, type) + payload + bytes(-length % 4)


def nested(type: int, *attributes: bytes) -> bytes:
    """An attribute that holds others."""
    return attribute(type | NESTED, b"".join(attributes))


def text(type: int, value: str) -> bytes:
    return attribute(type, value.encode() + b"\0")


def u32(type: int, value: int) -> bytes:
    """A number in network byte order, as nftables wants them."""
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


class Socket:
    """A netlink socket in the network namespace of the thread that makes it. Calls block."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE)
        self.port_id: int = self._socket.getsockname()[0]
        self._room = 0
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def transact(self, messages: Iterable[Message]) -> None:
        """Put `messages` in force, all of them at once or none.

        The kernel has done it when this returns: it works within the sending call, and a refusal waits to be
        read after it.

        Raises:
            NetlinkError: what was refused first.
        """
        self.commit(self.batch(messages))

    def batch(self, messages: Iterable[Message]) -> Batch:
        """Encode a transaction. One thread may do so while another commits the one before."""
        self._sequence += 1
        first = self._sequence
        parts = [_message(_NFNL_MSG_BATCH_BEGIN, _NLM_F_REQUEST, first, 0, b"", NFNL_SUBSYS_NFTABLES)]
        for each in messages:
            self._sequence += 1
            kind = NFNL_SUBSYS_NFTABLES << 8 | each.type
            parts.append(
                _message(kind, _NLM_F_REQUEST | each.flags, self._sequence, each.family, each.payload)
            )
        self._sequence += 1
        parts.append(
            _message(_NFNL_MSG_BATCH_END, _NLM_F_REQUEST, self._sequence, 0, b"", NFNL_SUBSYS_NFTABLES)
        )
        return Batch(first, b"".join(parts))

    def commit(self, batch: Batch) -> None:
        """As `transact`, with a transaction that is encoded already."""
        size = len(batch.encoded)
        if size > self._room:  # the whole batch has to be one datagram
            self._room = size * 2 + 65536
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, self._room)
        self._socket.send(batch.encoded)
        self._raise_refusal(batch.first)

    def _raise_refusal(self, first: int) -> None:
        refusal: NetlinkError | None = None
        while True:
            try:
                data = self._socket.recv(_RECEIVE, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                refusal = refusal or NetlinkError(errno.ENOBUFS, "too many errors to tell")
                continue
            for kind, flags, sequence, _, body in _split(memoryview(data)):
                if kind == _NLMSG_ERROR and sequence >= first and refusal is None:
                    (number,) = _ERROR.unpack_from(body)
                    if number:
                        refusal = NetlinkError(-number, _said(flags, body), sequence - first - 1)
        if refusal is not None:
            raise refusal

    def dump(self, type: int, family: int, payload: bytes = b"") -> list[Reply]:
        """Every object of one kind.

        Raises:
            NetlinkError: no such table or set, say.
        """
        while True:
            found, consistent = self._dump(type, family, payload)
            if consistent:
                return found

    def _dump(self, type: int, family: int, payload: bytes) -> tuple[list[Reply], bool]:
        self._sequence += 1
        kind = NFNL_SUBSYS_NFTABLES << 8 | type
        self._socket.send(_message(kind, _NLM_F_REQUEST | _NLM_F_DUMP, self._sequence, family, payload))
        found: list[Reply] = []
        consistent = True
        while True:
            data = memoryview(self._socket.recv(_RECEIVE))
            for kind, flags, sequence, port_id, body in _split(data):
                if sequence != self._sequence:
                    continue
                consistent = consistent and not flags & _NLM_F_DUMP_INTR
                if kind == _NLMSG_DONE:
                    return found, consistent
                if kind == _NLMSG_ERROR:
                    (number,) = _ERROR.unpack_from(body)
                    raise NetlinkError(-number, _said(flags, body))
                found.append(Reply(kind & 0xFF, body[0], port_id, body[4:]))

    def get(self, type: int, family: int = 0, payload: bytes = b"") -> Reply:
        """One object.

        Raises:
            NetlinkError: there is none.
        """
        self._sequence += 1
        kind = NFNL_SUBSYS_NFTABLES << 8 | type
        self._socket.send(_message(kind, _NLM_F_REQUEST, self._sequence, family, payload))
        while True:
            for kind, flags, sequence, port_id, body in _split(memoryview(self._socket.recv(_RECEIVE))):
                if sequence != self._sequence:
                    continue
                if kind == _NLMSG_ERROR:
                    (number,) = _ERROR.unpack_from(body)
                    raise NetlinkError(-number, _said(flags, body))
                return Reply(kind & 0xFF, body[0], port_id, body[4:])

    def subscribe(self, on: bool = True) -> None:
        """Receive a notification of every change to nftables in this namespace, or no longer."""
        option = _NETLINK_ADD_MEMBERSHIP if on else _NETLINK_DROP_MEMBERSHIP
        self._socket.setsockopt(_SOL_NETLINK, option, NFNLGRP_NFTABLES)

    def notifications(self, note: Callable[[Reply], None]) -> bool:
        """Pass on what has arrived, without waiting. Returns whether something may have been missed."""
        missed = False
        while True:
            try:
                data = self._socket.recv(_RECEIVE, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return missed
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                missed = True
                continue
            for kind, _, _, port_id, body in _split(memoryview(data)):
                if kind >> 8 == NFNL_SUBSYS_NFTABLES:
                    note(Reply(kind & 0xFF, body[0], port_id, body[4:]))


def _message(type: int, flags: int, sequence: int, family: int, payload: bytes, resource: int = 0) -> bytes:
    length = HEADER.size + _GENERIC.size + len(payload)
    header = HEADER.pack(length, type, flags, sequence, 0) + _GENERIC.pack(family, 0, resource)
    return header + payload + bytes(-length % 4)


def _split(data: memoryview) -> Iterator[tuple[int, int, int, int, memoryview]]:
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, flags, sequence, port_id = HEADER.unpack_from(data, offset)
        yield kind, flags, sequence, port_id, data[offset + HEADER.size : offset + length]
        offset += (length + 3) & ~3


def _said(flags: int, body: memoryview) -> str:
    """The kernel's own words, where it has any (extended acknowledgement)."""
    if not flags & _NLM_F_ACK_TLVS:
        return ""
    said = parse(body[4 + HEADER.size :]).get(_NLMSGERR_ATTR_MSG)
    return string(said) if said is not None else ""
