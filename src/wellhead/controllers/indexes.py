"""By what the controllers look objects up, so that no change costs a walk over all objects."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from wellhead.api.meta import AnyObj, Key, controller_of, labels
from wellhead.api.names import SERVICE_NAME_LABEL
from wellhead.api.quota.usage import is_measured
from wellhead.api.resource import Resource
from wellhead.api.resources import (
    CONTROLLERREVISIONS,
    DAEMONSETS,
    ENDPOINTSLICES,
    JOBS,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODDISRUPTIONBUDGETS,
    PODS,
    REPLICASETS,
    REPLICATIONCONTROLLERS,
    RESOURCES,
    SERVICES,
    STATEFULSETS,
)
from wellhead.client.informer import IndexFunction
from wellhead.controllers.storage.places import claim_places, pod_claims, volume_places


def _namespace(obj: AnyObj) -> str:
    return str(obj["metadata"].get("namespace") or "")


def _controller(obj: AnyObj) -> Iterable[Hashable]:
    """The uid of the object's controller."""
    reference = controller_of(obj)
    return [reference["uid"]] if reference else []


def _uncontrolled(obj: AnyObj) -> Iterable[Hashable]:
    """The namespace of an object that has no controller."""
    return [] if controller_of(obj) else [_namespace(obj)]


def _labels(obj: AnyObj) -> Iterable[Hashable]:
    """(namespace, label, value) for each label."""
    namespace = _namespace(obj)
    return [(namespace, name, value) for name, value in labels(obj).items()]


def _node(obj: AnyObj) -> Iterable[Hashable]:
    node = obj["spec"].get("nodeName")
    return [node] if node else []


def _terminated(obj: AnyObj) -> Iterable[Hashable]:
    return [(obj.get("status") or {}).get("phase") in ("Succeeded", "Failed")]


def _selected_label(service: AnyObj) -> Iterable[Hashable]:
    """(namespace, label, value) of one label that all selected pods have; nothing without a selector."""
    selector = service["spec"].get("selector")
    return [(_namespace(service), *min(selector.items()))] if selector else []


def service_of_slice(endpointslice: AnyObj) -> list[Key]:
    """(namespace, name) of the Service that the slice belongs to."""
    name = labels(endpointslice).get(SERVICE_NAME_LABEL)
    return [(_namespace(endpointslice), name)] if name else []


_OWNED_OWNERS: Mapping[str, IndexFunction[Any]] = {
    "controller": _controller,
    "uncontrolled": _uncontrolled,
    "namespace": lambda obj: [_namespace(obj)],
}
"""Of those that own pods, and may be owned themselves."""

_INDEXES: Mapping[Resource, Mapping[str, IndexFunction[Any]]] = {
    PODS: {
        "controller": _controller,
        "uncontrolled": _uncontrolled,
        "namespace": lambda obj: [_namespace(obj)],
        "label": _labels,
        "node": _node,
        "terminated": _terminated,
        "claim": pod_claims,
    },
    JOBS: {"controller": _controller, "namespace": lambda obj: [_namespace(obj)]},
    REPLICASETS: _OWNED_OWNERS,
    REPLICATIONCONTROLLERS: _OWNED_OWNERS,
    DAEMONSETS: {"namespace": lambda obj: [_namespace(obj)]},
    PODDISRUPTIONBUDGETS: {"namespace": lambda obj: [_namespace(obj)]},
    STATEFULSETS: {"namespace": lambda obj: [_namespace(obj)]},
    CONTROLLERREVISIONS: {"controller": _controller, "uncontrolled": _uncontrolled},
    SERVICES: {"selected label": _selected_label},
    ENDPOINTSLICES: {"service": service_of_slice},
    PERSISTENTVOLUMES: {"place": volume_places},
    PERSISTENTVOLUMECLAIMS: {"place": claim_places},
}
_BY_NAMESPACE: Mapping[str, IndexFunction[Any]] = {"namespace": lambda obj: [_namespace(obj)]}

INDEXES: Mapping[Resource, Mapping[str, IndexFunction[Any]]] = {
    **_INDEXES,
    # Quotas are counted namespace by namespace.
    **{each: {**_BY_NAMESPACE, **_INDEXES.get(each, {})} for each in RESOURCES if is_measured(each)},
}
