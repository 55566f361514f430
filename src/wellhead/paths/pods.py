"""What a Pod object says that matters to a packet."""

from __future__ import annotations

from dataclasses import dataclass

from wellhead.ip import IPAddress, parse_address
from wellhead.paths.reading import Obj, addresses, containers, number, table, tables, text


@dataclass(frozen=True)
class HostPort:
    """A port of the node that leads to a pod's."""

    port: int
    protocol: str
    pod_port: int
    host_ip: IPAddress | None


@dataclass(frozen=True)
class PodFacts:
    """One pod."""

    namespace: str
    name: str
    node: str
    addresses: tuple[IPAddress, ...]
    host_network: bool
    labels: dict[str, str]
    host_ports: tuple[HostPort, ...]
    ports: tuple[tuple[int, str], ...]
    """(number, protocol) that its containers declare."""
    lives: bool

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def pod_facts(pod: Obj) -> PodFacts:
    """Read a Pod."""
    spec, status = table(pod, "spec"), table(pod, "status")
    listed = [text(each, "ip") for each in tables(status, "podIPs")] or [text(status, "podIP")]
    ports = [each for container in containers(pod) for each in tables(container, "ports")]
    host_network = spec.get("hostNetwork") is True
    host_ports = [
        HostPort(
            found,
            text(each, "protocol") or "TCP",
            number(each, "containerPort") or found,
            _bound(text(each, "hostIP")),
        )
        for each in ports
        if (found := number(each, "hostPort")) and not host_network
    ]
    return PodFacts(
        namespace=text(pod, "metadata", "namespace"),
        name=text(pod, "metadata", "name"),
        node=text(spec, "nodeName"),
        addresses=tuple(addresses([each for each in listed if each])),
        host_network=host_network,
        labels={key: str(value) for key, value in table(pod, "metadata", "labels").items()},
        host_ports=tuple(host_ports),
        ports=tuple(
            (found, text(each, "protocol") or "TCP")
            for each in ports
            if (found := number(each, "containerPort"))
        ),
        lives=text(status, "phase") not in ("Succeeded", "Failed"),
    )


def _bound(host_ip: str) -> IPAddress | None:
    found = parse_address(host_ip)
    return None if found is None or found.is_unspecified else found
