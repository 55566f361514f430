"""Which EndpointSlices have to change so that together they hold certain endpoints: as few as possible.

Source: upstream's endpointslice reconciler (staging/src/k8s.io/endpointslice). Every endpoint stays in the
slice where it is; new ones fill slices that change anyway, then the fullest slice with room for all of them,
then new slices. So one pod's change rewrites one slice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from wellhead.api.meta import Key, controller_of, is_deleting, labels, owner_references
from wellhead.api.meta import annotations as annotations_of
from wellhead.api.names import SLICE_MANAGER_LABEL, TRIGGER_TIME_ANNOTATION
from wellhead.api.types.endpointslice import Endpoint, EndpointSlice
from wellhead.api.types.shared import ObjectMeta, OwnerReference
from wellhead.client.informer import Handler
from wellhead.controllers.endpointslice.ports import Port, Ports
from wellhead.controllers.indexes import service_of_slice
from wellhead.controllers.store import Store

MAX_ENDPOINTS = 100

SliceKind = tuple[str, Ports]
"""(address type, ports): what all endpoints of a slice have in common."""


@dataclass(frozen=True)
class Frame:
    """What the slices of one owner look like around their endpoints."""

    generate_name: str
    namespace: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    owner_references: Sequence[OwnerReference]
    trigger_time: str | None = None
    """For `endpoints.kubernetes.io/last-change-trigger-time` on slices whose endpoints change."""


@dataclass
class Changes:
    create: list[EndpointSlice] = field(default_factory=list)
    update: list[EndpointSlice] = field(default_factory=list)
    delete: list[EndpointSlice] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.create or self.update or self.delete)


def slice_handler(
    managed_by: str, slices: Store[EndpointSlice], enqueue: Callable[[Key], None]
) -> Handler[EndpointSlice]:
    """A handler of changes: enqueues the Service of each slice that has this manager, to look at it again.

    Somebody else may have changed or deleted it.
    """

    def handle(old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        if slices.echoes:
            return
        for each in (old, new):
            if each is not None and labels(each).get(SLICE_MANAGER_LABEL) == managed_by:
                for service in service_of_slice(each):
                    enqueue(service)

    return handle


def kind_of(endpointslice: EndpointSlice) -> SliceKind:
    ports = tuple(sorted(map(Port.from_object, endpointslice.get("ports") or []), key=_port_order))
    return endpointslice["addressType"], ports


def changes(
    existing: Iterable[EndpointSlice],
    desired: Mapping[SliceKind, Sequence[Endpoint]],
    frame: Frame,
    families: Iterable[str],
    most: int = MAX_ENDPOINTS,
) -> Changes:
    """Make `existing` hold `desired`, with an empty slice for each of `families` without any endpoint."""
    result = Changes()
    wanted: dict[SliceKind, Sequence[Endpoint]] = {kind: each for kind, each in desired.items() if each}
    have = {family for family, _ in wanted}
    wanted |= {(family, ()): () for family in families if family not in have}
    by_kind: dict[SliceKind, list[EndpointSlice]] = {}
    for each in existing:
        if is_deleting(each) or not _is_ours(each, frame):
            continue
        kind = kind_of(each)
        if kind in wanted:
            by_kind.setdefault(kind, []).append(each)
        else:
            result.delete.append(each)
    for kind, endpoints in wanted.items():
        _settle(kind, endpoints, by_kind.get(kind, []), frame, most, result)
    _recycle(result)
    return result


def _recycle(result: Changes) -> None:
    """Instead of deleting one slice and creating another, rewrite the one (its address type can't change)."""
    for doomed in list(result.delete):
        new = next((each for each in result.create if each["addressType"] == doomed["addressType"]), None)
        if new is not None:
            result.delete.remove(doomed)
            result.create.remove(new)
            result.update.append(
                {**doomed, **new, "metadata": {**doomed["metadata"], **_without_name(new["metadata"])}}
            )


def _without_name(metadata: ObjectMeta) -> ObjectMeta:
    kept = metadata.copy()
    kept.pop("generateName", None)
    return kept


def _is_ours(endpointslice: EndpointSlice, frame: Frame) -> bool:
    """Not a former owner's of the same name, whose slices the garbage collector is about to delete."""
    controller = controller_of(endpointslice)
    return controller is None or any(ref["uid"] == controller["uid"] for ref in frame.owner_references)


@dataclass
class _Draft:
    before: EndpointSlice | None
    endpoints: list[Endpoint]
    changed: bool = False


def _settle(
    kind: SliceKind,
    desired: Sequence[Endpoint],
    existing: Sequence[EndpointSlice],
    frame: Frame,
    most: int,
    result: Changes,
) -> None:
    missing = {_identity(endpoint): endpoint for endpoint in desired}
    drafts = []
    for each in existing:
        before = each.get("endpoints") or []
        kept = [new for old in before if (new := missing.pop(_identity(old), None)) is not None]
        drafts.append(_Draft(each, kept, changed=kept != before))
    rest = list(missing.values())
    for draft in drafts:
        if draft.changed and rest and draft.endpoints:
            _fill(draft, rest, most)
    if rest:
        roomy = [d for d in drafts if not d.changed and len(d.endpoints) + len(rest) <= most and d.endpoints]
        if roomy:
            _fill(max(roomy, key=lambda draft: len(draft.endpoints)), rest, most)
    for draft in drafts:  # an empty one is reused before a new one is made
        if rest and not draft.endpoints:
            _fill(draft, rest, most)
    while rest:
        draft = _Draft(None, [])
        _fill(draft, rest, most)
        drafts.append(draft)
    filled = [draft for draft in drafts if draft.endpoints]
    if not filled:
        filled = drafts[:1] or [_Draft(None, [], changed=True)]
    for draft in drafts:
        if draft.before is not None and not any(draft is each for each in filled):
            result.delete.append(draft.before)
    for draft in filled:
        if draft.before is None:
            result.create.append(_new(kind, draft.endpoints, frame))
        else:
            updated = _updated(draft.before, draft.endpoints, frame, changed=draft.changed)
            if updated is not None:
                result.update.append(updated)


def _fill(draft: _Draft, rest: list[Endpoint], most: int) -> None:
    room = most - len(draft.endpoints)
    if room > 0:
        draft.endpoints += rest[:room]
        del rest[:room]
        draft.changed = True


def _new(kind: SliceKind, endpoints: list[Endpoint], frame: Frame) -> EndpointSlice:
    address_type, ports = kind
    metadata: ObjectMeta = {
        "generateName": frame.generate_name,
        "namespace": frame.namespace,
        "labels": dict(frame.labels),
        "ownerReferences": list(frame.owner_references),
    }
    found = _annotations(frame, {}, changed=True)
    if found:
        metadata["annotations"] = found
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": address_type,
        "endpoints": endpoints,
        "ports": [port.to_object() for port in ports],
    }


