"""The packet sockets of one interface, with filters, so that this process sees nothing but questions.

To be made in the network namespace of the interface.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import socket
import struct
from collections.abc import Collection, Iterator
from ipaddress import IPv6Address

from wellhead.cloud.announce.packets import ETH_P_ARP, ETH_P_IPV6, Question, question, solicited_node
from wellhead.ip import IPAddress

_SO_ATTACH_FILTER = 26
_PACKET_OUTGOING = 4
_LOAD_BYTE, _LOAD_HALF, _JUMP_IF_EQUAL, _RETURN = 0x30, 0x28, 0x15, 0x06  # linux/filter.h
_WHOLE = 0xFFFF

_Instruction = tuple[int, int, int, int]

_ARP_REQUESTS: tuple[_Instruction, ...] = (
    (_LOAD_HALF, 0, 0, 20),
    (_JUMP_IF_EQUAL, 0, 1, 1),
    (_RETURN, 0, 0, _WHOLE),
    (_RETURN, 0, 0, 0),
)
_SOLICITATIONS: tuple[_Instruction, ...] = (
    (_LOAD_BYTE, 0, 0, 20),  # the next header: ICMPv6
    (_JUMP_IF_EQUAL, 0, 3, 58),
    (_LOAD_BYTE, 0, 0, 54),  # its type
    (_JUMP_IF_EQUAL, 0, 1, 135),
    (_RETURN, 0, 0, _WHOLE),
    (_RETURN, 0, 0, 0),
)


class Link:
    """One interface. Raises OSError if there is none of this name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.index = socket.if_nametoindex(name)
        with contextlib.ExitStack() as opened:
            self.arp = opened.enter_context(_packets(name, ETH_P_ARP, _ARP_REQUESTS))
            self.ndp = opened.enter_context(_packets(name, ETH_P_IPV6, _SOLICITATIONS))
            self._groups = opened.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
            self._opened = opened.pop_all()
        self._joined: frozenset[IPv6Address] = frozenset()

    @property
    def mac(self) -> bytes:
        """The interface's hardware address, as it is now."""
        address: bytes = self.arp.getsockname()[4]
        return address

    def close(self) -> None:
        self._opened.close()

    def send(self, frame: bytes) -> None:
        """Send a frame. One that can't go out now is lost, as it might be on the wire."""
        try:
            self.arp.send(frame)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno not in (errno.ENETDOWN, errno.ENOBUFS):
                raise

    def questions(self, sock: socket.socket) -> Iterator[Question]:
        """What has been asked on this socket of the link."""
        while True:
            try:
                frame, address = sock.recvfrom(256)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENETDOWN:  # said once; the socket lives on
                    raise
                continue
            if address[2] != _PACKET_OUTGOING and (asked := question(frame)) is not None:
                yield asked

    def listen_for(self, vips: Collection[IPAddress]) -> None:
        """Be a member of the groups where these are asked for, so that switches pass questions on (MLD)."""
        wanted = frozenset(solicited_node(vip) for vip in vips if isinstance(vip, IPv6Address))
        for group, option in [(each, socket.IPV6_LEAVE_GROUP) for each in self._joined - wanted] + [
            (each, socket.IPV6_JOIN_GROUP) for each in wanted - self._joined
        ]:
            with contextlib.suppress(OSError):  # an interface that has gone is noticed elsewhere
                membership = group.packed + struct.pack("@I", self.index)
                self._groups.setsockopt(socket.IPPROTO_IPV6, option, membership)
        self._joined = wanted


def _packets(name: str, protocol: int, program: tuple[_Instruction, ...]) -> socket.socket:
    # Of no protocol until it has its filter: nothing unwanted is to get in before.
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    try:
        code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
        buffer = ctypes.create_string_buffer(code)
        filtered = struct.pack("HP", len(program), ctypes.addressof(buffer))
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filtered)
        sock.bind((name, protocol))
    except BaseException:
        sock.close()
        raise
    return sock
