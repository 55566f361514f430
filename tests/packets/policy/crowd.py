"""Many pods on one node, and what they send each other: hundreds of packets a moment, and none is waited for.

    left  10.244.1.2 … .4 ─┐                   ┌─ out   198.51.100.79, 203.0.113.9, and a far pod's 10.244.2.2
                           ├─ node (policies) ─┤
    right 10.244.1.5 … .7 ─┘                   └

Everything is sent by one thread on one CPU, and its links are veths without neighbours to be found: packets
are handled in the order in which they were sent. So whether one was dropped is known once one that was sent
later, between addresses that no policy knows, has come there and back.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import NamedTuple

from tests.packets.proxy.world import Host, NodeLoop
from tests.patience import PATIENCE
from wellhead.ip import IPAddress, Protocol
from wellhead.linux import namespaces

PORTS = (80, 443, 8080)
LEFT = ("10.244.1.2", "10.244.1.3", "10.244.1.4", "fd00:10:244:1::2", "fd00:10:244:1::3")
RIGHT = ("10.244.1.5", "10.244.1.6", "10.244.1.7", "fd00:10:244:1::5", "fd00:10:244:1::6")
FAR = ("10.244.2.2", "fd00:10:244:2::3")
OUT = ("198.51.100.79", "203.0.113.9", "2001:db8:51::79", *FAR)
GATEWAYS = ("10.244.0.1", "fd00:10:244::1")
_MAC = "02:00:00:00:00:01"
_BEACON_PORT, _SOURCE_PORT = 9, 40000
_AGAIN_SECONDS = 0.05
_ROUNDS = 4
"""There and back: a TCP handshake is three packets, each behind the one before."""


class Probe(NamedTuple):
    """One thing that is sent."""

    source: IPAddress
    destination: IPAddress
    protocol: Protocol
    port: int


class Crowd:
    """The namespaces and their sockets."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.node, *hosts = (self._host() for _ in range(4))
        self._hosts = dict(zip(("left", "right", "out"), hosts, strict=True))
        self._of = {
            ip_address(each): name
            for name, addresses in (("left", LEFT), ("right", RIGHT), ("out", OUT))
            for each in addresses
        }
        for number, (name, host) in enumerate(self._hosts.items(), 1):
            self._wire(name, host, f"10.250.0.{number}")
        for setting in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
            self.node.sysctl(setting, "1")
        self._beacons = {
            name: self._socket(name, f"10.250.0.{number}", socket.SOCK_DGRAM, _BEACON_PORT)
            for number, name in enumerate(self._hosts, 1)
        }
        self._askers = {each: self._udp(each, _SOURCE_PORT) for each in self._of}
        self._numbers = itertools.count()
        self._listeners: list[socket.socket] = []
        self._servers = {(each, port): self._udp(each, port) for each in self._of for port in PORTS}
        for each in self._of:
            for port in PORTS:
                listener = self._socket(self._of[each], str(each), socket.SOCK_STREAM, port)
                listener.listen(64)
                self._listeners.append(listener)
        self._await_links()
        self.loop = NodeLoop(self.node)

    def close(self) -> None:
        self.loop.close()
        self._stack.close()

    def pairs(self) -> Iterator[tuple[IPAddress, IPAddress]]:
        """Whoever can send to whom through the node."""
        for source, here in self._of.items():
            for destination, there in self._of.items():
                if here != there and source.version == destination.version:
                    yield source, destination

    def arrived(self, probes: list[Probe]) -> set[Probe]:
        """Send these, and answer them: those that came there, and whose answers came back."""
        return namespaces.in_new_thread(lambda: self._arrived(probes))

    def settled(self, work: Callable[[], object]) -> None:
        """Do what sends something, until it has come wherever it comes."""

        def run() -> None:
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            work()
            self._settle()

        namespaces.in_new_thread(run)

    def another(self, address: str, *kind: int) -> socket.socket:
        """A further socket where an address is, bound to it."""
        name = self._of[ip_address(address)]
        made = self._hosts[name].inside(lambda: socket.socket(_family(address), *kind))
        made.setblocking(False)
        made.bind((address, 0))
        return made

    def _arrived(self, probes: list[Probe]) -> set[Probe]:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        datagrams = {str(n): each for n, each in enumerate(probes) if each.protocol is Protocol.UDP}
        with contextlib.ExitStack() as stack:
            for text, each in datagrams.items():
                with contextlib.suppress(PermissionError):
                    self._askers[each.source].sendto(text.encode(), (str(each.destination), each.port))
            connecting = [
                (each, stack.enter_context(self._connect(each)))
                for each in probes
                if each.protocol is Protocol.TCP
            ]
            self._settle()
            for server in self._servers.values():
                for data, peer in _received(server):
                    server.sendto(data, peer)
            self._settle()
            answered = {data.decode() for asker in self._askers.values() for data, _ in _received(asker)}
            found = {each for each, client in connecting if _is_connected(client)}
            for listener in self._listeners:
                _let_go(listener)
        return found | {datagrams[each] for each in answered}

    def _connect(self, probe: Probe) -> socket.socket:
        source = str(probe.source)
        # In this thread, which is nobody else's.
        namespaces.setns(self._hosts[self._of[probe.source]]._fd, namespaces.CLONE_NEWNET)
        client = socket.socket(_family(source), socket.SOCK_STREAM)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset, when closed
        client.setblocking(False)
        client.bind((source, 0))
        with contextlib.suppress(BlockingIOError):
            client.connect((str(probe.destination), probe.port))
        return client

    def _settle(self) -> None:
        """Until everything that was sent before has come wherever it comes."""
        for _ in range(_ROUNDS):
            for here in self._beacons.values():
                for there in self._beacons.values():
                    if here is not there:
                        text = str(next(self._numbers)).encode()
                        here.sendto(text, there.getsockname())
                        while there.recv(20) != text:
                            pass  # a late one of those that looked for links

    def _await_links(self) -> None:
        """The kernel puts links into service at its own time: until then, what is sent is lost."""
        for here in self._beacons.values():
            for there in self._beacons.values():
                tries = int(PATIENCE / _AGAIN_SECONDS) if here is not there else 0
                for _ in range(tries):
                    here.sendto(b".", there.getsockname())
                    if select.select([there], [], [], _AGAIN_SECONDS)[0]:
                        there.recv(1)
                        break

    def _host(self) -> Host:
        host = Host()
        self._stack.callback(host.close)
        return host

    def _wire(self, name: str, host: Host, beacon: str) -> None:
        addresses = [str(each) for each, of in self._of.items() if of == name] + [beacon]
        veth = f"type veth peer name eth0 address {_MAC} netns {host.path}"
        self.node.ip(
            f"link add {name} address {_MAC} arp off {veth}",
            *(f"addr add {each}{_length(each)} dev {name}{_usable(each)}" for each in GATEWAYS),
            f"link set {name} up",
            *(f"route add {each}{_length(each)} dev {name}" for each in addresses),
        )
        host.ip(
            *(f"addr add {each}{_length(each)} dev eth0{_usable(each)}" for each in addresses),
            "link set eth0 arp off up",
            "route add default dev eth0",
            "route add ::/0 dev eth0",
        )

    def _udp(self, address: IPAddress, port: int) -> socket.socket:
        return self._socket(self._of[address], str(address), socket.SOCK_DGRAM, port)

    def _socket(self, name: str, address: str, kind: socket.SocketKind, port: int) -> socket.socket:
        made = self._hosts[name].inside(lambda: socket.socket(_family(address), kind))
        self._stack.callback(made.close)
        made.settimeout(PATIENCE if port == _BEACON_PORT else 0)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        return made


def _received(sock: socket.socket) -> Iterator[tuple[bytes, tuple[str, int]]]:
    """All that has come."""
    with contextlib.suppress(BlockingIOError):
        while True:
            data, peer = sock.recvfrom(100)
            yield data, peer[:2]


def _let_go(listener: socket.socket) -> None:
    """Of whoever has connected."""
    with contextlib.suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _length(address: str) -> str:
    return "/128" if ":" in address else "/32"


def _usable(address: str) -> str:
    """At once: nobody else can have it."""
    return " nodad" if ":" in address else ""
