"""The node's own nftables table: what pods send out of the cluster, and host ports.

Ordering beside a service proxy's NAT: in the kernel, the first NAT rule that a new connection meets in a hook
decides. Our masquerading sees destinations as they are after destination NAT, and only takes what leaves the
cluster; what a proxy masquerades stays inside, and if both want to masquerade a connection it gets the same
address from either. So the order doesn't matter there. Host ports come after a proxy's own frontends: a
Service wins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from wellhead.node.runtime import commands
from wellhead.node.runtime.commands import CommandFailed

TABLE = "wellhead-node"


@dataclass(frozen=True, order=True)
class HostPort:
    """A port of the node that leads to a pod's port. `host_ip` None: on every address of the node."""

    protocol: str
    port: int
    host_ip: IPv4Address | None
    pod_ip: IPv4Address
    pod_port: int


def ruleset(pod_cidr: IPv4Network, inside: Iterable[IPv4Network], host_ports: Iterable[HostPort] = ()) -> str:
    """What `nft -f` takes to replace our table, in one transaction.

    `inside` are the networks that pods of `pod_cidr` reach with their own address.
    """
    ports = sorted(host_ports, key=lambda each: (each.protocol, each.port, str(each.host_ip)))
    anywhere = [f"{p.protocol} . {p.port} : {p.pod_ip} . {p.pod_port}" for p in ports if p.host_ip is None]
    bound = [f"{p.host_ip} . {p.protocol} . {p.port} : {p.pod_ip} . {p.pod_port}" for p in ports if p.host_ip]
    hairpins = sorted({f"{p.pod_ip} . {p.pod_ip}" for p in ports})
    return f"""\
add table ip {TABLE}
delete table ip {TABLE}
table ip {TABLE} {{
    set inside {{
        type ipv4_addr
        flags interval
        auto-merge
        elements = {{ {", ".join(str(network) for network in inside)} }}
    }}
    map host-ports {{
        type inet_proto . inet_service : ipv4_addr . inet_service{_elements(anywhere)}
    }}
    map host-ip-ports {{
        type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service{_elements(bound)}
    }}
    set hairpins {{
        type ipv4_addr . ipv4_addr{_elements(hairpins)}
    }}
    chain to-host-port {{
        dnat ip to ip daddr . meta l4proto . th dport map @host-ip-ports
        dnat ip to meta l4proto . th dport map @host-ports
    }}
    chain prerouting {{
        type nat hook prerouting priority -90; policy accept;
        fib daddr type local goto to-host-port
    }}
    chain output {{
        type nat hook output priority -90; policy accept;
        ip daddr != 127.0.0.0/8 fib daddr type local goto to-host-port
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat + 10; policy accept;
        ip saddr {pod_cidr} ip daddr != @inside ip daddr != 224.0.0.0/4 masquerade fully-random
        ct status dnat ip saddr . ip daddr @hairpins masquerade fully-random
    }}
}}
"""


def _elements(items: list[str]) -> str:
    return f"\n        elements = {{ {', '.join(items)} }}" if items else ""


class NodeRules:
    """Keeps the table as it should be."""

    def __init__(self, pod_cidr: IPv4Network, inside: Iterable[IPv4Network]) -> None:
        self._pod_cidr = pod_cidr
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
        """Write the whole table (it is small). Raises CommandFailed."""
        async with self._writing:
            ports = [port for each in self._host_ports.values() for port in each]
            text = ruleset(self._pod_cidr, self._inside, ports)
            await commands.run("nft", "-f", "-", stdin=text.encode())
