"""How one connection is told from all others, wherever its packets come by, whatever becomes of its
addresses.

A TCP client may choose its sequence number (TCP_REPAIR, tcp(7)), and no NAT, route or tunnel changes it. So
the number is the token: `token … token + window` from client to server, acknowledged by the server. It costs
no mark and no state of conntrack. For UDP, and for the second connection of a terminating proxy, the token
is in the payload.
"""

from __future__ import annotations

import ctypes
import secrets
import socket
from dataclasses import dataclass, field
from struct import Struct

from wellhead.ip import Family
from wellhead.trace.packet import ICMP, ICMPV6, TCP, UDP, Packet

WINDOW = 1 << 16
"""How many bytes of the client are recognised; also of what the server acknowledges."""
HEADER = "X-Wellhead-Trace"
"""The HTTP header that carries the token's text through terminating proxies."""

_TCP_REPAIR, _TCP_REPAIR_QUEUE, _TCP_QUEUE_SEQ, _SEND_QUEUE = 19, 20, 21, 2
_SO_ATTACH_FILTER = 26
_WORD = Struct("=I")


@dataclass(frozen=True)
class Token:
    """What to look for."""

    number: int
    """The sequence number of the client's SYN."""
    text: str
    """Sixteen letters: the begin of a UDP payload, the value of HEADER."""

    def choose(self, sock: socket.socket) -> None:
        """Make this the sequence number of a fresh TCP socket's SYN.

        Needs CAP_NET_ADMIN where the socket is.
        """
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR_QUEUE, _SEND_QUEUE)
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_QUEUE_SEQ, _WORD.pack(self.number))
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 0)

    def sent(self, packet: Packet) -> bool:
        """Whether the packet is one of the client's."""
        if packet.protocol == TCP:
            return (packet.sequence - self.number) % (1 << 32) < WINDOW
        return packet.protocol == UDP and packet.payload.startswith(self.text.encode())

    def answered(self, packet: Packet) -> bool:
        """Whether the packet is one of the server's to this client."""
        return packet.protocol == TCP and (packet.acknowledged - self.number - 1) % (1 << 32) < WINDOW


@dataclass(frozen=True)
class Tokens:
    """A number of tokens that one set of rules and filters recognises, so that it is set up once for all."""

    count: int = 1
    first: int = 0
    prefix: str = field(default_factory=lambda: secrets.token_hex(4))
    """The first eight letters of all texts."""

    def __post_init__(self) -> None:
        if not self.first:
            chosen = secrets.randbelow((1 << 32) - self.span - 2 * WINDOW) + WINDOW
            object.__setattr__(self, "first", chosen)

    @property
    def span(self) -> int:
        return self.count * WINDOW

    def token(self, index: int = 0) -> Token:
        """The token of that index, from 0."""
        if not 0 <= index < self.count:
            raise IndexError(index)
        return Token(self.first + index * WINDOW, f"{self.prefix}{index:08x}")

    def rules(self) -> tuple[str, ...]:
        """The matches of nftables that find their packets, stateless."""
        prefix = int.from_bytes(self.prefix.encode(), "big")
        return (
            f"tcp sequence {self.first}-{self.first + self.span - 1}",
            f"tcp ackseq {self.first + 1}-{self.first + self.span}",
            f"meta l4proto udp @th,64,64 {prefix:#018x}",
        )

    def attach(self, sock: socket.socket, tunnel_ports: frozenset[int], *, all_tcp: bool = False) -> None:
        """Let an AF_PACKET socket see their packets alone, ICMP errors, and what tunnels carry.

        `all_tcp` adds every packet of TCP: behind a terminating proxy only their payloads tell.
        """
        program = _assemble(self._program(tunnel_ports, all_tcp=all_tcp))
        memory = ctypes.create_string_buffer(program, len(program))
        described = _PROGRAM.pack(len(program) // _INSTRUCTION.size, ctypes.addressof(memory))
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)

    def _program(self, tunnel_ports: frozenset[int], *, all_tcp: bool) -> list[_Line]:
        """Classic BPF over Ethernet frames. Offsets: 14 bytes before the IP header, 40 of IPv6's, X of
        IPv4's.
        """
        first = int.from_bytes(self.prefix.encode()[:4], "big")
        lines: list[_Line] = [
            ("", _LOAD_HALF, 12, "", ""),
            ("", _IF_EQUAL, Family.IPV6.ethertype, "ipv6", ""),
            ("", _IF_EQUAL, Family.IPV4.ethertype, "", "no"),
            ("", _LOAD_X_HEADER, 14, "", ""),
            ("", _LOAD_BYTE, 23, "", ""),
        ]
        for name, at, error, load in (("", 14, ICMP, _INDIRECT), ("ipv6", 54, ICMPV6, _ABSOLUTE)):
            if name:
                lines.append((name, _LOAD_BYTE, 20, "", ""))
            lines += [
                ("", _IF_EQUAL, TCP, f"{name}tcp", ""),
                ("", _IF_EQUAL, UDP, f"{name}udp", ""),
                ("", _IF_EQUAL, error, "", "no"),
                ("", load["byte"], at, "", ""),
                ("", _IF_EQUAL, 0 if error == ICMP else 128, "no", ""),
                ("", _IF_AT_LEAST, 8 if error == ICMP else 129, "", "yes"),
                ("", _IF_AT_LEAST, 11 if error == ICMP else 256, "", "no"),
                ("", _IF_AT_LEAST, 13 if error == ICMP else 257, "no", "yes"),
            ]
            lines += (
                [(f"{name}tcp", _RETURN, _WHOLE, "", "")]
                if all_tcp
                else [
                    (f"{name}tcp", load["word"], at + 4, "", ""),
                    ("", _SUBTRACT, self.first, "", ""),
                    ("", _IF_AT_LEAST, self.span, "", "yes"),
                    ("", load["word"], at + 8, "", ""),
                    ("", _SUBTRACT, self.first + 1, "", ""),
                    ("", _IF_AT_LEAST, self.span, "no", "yes"),
                ]
            )
            lines += [
                (f"{name}udp", load["half"], at + 2, "", ""),
                *(("", _IF_EQUAL, port, "yes", "") for port in sorted(tunnel_ports)),
                ("", load["word"], at + 8, "", ""),
                ("", _IF_EQUAL, first, "yes", "no"),
            ]
        return [*lines, ("yes", _RETURN, _WHOLE, "", ""), ("no", _RETURN, 0, "", "")]


_Line = tuple[str, int, int, str, str]
"""(label, code, operand, where to go if true, if false); '' is the next line."""

_INSTRUCTION = Struct("=HBBI")  # struct sock_filter (linux/filter.h)
_PROGRAM = Struct("@HP")  # struct sock_fprog
_LOAD_HALF, _LOAD_BYTE, _LOAD_X_HEADER = 0x28, 0x30, 0xB1
_IF_EQUAL, _IF_AT_LEAST, _SUBTRACT, _RETURN = 0x15, 0x35, 0x14, 0x06
_ABSOLUTE = {"word": 0x20, "half": 0x28, "byte": 0x30}
_INDIRECT = {"word": 0x40, "half": 0x48, "byte": 0x50}
_WHOLE = 0xFFFF


def _assemble(lines: list[_Line]) -> bytes:
    places = {label: index for index, (label, *_) in enumerate(lines) if label}

    def distance(index: int, label: str) -> int:
        return places[label] - index - 1 if label else 0

    return b"".join(
        _INSTRUCTION.pack(code, distance(index, true), distance(index, false), operand)
        for index, (_, code, operand, true, false) in enumerate(lines)
    )
