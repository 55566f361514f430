"""What every Service of a cluster is looked through for: its addresses and node ports."""

from __future__ import annotations

import contextlib
from typing import Protocol

import msgspec

from wellhead.ip import IPAddress, parse_address
from wellhead.paths.reading import Obj, number, tables, text, texts


class _HasJson(Protocol):
    @property
    def raw(self) -> bytes | None: ...
    @property
    def obj(self) -> Obj: ...


class _Port(msgspec.Struct):
    nodePort: int = 0  # noqa: N815 (as the API spells it)


class _Spec(msgspec.Struct):
    clusterIP: str = ""  # noqa: N815
    clusterIPs: list[str] = []  # noqa: N815
    externalIPs: list[str] = []  # noqa: N815
    ports: list[_Port] = []


class _Ingress(msgspec.Struct):
    ip: str = ""


class _LoadBalancer(msgspec.Struct):
    ingress: list[_Ingress] = []


class _Status(msgspec.Struct):
    loadBalancer: _LoadBalancer = msgspec.field(default_factory=_LoadBalancer)  # noqa: N815


class ServiceHead(msgspec.Struct):
    """A Service's addresses and node ports."""

    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)

    def addresses(self) -> list[IPAddress]:
        """Every address that it has for itself, each once."""
        spec = self.spec
        ingress = [each.ip for each in self.status.loadBalancer.ingress]
        values = dict.fromkeys([spec.clusterIP, *spec.clusterIPs, *spec.externalIPs, *ingress])
        found = (parse_address(each) for each in values if each and each != "None")
        return [each for each in found if each is not None]

    def node_ports(self) -> list[int]:
        return [each.nodePort for each in self.spec.ports if each.nodePort]


_head = msgspec.json.Decoder(ServiceHead)


def service_head(entry: _HasJson) -> ServiceHead:
    """Read it, from JSON where that is at hand and as it should be."""
    if entry.raw is not None:
        with contextlib.suppress(msgspec.DecodeError):
            return _head.decode(entry.raw)
    obj = entry.obj
    ports = [number(each, "nodePort") or 0 for each in tables(obj, "spec", "ports")]
    ingress = [text(each, "ip") for each in tables(obj, "status", "loadBalancer", "ingress")]
    return ServiceHead(
        _Spec(
            text(obj, "spec", "clusterIP"),
            texts(obj, "spec", "clusterIPs"),
            texts(obj, "spec", "externalIPs"),
            [_Port(each) for each in ports],
        ),
        _Status(_LoadBalancer([_Ingress(each) for each in ingress])),
    )
