"""Pods and Namespaces, as far as policies ask."""

from __future__ import annotations

from collections.abc import Mapping
from sys import intern

import msgspec

from wellhead.api.meta import Obj
from wellhead.ip import IPAddress, Protocol, parse_address, parse_protocol

Labels = frozenset[tuple[str, str]]


class NamedNumber(msgspec.Struct, frozen=True, order=True, gc=False):
    """What a pod's containers call one of their ports."""

    name: str
    protocol: Protocol
    number: int


class Pod(msgspec.Struct, frozen=True, gc=False):
    """A pod with addresses of its own."""

    namespace: str
    name: str
    uid: str
    created: str
    """When, as the API writes it (RFC 3339): of two that have one address, it is the newer one's."""
    node: str
    labels: Labels
    addresses: tuple[IPAddress, ...]
    ports: tuple[NamedNumber, ...] = ()

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def labels_of(obj: Obj) -> Labels:
    """An object's labels."""
    found: Mapping[str, str] = obj["metadata"].get("labels") or {}
    return frozenset((intern(name), value) for name, value in found.items())


def parse_pod(obj: Obj) -> Pod | None:
    """A Pod object as a value. None for one that has no address of its own (now, yet, or any more).

    A pod on its node's network is that node, to whoever sees its packets. One that has ended has given its
    addresses back.
    """
    metadata, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    if spec.get("hostNetwork") or status.get("phase") in ("Succeeded", "Failed"):
        return None
    texts = [each.get("ip") or "" for each in status.get("podIPs") or ()] or [status.get("podIP") or ""]
    addresses = tuple(found for text in texts if (found := parse_address(text)) is not None)
    if not addresses:
        return None
    return Pod(
        intern(metadata["namespace"]),
        metadata["name"],
        metadata.get("uid", ""),
        metadata.get("creationTimestamp") or "",
        intern(spec.get("nodeName") or ""),
        labels_of(obj),
        addresses,
        _ports(spec),
    )


def _ports(spec: Obj) -> tuple[NamedNumber, ...]:
    """Those of containers that run beside each other, sidecars among them."""
    sidecars = (each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always")
    found = (
        NamedNumber(port["name"], parse_protocol(port.get("protocol")), port["containerPort"])
        for container in (*(spec.get("containers") or ()), *sidecars)
        for port in container.get("ports") or ()
        if port.get("name")
    )
    return tuple(sorted(set(found)))
