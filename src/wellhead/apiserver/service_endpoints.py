"""Where a Service answers: this server dials an endpoint itself, since it may not be where a proxy runs."""

from __future__ import annotations

import random

from wellhead.api.errors import NotFound, ServiceUnavailable
from wellhead.api.meta import Obj
from wellhead.api.resources import ENDPOINTS, SERVICES
from wellhead.apiserver.registry.registry import Registry
from wellhead.text import quoted


def endpoint(registry: Registry, namespace: str, name: str, port: str) -> tuple[str, str]:
    """Any ready endpoint's address and port. `port` is the Service's, by number or name; "": its only one.

    Raises NotFound, ServiceUnavailable.
    """
    service = registry.object(SERVICES, namespace, name)
    ports = service["spec"].get("ports") or []
    chosen = [each for each in ports if port in ("", each.get("name", ""), str(each["port"]))]
    if not chosen or (not port and len(ports) > 1):
        raise ServiceUnavailable(f"no service port {quoted(port)} found for service {quoted(name)}")
    endpoints = registry.lookup(ENDPOINTS, (namespace, name))
    if endpoints is None:
        raise NotFound.of(ENDPOINTS, name)
    found = _addresses(endpoints, chosen[0].get("name", ""))
    if not found:
        raise ServiceUnavailable(f'no endpoints available for service "{name}"')
    return random.choice(found)


def server_address(registry: Registry, namespace: str, name: str, port: int) -> tuple[str, int]:
    """Where a server behind a Service is dialled: a webhook, or what an APIService leads to.

    Raises NotFound, ServiceUnavailable.
    """
    service = registry.object(SERVICES, namespace, name)
    if service["spec"].get("type") == "ExternalName":
        return service["spec"]["externalName"], port
    host, number = endpoint(registry, namespace, name, str(port))
    return host, int(number)


def _addresses(endpoints: Obj, port: str) -> list[tuple[str, str]]:
    return [
        (address["ip"], str(each["port"]))
        for subset in endpoints.get("subsets") or ()
        for each in subset.get("ports") or ()
        if each.get("name", "") == port
        for address in subset.get("addresses") or ()
    ]
