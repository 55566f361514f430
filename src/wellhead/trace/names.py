"""Whose an address is: a machine's, a pod's, a Service's. From the interfaces of the places and from API
objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from wellhead.api.meta import Obj, key
from wellhead.ip import IPAddress, parse_address


class Owner(StrEnum):
    CLIENT = "client"
    NODE = "node"
    POD = "pod"
    BALANCER = "balancer"
    SERVICE = "service"
    OTHER = "other"


@dataclass(frozen=True)
class Named:
    """An address's owner."""

    owner: Owner
    name: str
    node: str = ""

    def __str__(self) -> str:
        return self.name if self.owner in (Owner.NODE, Owner.CLIENT) else f"{self.owner} {self.name}"


@dataclass
class Names:
    """Names of addresses and of places."""

    by_address: dict[IPAddress, Named] = field(default_factory=dict)
    pods: dict[str, str] = field(default_factory=dict)
    """uid → namespace/name"""
    nodes: set[str] = field(default_factory=set)
    """The places that are nodes."""

    def of(self, address: IPAddress) -> Named | None:
        return self.by_address.get(address)

    def add(self, named: Named, addresses: Iterable[str]) -> None:
        """The first who is added keeps an address."""
        for text in addresses:
            address = parse_address(text)
            if address is not None and not (address.is_loopback or address.is_link_local):
                self.by_address.setdefault(address, named)

    def place(self, place: str) -> str:
        """The name of a place as people know it: `pod shop/web-0` for `pod UID`."""
        kind, _, uid = place.partition(" ")
        return f"pod {self.pods.get(uid, uid)}" if kind == "pod" else place


def of_objects(
    pods: Iterable[Obj], nodes: Iterable[Obj], services: Iterable[Obj], balancers: Mapping[str, Iterable[str]]
) -> Names:
    """Names from what the API says; `balancers` are machines between clients and nodes, with their
    addresses.
    """
    names = Names()
    for pod in pods:
        namespace, name = key(pod)
        names.pods[pod["metadata"]["uid"]] = f"{namespace}/{name}"
        if not pod["spec"].get("hostNetwork"):
            named = Named(Owner.POD, f"{namespace}/{name}", pod["spec"].get("nodeName", ""))
            names.add(named, (entry["ip"] for entry in (pod.get("status") or {}).get("podIPs") or ()))
    for node in nodes:
        name = node["metadata"]["name"]
        names.nodes.add(name)
        addresses = (node.get("status") or {}).get("addresses") or ()
        names.add(Named(Owner.NODE, name, name), (entry["address"] for entry in addresses))
    for service in services:
        spec, status = service["spec"], service.get("status") or {}
        ingress = (status.get("loadBalancer") or {}).get("ingress") or ()
        named = Named(Owner.SERVICE, "/".join(key(service)))
        names.add(named, spec.get("clusterIPs") or ())
        names.add(named, spec.get("externalIPs") or ())
        names.add(named, (entry.get("ip", "") for entry in ingress))
    for name, machine_addresses in balancers.items():
        names.add(Named(Owner.BALANCER, name), machine_addresses)
    return names
