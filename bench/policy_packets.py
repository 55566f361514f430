"""What policies cost a packet: datagrams through nodes with none, one and a thousand of them, in turn.

The node forwards within the call that sends: veths hand on at once. So a call's time is the packet's whole
way, from one pod to another, and both are isolated: each packet is judged twice. Connections are tracked on
every node, as any service proxy has them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import statistics
import time
from collections.abc import Iterator
from typing import Any

from bench.measure import Result
from bench.proxy.network import Namespace
from wellhead.ip import Family
from wellhead.policies.node_policies import NodePolicies
from wellhead.policies.pods import Pod, parse_pod
from wellhead.policies.policy import Policy, parse_policy
from wellhead.policy.enforcement import Enforcement

_CLIENT, _SERVER, _GATEWAY, _PORT = "10.244.1.2", "10.244.1.3", "10.244.1.1", 8080
_FLOWS, _LATER, _TURNS = 250, 8, 60
_TRACKED = """
table ip tracked {
    chain forward { type filter hook forward priority 0; ct state invalid drop; }
}
"""
_MAC = "02:00:00:00:00:01"


class _Node:
    """One node with two pods, and so many policies."""

    def __init__(self, policies: int) -> None:
        self._stack = contextlib.ExitStack()
        self._node, self._pods = self._namespace(), {}
        for address in (_CLIENT, _SERVER):
            pod = self._pods[address] = self._namespace()
            name = f"p{address.rpartition('.')[2]}"
            veth = f"type veth peer name eth0 address {_MAC} netns {pod.path}"
            self._node.ip(
                f"link add {name} address {_MAC} arp off {veth}",
                f"addr add {_GATEWAY}/32 dev {name}",
                f"link set {name} up",
                f"route add {address}/32 dev {name}",
            )
            pod.ip(
                f"addr add {address}/32 dev eth0", "link set eth0 arp off up", "route add default dev eth0"
            )
        self._node.sysctl("ipv4/ip_forward", "1")
        self._node.run("nft", "-f", "-", stdin=_TRACKED)
        with self._pods[_SERVER].entered():
            self._server = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._server.bind((_SERVER, _PORT))
        with self._node.entered():
            asyncio.run(_enforce(policies))
        self.turn()  # links come into service at their own time, and caches are warm

    def close(self) -> None:
        self._stack.close()

    def turn(self) -> tuple[float, float]:
        """Nanoseconds of a flow's first packet, and of a later one."""
        with contextlib.ExitStack() as stack, self._pods[_CLIENT].entered():
            clients = [
                stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(_FLOWS)
            ]
            for each in clients:
                each.connect((_SERVER, _PORT))
            first = _sent(clients)
            self._drain()
            later = []
            for _ in range(_LATER):
                later.append(_sent(clients))
                self._drain()
        return first, min(later)

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._server.recv(10, socket.MSG_DONTWAIT)

    def _namespace(self) -> Namespace:
        found = Namespace()
        self._stack.callback(found.close)
        return found


def _sent(clients: list[socket.socket]) -> float:
    start = time.perf_counter_ns()
    for each in clients:
        each.send(b"?")
    return (time.perf_counter_ns() - start) / len(clients)


async def _enforce(policies: int) -> None:
    """The first lets the client in to the server, the others are about others; 0: nothing is in force."""
    if not policies:
        return
    enforcement, known = Enforcement([Family.IPV4]), NodePolicies("node-0")
    known.set_namespace("shop", frozenset())
    for number in range(policies):
        app, peer = ("server", "client") if number == 0 else (f"app-{number}", f"app-{number + 1}")
        source = [{"podSelector": {"matchLabels": {"app": peer}}}]
        rule = {"from": source, "ports": [{"port": _PORT, "protocol": "UDP"}]}
        known.set_policy(("shop", app), _policy(app, ingress=[rule]))
        if number:
            known.set_pod(("shop", app), _pod(app, f"10.244.{2 + number // 250}.{number % 250}"))
    known.set_policy(("shop", "client"), _policy("client", policyTypes=["Egress"], egress=[{}]))
    for app, address in (("client", _CLIENT), ("server", _SERVER)):
        known.set_pod(("shop", app), _pod(app, address))
    await enforcement.apply(known.take())
    enforcement.close()


def _policy(app: str, **spec: Any) -> Policy:
    about = {"podSelector": {"matchLabels": {"app": app}}}
    return parse_policy({"metadata": {"namespace": "shop", "name": app}, "spec": about | spec})


def _pod(app: str, address: str) -> Pod | None:
    metadata = {"namespace": "shop", "name": app, "uid": app, "labels": {"app": app}}
    status = {"podIPs": [{"ip": address}]}
    return parse_pod({"metadata": metadata, "spec": {"nodeName": "node-0"}, "status": status})


def _undisturbed(samples: list[float]) -> float:
    """What others do meanwhile only adds."""
    return statistics.quantiles(samples, n=10)[0]


def measure() -> list[Result]:
    """Rounds in turn: what the machine does meanwhile concerns all of them."""
    with _pinned(), contextlib.ExitStack() as stack:
        nodes = {}
        for policies in (0, 1, 1000):
            nodes[policies] = _Node(policies)
            stack.callback(nodes[policies].close)
        samples: dict[int, list[tuple[float, float]]] = {each: [] for each in nodes}
        for _ in range(_TURNS):
            for policies, node in nodes.items():
                samples[policies].append(node.turn())
    found = []
    for index, name in enumerate(("A flow's first packet", "A later packet")):
        of = {policies: [each[index] for each in turns] for policies, turns in samples.items()}
        none, one, many = (_undisturbed(of[each]) for each in (0, 1, 1000))
        method = (
            f"UDP between two isolated pods of a node, {_TURNS} turns of {_FLOWS} packets each, the "
            f"undisturbed tenth of them; without any policy {none / 1000:.1f} µs"
        )
        found += [
            Result(f"{name}: more", (one - none) / 1000, "µs", method),
            Result(f"{name}: 1,000 policies", many / one, "of 1 policy", method),
        ]
    return found


@contextlib.contextmanager
def _pinned() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
