"""What a Pod object says that matters to a packet."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from wellhead.ip import IPAddress, parse_address
from wellhead.paths.reading import Obj, addresses, containers, number, table, tables, text

_ENDED = ("Succeeded", "Failed")


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
    images: tuple[str, ...] = ()

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
        namespace=text(pod, "metadata", "namespace") or "default",
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
        lives=text(status, "phase") not in _ENDED,
        images=tuple(text(each, "image") for each in containers(pod)),
    )


class _Port(msgspec.Struct):
    containerPort: int = 0  # noqa: N815 (as the API spells it)
    hostPort: int = 0  # noqa: N815
    protocol: str = "TCP"
    hostIP: str = ""  # noqa: N815


class _Container(msgspec.Struct):
    image: str = ""
    ports: list[_Port] = []


class _Spec(msgspec.Struct):
    nodeName: str = ""  # noqa: N815
    hostNetwork: bool = False  # noqa: N815
    containers: list[_Container] = []


class _Address(msgspec.Struct):
    ip: str = ""


class _Status(msgspec.Struct):
    phase: str = ""
    podIP: str = ""  # noqa: N815
    podIPs: list[_Address] = []  # noqa: N815


class _Metadata(msgspec.Struct):
    name: str
    namespace: str = ""
    labels: dict[str, str] = {}


class _Pod(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


_pod = msgspec.json.Decoder(_Pod)


def pod_facts_of_json(raw: bytes) -> PodFacts:
    """Read a Pod that is JSON, much faster. Raises msgspec.DecodeError where it isn't as it should be."""
    pod = _pod.decode(raw)
    spec, status = pod.spec, pod.status
    ports = [each for container in spec.containers for each in container.ports]
    listed = [each.ip for each in status.podIPs] or [status.podIP]
    return PodFacts(
        namespace=pod.metadata.namespace or "default",
        name=pod.metadata.name,
        node=spec.nodeName,
        addresses=tuple(addresses([each for each in listed if each])),
        host_network=spec.hostNetwork,
        labels=pod.metadata.labels,
        host_ports=tuple(
            HostPort(each.hostPort, each.protocol, each.containerPort or each.hostPort, _bound(each.hostIP))
            for each in ports
            if each.hostPort and not spec.hostNetwork
        ),
        ports=tuple((each.containerPort, each.protocol) for each in ports if each.containerPort),
        lives=status.phase not in _ENDED,
        images=tuple(each.image for each in spec.containers),
    )


def _bound(host_ip: str) -> IPAddress | None:
    found = parse_address(host_ip)
    return None if found is None or found.is_unspecified else found
