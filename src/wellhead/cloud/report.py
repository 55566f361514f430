"""What the load balancers are doing, for people and programs: the answer to GET /status."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import msgspec

from wellhead.api.meta import Key
from wellhead.cloud.balancers import Request
from wellhead.cloud.controller import Controller
from wellhead.cloud.haproxy.plane import TerminatingProxy
from wellhead.cloud.health import Check, HealthMonitor
from wellhead.cloud.nodes import BalancedNode
from wellhead.cloud.steering import Balancer
from wellhead.ip import IPAddress

NodeStatus = Literal["in", "out", "unknown", "excluded"]


class NodeReport(msgspec.Struct, frozen=True, rename="camel"):
    """A node as one load balancer sees it. Only "in" gets new flows. `since` is in Unix seconds."""

    name: str
    address: str
    state: NodeStatus
    detail: str  # the last answer of the health check
    since: float


class BalancerReport(msgspec.Struct, frozen=True, rename="camel"):
    """A load balancer and its nodes."""

    namespace: str
    name: str
    load_balancer_class: str
    vips: list[str]
    ports: list[str]
    client_ip: dict[str, str]  # by port: what a proxy adds to tell the server of the client
    external_traffic_policy: Literal["Cluster", "Local"]
    session_affinity: Literal["None", "ClientIP"]
    health_check_port: int
    nodes: list[NodeReport]


class RefusedReport(msgspec.Struct, frozen=True, rename="camel"):
    """A Service that can't get what it asks for now."""

    namespace: str
    name: str
    reason: str


class ProxyReport(msgspec.Struct, frozen=True, rename="camel"):
    """The HAProxy of the terminating class, and who keeps its sockets; None while there is none."""

    addresses: list[str]
    pid: int | None
    reloads: int
    keeper: int | None
    kept: bool  # whether clients would wait, and not be refused, if HAProxy ended now


class Report(msgspec.Struct, frozen=True, rename="camel"):
    """Everything."""

    pools: list[str]
    vips: int
    vips_in_use: int
    announced: list[str]  # the VIPs for which this process answers on the nodes' network
    proxy: ProxyReport | None
    load_balancers: list[BalancerReport]
    refused: list[RefusedReport]


class Standby(msgspec.Struct, frozen=True, rename="camel"):
    """All that a process knows that another's place it would take."""

    leader: str
    identity: str


def report(controller: Controller, announced: Collection[IPAddress] = ()) -> Report:
    """How things are now."""
    steering = controller.steering
    return Report(
        pools=[str(pool) for pool in controller.pool.pools],
        vips=controller.pool.size,
        vips_in_use=len(controller.pool),
        announced=sorted(map(str, announced)),
        proxy=_proxy(controller.proxy),
        load_balancers=[
            _balancer(service, balancer, list(steering.nodes.values()), steering.monitor)
            for service, balancer in sorted(steering.balancers.items())
        ],
        refused=[RefusedReport(*service, reason) for service, reason in sorted(controller.refused.items())],
    )


def _balancer(
    service: Key, balancer: Balancer, nodes: list[BalancedNode], monitor: HealthMonitor
) -> BalancerReport:
    request = balancer.request
    return BalancerReport(
        namespace=service[0],
        name=service[1],
        load_balancer_class=request.load_balancer_class,
        vips=[str(vip) for vip in balancer.vips],
        ports=[f"{port}/{protocol.upper()}" for protocol, port in sorted(request.ports)],
        client_ip=_client_ip(request),
        external_traffic_policy="Local" if request.local else "Cluster",
        session_affinity="ClientIP" if request.client_affinity else "None",
        health_check_port=request.check_port,
        nodes=[
            _node(node, request.check_port, monitor) for node in sorted(nodes, key=lambda node: node.name)
        ],
    )


def _proxy(proxy: TerminatingProxy | None) -> ProxyReport | None:
    if proxy is None:
        return None
    haproxy = proxy.haproxy
    addresses = [str(address) for address in proxy.settings.addresses]
    return ProxyReport(addresses, haproxy.pid, haproxy.reloads, haproxy.keeper_pid, proxy.kept)


def _client_ip(request: Request) -> dict[str, str]:
    ports = request.termination.ports if request.termination is not None else ()
    return {f"{port.number}/TCP": port.client_ip.value for port in ports}


def _node(node: BalancedNode, port: int, monitor: HealthMonitor) -> NodeReport:
    known = monitor.state(Check(node.address, port))
    state: NodeStatus = "unknown"
    if node.excluded:
        state = "excluded"
    elif known.passing is not None:
        state = "in" if known.passing else "out"
    return NodeReport(node.name, str(node.address), state, known.detail, round(known.since, 3))
