"""The load-balancer classes that are ours: the two categories of “Using Source IP”. Pure."""

from __future__ import annotations

from wellhead.api.meta import Obj
from wellhead.api.names import FORWARDER_CLASS, PROXY_CLASS

_OURS = (FORWARDER_CLASS, PROXY_CLASS)


class Unsupported(Exception):
    """The Service asks for something that can't be done. The text says what; it becomes an event."""


def class_of(service: Obj) -> str | None:
    """The class of ours that the Service has; None if it is no load balancer, or someone else's."""
    spec = service.get("spec", {})
    if spec.get("type") != "LoadBalancer":
        return None
    name = str(spec.get("loadBalancerClass") or FORWARDER_CLASS)
    return name if name in _OURS else None
