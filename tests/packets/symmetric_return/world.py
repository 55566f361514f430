"""A client, a router, three nodes and the pods of two of them, as network namespaces.

    client 198.51.100.79 ── router ─┬─ wan ─ node-1 10.240.0.11 ─┐
                                    ├─ wan ─ node-2 10.240.0.12 ─┼─ the nodes' link (eth0), unless `routed`
                                    │          └ pod 10.244.2.5  │
                                    └─ wan ─ node-3 10.240.0.13 ─┘
                                               └ pod 10.244.3.5

IPv6 alike. All reverse-path checks are strict; what the nodes' link brings from the client would fail them. A
`routed` world has no such link: nodes have their addresses on “wan”, each in a network of its own.

The nodes' ingress is played by a few rules: 203.0.113.N leads by node N to an endpoint on node 2, TCP and
UDP, with the client's address kept: ports 80 and 81 to its pod, port 90 to its host network, port 95 to an
address of its pod that is not in the node's pod network.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import socketserver
import threading
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from tests.packets.proxy.world import Host
from tests.patience import PATIENCE
from wellhead.proxy.marks import Marks
from wellhead.proxy.symmetric_return.announcement import encode
from wellhead.proxy.symmetric_return.kernel import remove_all
from wellhead.proxy.symmetric_return.nodes import NodeFacts
from wellhead.proxy.symmetric_return.settings import ReturnSettings
from wellhead.proxy.symmetric_return.state import Outcome, ReturnPath

CLIENT, CLIENT6 = "198.51.100.79", "2001:db8:51::79"
NUMBERS = (1, 2, 3)
WITH_PODS = (2, 3)
TARGET_PORT = 8080
PRESERVE = Marks().preserve
STRANGE = {4: "10.99.0.5", 6: "fd00:10:99::5"}


def pod_address(number: int, version: int = 4) -> str:
    return f"10.244.{number}.5" if version == 4 else f"fd00:10:244:{number}::5"


def vip(number: int, version: int = 4) -> str:
    return f"203.0.113.{number}" if version == 4 else f"2001:db8:113::{number}"


class Node:
    """A node, and the symmetric return on it as the proxy runs it."""

    def __init__(self, number: int, host: Host, facts: NodeFacts) -> None:
        self.number = number
        self.host = host
        self.facts = facts
        self.settings = ReturnSettings()
        self.outcome: Outcome | None = None
        self.restart()

    def restart(self) -> None:
        """As after kill -9: everything that the process knew is gone."""
        self._path = ReturnPath(self.settings, Marks(), ())

    def work(self, others: list[NodeFacts]) -> bool:
        """Do what follows from these other nodes. Returns whether the announcement has changed."""
        found = self.host.inside(lambda: self._path.work(self.facts, others, check_table=True))
        changed = self.outcome is None or found.announced != self.outcome.announced
        self.outcome = found
        text = encode(found.announced) if found.announced is not None else ""
        self.facts = dataclasses.replace(self.facts, announced=found.announced, text=text)
        return changed

    def traces(self) -> str:
        """Everything that a symmetric return may leave."""
        commands = (
            "ip rule",
            "ip -6 rule",
            "ip route show table all proto 88",
            "ip -6 route show table all proto 88",
            "ip -br link show type vxlan",
            "nft list ruleset",
            "sysctl -a -r src_valid_mark",
        )
        return "\n".join(line for each in commands for line in sorted(self.host.run(each).splitlines()))


class World:
    """See above."""

    def __init__(self, *, routed: bool) -> None:
        self._stack = contextlib.ExitStack()
        self.routed = routed
        self.client, self.router = self._host(), self._host()
        self.nodes = {number: Node(number, self._host(), self._facts(number)) for number in NUMBERS}
        self.pods = {number: self._host() for number in WITH_PODS}
        self._wire_client()
        for node in self.nodes.values():
            self._wire_node(node)
        for number, pod in self.pods.items():
            self._wire_pod(self.nodes[number].host, number, pod)
        self._wire_strange()
        for version in (4, 6):
            self._serve(self.pods[2], STRANGE[version], version)
        for number in WITH_PODS:
            for version in (4, 6):
                self._serve(self.pods[number], pod_address(number, version), version)
                self._serve(self.nodes[number].host, self.node_address(number, version), version)

    def close(self) -> None:
        self._stack.close()

    def node_address(self, number: int, version: int = 4) -> str:
        if self.routed:
            return f"10.240.{number}.1{number}" if version == 4 else f"fd00:10:240:{number}::1{number}"
        return f"10.240.0.1{number}" if version == 4 else f"fd00:10:240::1{number}"

    def _facts(self, number: int) -> NodeFacts:
        pods = (ip_network(f"10.244.{number}.0/24"), ip_network(f"fd00:10:244:{number}::/64"))
        addresses = tuple(ip_address(self.node_address(number, version)) for version in (4, 6))
        return NodeFacts(f"node-{number}", addresses, (), pods, None, "")

    def converge(self, *numbers: int) -> None:
        """Have the nodes, or just these, work until none has news for the others."""
        among = [self.nodes[each] for each in numbers or NUMBERS]
        for _ in range(5):
            changed = [each.work([other.facts for other in among if other is not each]) for each in among]
            if not any(changed):
                return
        raise AssertionError("they go on changing their announcements")

    def configure(self, settings: ReturnSettings) -> None:
        """Start anew, from nothing, with these settings."""
        for node in self.nodes.values():
            node.host.inside(lambda: remove_all(Marks()))
            node.settings = settings
            node.facts = dataclasses.replace(node.facts, announced=None, text="")
            node.outcome = None
            node.restart()

    def _host(self) -> Host:
        host = Host()
        self._stack.callback(host.close)
        for scope in ("all", "default"):
            host.sysctl(f"net/ipv4/conf/{scope}/rp_filter", "1")
        return host

    def _wire_client(self) -> None:
        self.router.ip("link add nodes type bridge", "link set nodes up")
        self.client.ip(
            f"link add eth0 type veth peer name client netns {self.router.path}",
            f"addr add {CLIENT}/24 dev eth0",
            f"addr add {CLIENT6}/64 dev eth0 nodad",
            "link set eth0 up",
        )
        self.router.ip(
            "addr add 198.51.100.1/24 dev client",
            "addr add 2001:db8:51::1/64 dev client nodad",
            "link set client up",
        )
        self.client.ip("route add default via 198.51.100.1", "route add default via 2001:db8:51::1")
        _forward(self.router)

    def _wire_node(self, node: Node) -> None:
        number, host = node.number, node.host
        four, six = (self.node_address(number, version) for version in (4, 6))
        own, own6 = (four, six) if self.routed else (f"192.0.2.1{number}", f"2001:db8:192:{number}::2")
        at, at6 = (
            (f"10.240.{number}.1/24", f"fd00:10:240:{number}::1/64")
            if self.routed
            else (f"192.0.2.{100 + number}/32 peer {own}", f"2001:db8:192:{number}::1/64")
        )
        gateway, gateway6 = at.partition("/")[0], at6.partition("/")[0]
        host.ip(
            f"link add wan type veth peer name wan{number} netns {self.router.path}",
            f"addr add {own}/24 dev wan" if self.routed else f"addr add {own}/32 peer {gateway} dev wan",
            f"addr add {own6}/64 dev wan nodad",
            "link set wan up",
        )
        self.router.ip(
            f"addr add {at} dev wan{number}",
            f"addr add {at6} dev wan{number} nodad",
            f"link set wan{number} up",
        )
        host.ip(f"route add default via {gateway}", f"route add default via {gateway6}")
        self.router.ip(f"route add {vip(number)} via {own}", f"route add {vip(number, 6)} via {own6}")
        _forward(host)
        if self.routed:
            if number in WITH_PODS:
                self.router.ip(
                    f"route add 10.244.{number}.0/24 via {own}",
                    f"route add fd00:10:244:{number}::/64 via {own6}",
                )
        else:
            self._wire_link(number, host, four, six)
        host.run("nft -f -", self._ingress(number))

    def _wire_link(self, number: int, host: Host, four: str, six: str) -> None:
        host.ip(
            f"link add eth0 type veth peer name n{number} netns {self.router.path}",
            f"addr add {four}/24 dev eth0",
            f"addr add {six}/64 dev eth0 nodad",
            "link set eth0 up",
        )
        self.router.ip(f"link set n{number} master nodes up")
        for other in NUMBERS:
            if other != number:
                host.ip(
                    f"route add 10.244.{other}.0/24 via {self.node_address(other)}",
                    f"route add fd00:10:244:{other}::/64 via {self.node_address(other, 6)}",
                )

    def _ingress(self, number: int) -> str:
        rules = []
        for version, ip in ((4, "ip"), (6, "ip6")):
            pod, node = pod_address(2, version), self.node_address(2, version)
            frontends = {80: pod, 81: pod, 90: node, 95: STRANGE[version]}
            for port, target in frontends.items():
                to = f"{target}:{TARGET_PORT}" if version == 4 else f"[{target}]:{TARGET_PORT}"
                rules.append(
                    f"{ip} daddr {vip(number, version)} meta l4proto {{ tcp, udp }} th dport {port}"
                    f" meta mark set meta mark | {PRESERVE:#x} dnat {ip} to {to}"
                )
        chain = "type nat hook prerouting priority -100; policy accept;"
        after = "type nat hook postrouting priority 100; meta mark & 0x4000 != 0 masquerade;"
        masquerade = f"chain postrouting {{ {after} }}"
        return "\n".join(
            ["table inet ingress {", "chain prerouting {", chain, *rules, "}", masquerade, "}", ""]
        )

    def _wire_pod(self, node: Host, number: int, pod: Host) -> None:
        node.ip(
            f"link add pod type veth peer name eth0 netns {pod.path}",
            f"addr add 10.244.{number}.1/32 dev pod",
            f"addr add fd00:10:244:{number}::1/128 dev pod nodad",
            "link set pod up",
            f"route add {pod_address(number)}/32 dev pod",
            f"route add {pod_address(number, 6)}/128 dev pod",
        )
        pod.ip(
            f"addr add {pod_address(number)}/32 dev eth0",
            f"addr add {pod_address(number, 6)}/128 dev eth0 nodad",
            "link set eth0 up",
            f"route add 10.244.{number}.1/32 dev eth0",
            f"route add fd00:10:244:{number}::1/128 dev eth0",
            f"route add default via 10.244.{number}.1",
            f"route add default via fd00:10:244:{number}::1",
        )

    def _wire_strange(self) -> None:
        four, six = STRANGE[4], STRANGE[6]
        self.pods[2].ip(f"addr add {four}/32 dev lo", f"addr add {six}/128 dev lo nodad")
        self.nodes[2].host.ip(
            f"route add {four} via {pod_address(2)} dev pod onlink",
            f"route add {six} via {pod_address(2, 6)} dev pod onlink",
        )
        for host in [self.router] if self.routed else [self.nodes[1].host, self.nodes[3].host]:
            host.ip(
                f"route add {four} via {self.node_address(2)}",
                f"route add {six} via {self.node_address(2, 6)}",
            )

    def _serve(self, host: Host, address: str, version: int) -> None:
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        for server in (_TcpServer, _UdpServer):
            made = host.inside(lambda s=server: s.on(address, family))  # type: ignore[misc]
            thread = threading.Thread(target=made.serve_forever, args=(0.05,), name="server")
            thread.start()
            self._stack.callback(thread.join)
            self._stack.callback(made.server_close)
            self._stack.callback(made.shutdown)


def _forward(host: Host) -> None:
    host.sysctl("net/ipv4/ip_forward", "1")
    host.sysctl("net/ipv6/conf/all/forwarding", "1")


class _Greet(socketserver.BaseRequestHandler):
    """Says who the client is, then echoes."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self.request.sendall(_name(self.client_address))
            while data := self.request.recv(65536):
                self.request.sendall(data)


