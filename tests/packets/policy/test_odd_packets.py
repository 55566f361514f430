"""Packets that aren't plain TCP or UDP are judged, too: each allowed one is sent beside a forbidden one."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from tests.packets.policy.crowd import LEFT, RIGHT, Crowd
from wellhead.ip import Family
from wellhead.policies.node_policies import NodePolicies
from wellhead.policies.pods import parse_pod
from wellhead.policies.policy import parse_policy
from wellhead.policy.enforcement import Enforcement

pytestmark = pytest.mark.cluster

ALLOWED = {4: LEFT[0], 6: LEFT[3]}
FORBIDDEN = {4: LEFT[1], 6: LEFT[4]}
SERVER = {4: RIGHT[0], 6: RIGHT[3]}
SCTP, GRE = 132, 47
_IPV6_DSTOPTS = 59
families = pytest.mark.parametrize("family", [4, 6])


class Node:
    """One whose pods `server` let in `friend` at some ports, and nobody else."""

    def __init__(self, crowd: Crowd) -> None:
        async def made() -> Enforcement:
            return Enforcement(Family)

        self.crowd = crowd
        self.known = NodePolicies("node-1")
        self.enforcement = crowd.loop.wait_for(made())
        self.known.set_namespace("shop", frozenset())
        for name, addresses in (("friend", ALLOWED), ("server", SERVER), ("foe", FORBIDDEN)):
            self.known.set_pod(("shop", name), _pod(name, *addresses.values()))

    def let_in(self, **rule: Any) -> None:
        spec = {
            "podSelector": {"matchLabels": {"app": "server"}},
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}], **rule}],
        }
        metadata = {"namespace": "shop", "name": "p"}
        self.known.set_policy(("shop", "p"), parse_policy({"metadata": metadata, "spec": spec}))
        self.crowd.loop.wait_for(self.enforcement.apply(self.known.take()))

    def close(self) -> None:
        async def close() -> None:
            self.enforcement.close()

        self.crowd.loop.wait_for(close())


def _pod(name: str, *addresses: str) -> Any:
    return parse_pod(
        {
            "metadata": {"namespace": "shop", "name": name, "labels": {"app": name}},
            "spec": {"nodeName": "node-1"},
            "status": {"podIPs": [{"ip": each} for each in addresses]},
        }
    )


@pytest.fixture
def node(crowd: Crowd) -> Iterator[Node]:
    found = Node(crowd)
    try:
        yield found
    finally:
        found.close()
        for family in ("ip", "ip6"):
            crowd.node.run(f"nft delete table {family} wellhead-policy")


def sources(crowd: Crowd, server: socket.socket, send: Callable[[str], object], family: int) -> set[str]:
    """Whose packets came, of both clients'."""

    def both() -> None:
        for each in (ALLOWED, FORBIDDEN):
            send(each[family])

    _received(server)
    crowd.settled(both)
    return _received(server) & {ALLOWED[family], FORBIDDEN[family]}


def _received(server: socket.socket) -> set[str]:
    found = set()
    with contextlib.suppress(BlockingIOError):
        while True:
            found.add(server.recvfrom(65535)[1][0])
    return found


@families
def test_fragments_are_judged_as_the_datagram_that_they_are(crowd: Crowd, node: Node, family: int) -> None:
    node.let_in(ports=[{"port": 8080, "protocol": "UDP"}])
    server = crowd._servers[ip_address(SERVER[family]), 8080]
    other = crowd._servers[ip_address(SERVER[family]), 80]
    for at, port, came in ((server, 8080, {ALLOWED[family]}), (other, 80, set())):
        assert sources(crowd, at, _sends(crowd, family, port, bytes(5000)), family) == came


def _sends(crowd: Crowd, family: int, port: int, data: bytes) -> Callable[[str], object]:
    def send(source: str) -> None:
        crowd._askers[ip_address(source)].sendto(data, (SERVER[family], port))

    return send


def test_behind_extension_headers_the_port_is_found(crowd: Crowd, node: Node) -> None:
    node.let_in(ports=[{"port": 8080, "protocol": "UDP"}])
    options = bytes((0, 0, 1, 4, 0, 0, 0, 0))  # six bytes of padding

    def send_to(port: int) -> Callable[[str], object]:
        def send(source: str) -> None:
            ancillary = [(socket.IPPROTO_IPV6, _IPV6_DSTOPTS, options)]
            crowd._askers[ip_address(source)].sendmsg([b"?"], ancillary, 0, (SERVER[6], port))

        return send

    for port, came in ((8080, {ALLOWED[6]}), (80, set())):
        server = crowd._servers[ip_address(SERVER[6]), port]
        assert sources(crowd, server, send_to(port), 6) == came


@families
def test_sctp_is_judged_by_its_ports(crowd: Crowd, node: Node, family: int) -> None:
    """Raw packets: this kernel has no SCTP sockets."""
    node.let_in(ports=[{"port": 80, "endPort": 90, "protocol": "SCTP"}])
    with _raw(crowd, SERVER[family], SCTP) as server:
        for port, came in ((85, {ALLOWED[family]}), (91, set())):
            init = struct.pack(">HHII", 5000, port, 0, 0) + bytes((1, 0, 0, 20)) + bytes(16)
            assert sources(crowd, server, _raw_sends(crowd, family, SCTP, init), family) == came


@families
def test_other_protocols_pass_by_rules_without_ports_alone(crowd: Crowd, node: Node, family: int) -> None:
    with _raw(crowd, SERVER[family], GRE) as server:
        send = _raw_sends(crowd, family, GRE, bytes(4))
        node.let_in(ports=[{"protocol": each} for each in ("TCP", "UDP", "SCTP")])
        assert sources(crowd, server, send, family) == set()
        node.let_in()
        assert sources(crowd, server, send, family) == {ALLOWED[family]}


def _raw(crowd: Crowd, address: str, protocol: int) -> socket.socket:
    return crowd.another(address, socket.SOCK_RAW, protocol)


def _raw_sends(crowd: Crowd, family: int, protocol: int, packet: bytes) -> Callable[[str], object]:
    def send(source: str) -> None:
        with _raw(crowd, source, protocol) as client:
            client.sendto(packet, (SERVER[family], 0))

    return send