def _updated(
    before: EndpointSlice, endpoints: list[Endpoint], frame: Frame, *, changed: bool
) -> EndpointSlice | None:
    found = _annotations(frame, annotations_of(before), changed=changed)
    owners = list(frame.owner_references)
    if (
        not changed
        and labels(before) == frame.labels
        and annotations_of(before) == found
        and owner_references(before) == owners
    ):
        return None
    metadata: ObjectMeta = {
        **before["metadata"],
        "labels": dict(frame.labels),
        "annotations": found,
        "ownerReferences": owners,
    }
    return {**before, "metadata": metadata, "endpoints": endpoints}


def _annotations(frame: Frame, before: Mapping[str, str], *, changed: bool) -> dict[str, str]:
    found = dict(frame.annotations)
    if not changed and TRIGGER_TIME_ANNOTATION in before:
        found[TRIGGER_TIME_ANNOTATION] = before[TRIGGER_TIME_ANNOTATION]
    elif changed and frame.trigger_time is not None:
        found[TRIGGER_TIME_ANNOTATION] = frame.trigger_time
    return found


def _identity(endpoint: Endpoint) -> tuple[object, ...]:
    """An endpoint that differs in nothing but its state stays where it is."""
    target = endpoint.get("targetRef") or {}
    return (*endpoint["addresses"], target.get("uid"))


def _port_order(port: Port) -> tuple[str, int, str]:
    return port.name, port.port or 0, port.protocol