class _Answer(socketserver.BaseRequestHandler):
    """Says who the client is, and echoes."""

    def handle(self) -> None:
        data, answering = self.request
        with contextlib.suppress(OSError):
            answering.sendto(_name(self.client_address) + data, self.client_address)


def _name(address: tuple[str, int]) -> bytes:
    return f"{address[0]} {address[1]}".ljust(64).encode()


class _TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    @classmethod
    def on(cls, address: str, family: socket.AddressFamily) -> _TcpServer:
        kind = type(cls.__name__, (cls,), {"address_family": family})
        made: _TcpServer = kind((address, TARGET_PORT), _Greet)
        return made


class _UdpServer(socketserver.UDPServer):
    @classmethod
    def on(cls, address: str, family: socket.AddressFamily) -> _UdpServer:
        kind = type(cls.__name__, (cls,), {"address_family": family})
        made: _UdpServer = kind((address, TARGET_PORT), _Answer)
        return made


class Connection:
    """A client's connection or UDP flow, and what its server has seen of it."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._udp = sock.type == socket.SOCK_DGRAM
        self.seen, self.seen_port = "", 0
        if self._udp:
            self.echo(b"first")
        else:
            self._take_name(self._receive(64))

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def echo(self, data: bytes = b"again") -> bool:
        """Send something, and whether it came back, from the same server and to the same client."""
        self._socket.sendall(data)
        if not self._udp:
            return self._receive(len(data)) == data
        answer = self._socket.recv(65536)
        self._take_name(answer[:64])
        return answer[64:] == data

    def _take_name(self, name: bytes) -> None:
        address, port = name.decode().split()
        assert self.seen_port in (0, int(port)), "it moved to another port"
        self.seen, self.seen_port = address, int(port)

    def _receive(self, length: int) -> bytes:
        parts = []
        while length:
            part = self._socket.recv(min(length, 65536))
            if not part:
                raise ConnectionError("closed")
            parts.append(part)
            length -= len(part)
        return b"".join(parts)


@contextlib.contextmanager
def connect(
    world: World,
    via: int,
    port: int = 80,
    *,
    udp: bool = False,
    version: int = 4,
    from_port: int = 0,
) -> Iterator[Connection]:
    """Connect from the client, by one node's address. With `from_port`, from a port that may be in use."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
    with world.client.inside(lambda: socket.socket(family, kind)) as sock:
        sock.settimeout(PATIENCE)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((CLIENT if version == 4 else CLIENT6, from_port))
        sock.connect((vip(via, version), port))
        yield Connection(sock)
