"""The node's own nftables tables, one a family: what pods send out of the cluster, and host ports.

Ordering beside a service proxy's NAT: in the kernel, the first NAT rule that a new connection meets in a hook
decides. Our masquerading sees destinations as they are after destination NAT, and only takes what leaves the
cluster; what a proxy masquerades stays inside, and if both want to masquerade a connection it gets the same
address from either. So the order doesn't matter there. Host ports come after a proxy's own frontends: a
Service wins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wellhead.linux.numbers import HookPriority, Table
from wellhead.node.network.families import IPAddress, IPNetwork
from wellhead.node.runtime import commands
from wellhead.node.runtime.commands import CommandFailed

TABLE = Table.NODE
_NOT_ANYWHERE = {4: ("127.0.0.0/8", "224.0.0.0/4"), 6: ("::1", "ff00::/8")}  # loopback, multicast


@dataclass(frozen=True, order=True)
class HostPort:
    """A port of the node that leads to a pod's port.

    `host_ip` None: on every address of the node that is of `pod_ip`'s family.
    """

    protocol: str
    port: int
    host_ip: IPAddress | None
    pod_ip: IPAddress
    pod_port: int


def ruleset(
    pod_cidrs: Iterable[IPNetwork], inside: Sequence[IPNetwork], host_ports: Sequence[HostPort] = ()
) -> str:
    """What `nft -f` takes to replace our tables, in one transaction.

    `inside` are the networks that pods of `pod_cidrs` reach with their own addresses.
    """
    return "".join(_table(each, inside, host_ports) for each in pod_cidrs)


def _table(pod_cidr: IPNetwork, inside: Iterable[IPNetwork], host_ports: Iterable[HostPort]) -> str:
    version = pod_cidr.version
    ip, address = ("ip", "ipv4_addr") if version == 4 else ("ip6", "ipv6_addr")
    loopback, multicast = _NOT_ANYWHERE[version]
    networks = [str(network) for network in inside if network.version == version]
    ports = sorted(
        (each for each in host_ports if each.pod_ip.version == version),
        key=lambda each: (each.protocol, each.port, str(each.host_ip)),
    )
    anywhere = [f"{p.protocol} . {p.port} : {p.pod_ip} . {p.pod_port}" for p in ports if p.host_ip is None]
    bound = [f"{p.host_ip} . {p.protocol} . {p.port} : {p.pod_ip} . {p.pod_port}" for p in ports if p.host_ip]
    hairpins = sorted({f"{p.pod_ip} . {p.pod_ip}" for p in ports})
    return f"""\
add table {ip} {TABLE}
delete table {ip} {TABLE}
table {ip} {TABLE} {{
    set inside {{
        type {address}
        flags interval
        auto-merge{_elements(networks)}
    }}
    map host-ports {{
        type inet_proto . inet_service : {address} . inet_service{_elements(anywhere)}
    }}
    map host-ip-ports {{
        type {address} . inet_proto . inet_service : {address} . inet_service{_elements(bound)}
    }}
    set hairpins {{
        type {address} . {address}{_elements(hairpins)}
    }}
    chain to-host-port {{
        dnat {ip} to {ip} daddr . meta l4proto . th dport map @host-ip-ports
        dnat {ip} to meta l4proto . th dport map @host-ports
    }}
    chain prerouting {{
        type nat hook prerouting priority {HookPriority.NODE_DSTNAT}; policy accept;
        fib daddr type local goto to-host-port
    }}
    chain output {{
        type nat hook output priority {HookPriority.NODE_DSTNAT}; policy accept;
        {ip} daddr != {loopback} fib daddr type local goto to-host-port
    }}
    chain postrouting {{
        type nat hook postrouting priority {HookPriority.NODE_SRCNAT}; policy accept;
        {ip} saddr {pod_cidr} {ip} daddr != @inside {ip} daddr != {multicast} masquerade fully-random
        ct status dnat {ip} saddr . {ip} daddr @hairpins masquerade fully-random
    }}
}}
"""


def _elements(items: list[str]) -> str:
    return f"\n        elements = {{ {', '.join(items)} }}" if items else ""


class NodeRules:
    """Keeps the tables as they should be."""

    def __init__(self, pod_cidrs: Iterable[IPNetwork], inside: Iterable[IPNetwork]) -> None:
        self._pod_cidrs = tuple(pod_cidrs)
        self._inside = tuple(inside)
        self._host_ports: dict[str, frozenset[HostPort]] = {}
        self._writing = asyncio.Lock()

    async def set_host_ports(self, pod_uid: str, ports: frozenset[HostPort]) -> None:
        """Let these host ports lead to the pod, and no others.

        Raises:
            CommandFailed: nft refuses them (another pod has one of them); all stays as it was.
        """
        before = self._host_ports.get(pod_uid, frozenset())
        if ports == before:
            return
        self._host_ports[pod_uid] = ports
        try:
            await self.apply()
        except CommandFailed:
            self._host_ports[pod_uid] = before
            raise
        if not ports:
            del self._host_ports[pod_uid]

    def restore(self, pod_uid: str, ports: frozenset[HostPort]) -> None:
        """Say before the first `apply` what a pod that is there already has."""
        if ports:
            self._host_ports[pod_uid] = ports

    async def apply(self) -> None:
        """Write the whole tables (they are small). Raises CommandFailed."""
        async with self._writing:
            ports = [port for each in self._host_ports.values() for port in each]
            text = ruleset(self._pod_cidrs, self._inside, ports)
            await commands.run("nft", "-f", "-", stdin=text.encode())
