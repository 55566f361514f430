"""A zone filled from API objects, and a client that reads replies by dnspython."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dns.message
import dns.rdatatype

from wellhead.api.meta import Obj
from wellhead.dns.objects import read_service, read_slice
from wellhead.dns.responder import Elsewhere, Responder

DOMAIN = "cluster.local"


def service(name: str, *ips: str, namespace: str = "shop", ports: Sequence[Obj] = (), **spec: Any) -> Obj:
    """A Service at these ClusterIPs; without any it is headless."""
    ports = ports or [{"name": "http", "protocol": "TCP", "port": 80}]
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"clusterIPs": list(ips) or ["None"], "ports": list(ports), **spec},
    }


def external(name: str, target: str, namespace: str = "shop") -> Obj:
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"type": "ExternalName", "externalName": target},
    }


def endpoint(address: str, hostname: str = "", ready: bool | None = True) -> Obj:
    found: Obj = {"addresses": [address], "conditions": {} if ready is None else {"ready": ready}}
    return found | ({"hostname": hostname} if hostname else {})


def endpoint_slice(
    service: str, *endpoints: Obj, namespace: str = "shop", name: str = "", port: int = 8080
) -> Obj:
    version = 6 if endpoints and ":" in endpoints[0]["addresses"][0] else 4
    return {
        "metadata": {
            "namespace": namespace,
            "name": name or f"{service}-{version}",
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": f"IPv{version}",
        "endpoints": list(endpoints),
        "ports": [{"name": "http", "protocol": "TCP", "port": port}],
    }


def responder(*objects: Obj, forwards: bool = False, namespaces: Sequence[str] = ("shop",)) -> Responder:
    """One that is ready, and knows these Services and EndpointSlices."""
    made = Responder(DOMAIN, ("10.0.0.10",), 7, forwards=forwards)
    made.is_ready = True
    for namespace in namespaces:
        made.zone.namespace_changed(None, namespace)
    for each in objects:
        if "addressType" in each:
            made.zone.slice_changed(None, read_slice(each))
        else:
            made.zone.service_changed(None, read_service(each))
    return made


def ask(
    asked: Responder, name: str, type: str = "A", *, tcp: bool = False, **query: Any
) -> dns.message.Message:
    """The reply to one question."""
    message = dns.message.make_query(name, type, **query)
    found = asked.respond(message.to_wire(), tcp=tcp)
    assert not isinstance(found, Elsewhere)
    reply, _ = found
    assert reply is not None
    answer = dns.message.from_wire(reply)
    assert message.is_response(answer)
    return answer


def told(reply: dns.message.Message) -> tuple[str, list[str]]:
    """Its code, and its answers as `TYPE data`, in an order of their own."""
    lines = [f"{dns.rdatatype.to_text(rrset.rdtype)} {rdata}" for rrset in reply.answer for rdata in rrset]
    return reply.rcode().name, sorted(lines)
