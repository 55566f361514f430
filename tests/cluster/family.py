"""The addresses of a test cluster, by IP family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from tests.cluster import lab
from tests.cluster.lab import NODES, Obj


@dataclass(frozen=True)
class Family:
    """One family's addresses of hosts, and which of several addresses is of this family."""

    version: int
    client: str
    internal_ip: Mapping[str, str]
    external_ip: Mapping[str, str]
    addresses: Mapping[str, set[str]]
    """What a packet that a node masquerades carries: its InternalIP, or its gateway on the pod network."""
    loopback: str

    def __str__(self) -> str:
        return f"ipv{self.version}"

    def of(self, addresses: Iterable[str]) -> str:
        """The one of this family. Fails the test if there is not exactly one."""
        (found,) = (each for each in addresses if ip_address(each).version == self.version)
        return found

    def pod_ip(self, pod: Obj) -> str:
        """The pod's address."""
        return self.of(each["ip"] for each in pod["status"]["podIPs"])

    def any_node(self) -> set[str]:
        """`addresses` of all nodes."""
        return set[str]().union(*self.addresses.values())


IPV4 = Family(4, lab.CLIENT, lab.INTERNAL_IP, lab.EXTERNAL_IP, lab.ADDRESSES, "127.0.0.1")
IPV6 = Family(
    6,
    client="2001:db8:51::79",
    internal_ip={node: f"fd00:10:240::1{number}" for number, node in enumerate(NODES, 1)},
    external_ip={node: f"2001:db8:192::1{number}" for number, node in enumerate(NODES, 1)},
    addresses={
        node: {f"fd00:10:240::1{number}", f"fd00:10:244:{number}::1"} for number, node in enumerate(NODES, 1)
    },
    loopback="::1",
)


def url(address: str, port: int = 80) -> str:
    """What curl and wget take."""
    return f"http://[{address}]:{port}/" if ":" in address else f"http://{address}:{port}/"
