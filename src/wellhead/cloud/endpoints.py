"""Which nodes can still answer for a Service."""

from __future__ import annotations

from collections.abc import Iterable

from wellhead.api.meta import Key, Obj, labels

SERVICE_LABEL = "kubernetes.io/service-name"


def service_of(endpoint_slice: Obj) -> list[Key]:
    """The Service that an EndpointSlice belongs to: an index function, so none or one."""
    name = labels(endpoint_slice).get(SERVICE_LABEL)
    return [(endpoint_slice["metadata"]["namespace"], name)] if name else []


def serving_nodes(slices: Iterable[Obj]) -> frozenset[str]:
    """The names of the nodes with an endpoint that serves, terminating or not (KEP-1672).

    An unset condition counts as serving, as the API says.
    """
    return frozenset(
        endpoint["nodeName"]
        for each in slices
        for endpoint in each.get("endpoints") or []
        if endpoint.get("nodeName") and _serves(endpoint.get("conditions") or {})
    )


def _serves(conditions: Obj) -> bool:
    serving = conditions.get("serving")
    return bool(conditions.get("ready", True) if serving is None else serving)
