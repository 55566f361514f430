"""The address plan: which network is whose, and which host in it is who."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal, get_args

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

IpFamily = Literal["ipv4", "ipv6", "dual"]
IP_FAMILIES: tuple[IpFamily, ...] = get_args(IpFamily)

_FIRST_NODE = 10  # node-N is host 10+N of every network that it is in
_MOST_DIGITS = 9999  # of a number that is written into a group of an IPv6 address


@dataclass(frozen=True)
class AddressPlan:
    """One address family's networks. A dual-stack cluster has two plans."""

    nodes: IPNetwork
    pods: IPNetwork
    pod_prefix: int  # the length of one node's share of `pods`
    services: IPNetwork
    vips: IPNetwork
    external: IPNetwork  # the nodes' ExternalIPs
    internet: IPNetwork
    client: IPAddress

    @property
    def everything(self) -> IPNetwork:
        """The destination of a default route."""
        return type(self.nodes)((0, 0))

    @property
    def edge(self) -> IPAddress:
        """The router's address on the nodes' network: everybody's default gateway there."""
        return self.nodes[1]

    @property
    def control_plane(self) -> IPAddress:
        """The first one's."""
        return self.control_plane_of(1)

    @property
    def control_plane_external(self) -> IPAddress:
        """Where the client reaches the first one's API server."""
        return self.control_plane_external_of(1)

    def control_plane_of(self, number: int) -> IPAddress:
        """The address of a control plane; numbers count from 1 to 5."""
        return self.nodes[_control_plane_host(number)]

    def control_plane_external_of(self, number: int) -> IPAddress:
        """Where the client reaches its API server."""
        return self.external[_control_plane_host(number)]

    @property
    def cloud(self) -> IPAddress:
        return self.nodes[3]

    @property
    def internet_gateway(self) -> IPAddress:
        """The router's address on the client's side."""
        return self.internet[1]

    @property
    def kubernetes_service(self) -> IPAddress:
        """The ClusterIP of `kubernetes.default`."""
        return self.services[1]

    @property
    def cluster_dns(self) -> IPAddress:
        """The ClusterIP of `kube-dns`: the tenth, as kubeadm has it."""
        return self.services[10]

    @property
    def max_nodes(self) -> int:
        """How many nodes find an address, an ExternalIP and a share of the pods' network."""
        shares = 1 << (self.pod_prefix - self.pods.prefixlen)
        hosts = min(self.nodes.num_addresses, self.external.num_addresses) - 2
        return min(hosts - _FIRST_NODE, shares - 1, _MOST_DIGITS - _FIRST_NODE)

    def node(self, number: int) -> IPAddress:
        """node-`number`'s InternalIP. Numbers count from 1."""
        return self.nodes[self._written(_FIRST_NODE + number)]

    def node_external(self, number: int) -> IPAddress:
        """node-`number`'s ExternalIP, which the edge translates to its InternalIP, 1:1."""
        return self.external[self._written(_FIRST_NODE + number)]

    def node_pods(self, number: int) -> IPNetwork:
        """node-`number`'s share of the pods' network."""
        first = int(self.pods.network_address)
        size = 1 << (self.pods.max_prefixlen - self.pod_prefix)
        return type(self.pods)((first + self._written(number) * size, self.pod_prefix))

    def _written(self, number: int) -> int:
        """What has the digits of `number` when it is written in an address: node-2 is .12 and ::12."""
        return number if self.nodes.version == 4 else int(str(number), 16)


def _control_plane_host(number: int) -> int:
    """The first is host 2; host 3 is the cloud, and 4 to 7 are the others."""
    return 2 if number == 1 else 2 + number


IPV4 = AddressPlan(
    nodes=IPv4Network("10.240.0.0/24"),
    pods=IPv4Network("10.244.0.0/16"),
    pod_prefix=24,
    services=IPv4Network("10.0.0.0/16"),
    vips=IPv4Network("203.0.113.0/24"),
    external=IPv4Network("192.0.2.0/24"),
    internet=IPv4Network("198.51.100.0/24"),
    client=IPv4Address("198.51.100.79"),
)
"""The ranges of Kubernetes' “Using Source IP”, with documentation networks (RFC 5737) as the internet."""

IPV6 = AddressPlan(
    nodes=IPv6Network("fd00:10:240::/64"),
    pods=IPv6Network("fd00:10:244::/48"),
    pod_prefix=64,
    services=IPv6Network("fd00:10::/112"),
    vips=IPv6Network("2001:db8:113::/64"),
    external=IPv6Network("2001:db8:192::/64"),
    internet=IPv6Network("2001:db8:51::/64"),
    client=IPv6Address("2001:db8:51::79"),
)
"""The same picture in IPv6."""

PLANS: dict[IpFamily, tuple[AddressPlan, ...]] = {"ipv4": (IPV4,), "ipv6": (IPV6,), "dual": (IPV4, IPV6)}
"""A cluster's address plans, that of its primary family first."""

POD_MTU = 1460
NODE_LINK_MTU = 1600  # room for a tunnel header around a pod's largest packet
INTERNET_MTU = 1500
DNS_PORT = 53
NODE_PORTS = "30000-32767"
