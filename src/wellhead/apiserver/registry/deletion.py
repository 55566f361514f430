"""What a deletion does to an object: pure decisions (apiserver's registry/rest/delete.go and store.go)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from wellhead.api import schema
from wellhead.api.errors import Cause, Conflict, Invalid
from wellhead.api.meta import GroupVersionKind, Obj, format_time, parse_time
from wellhead.api.resource import Resource
from wellhead.api.resources import NAMESPACES, PODS, kind_of
from wellhead.apiserver.call import check_dry_run

Propagation = Literal["Foreground", "Background", "Orphan"]
_PROPAGATIONS: dict[str, Propagation] = {
    "Foreground": "Foreground",
    "Background": "Background",
    "Orphan": "Orphan",
}
FOREGROUND_FINALIZER = "foregroundDeletion"
ORPHAN_FINALIZER = "orphan"
_DEFAULT_GRACE = 30  # seconds
_MAX_GRACE = 1 << 31  # a lifetime, and a deletionTimestamp that has four digits in its year
_DELETE_OPTIONS = GroupVersionKind("", "v1", "DeleteOptions")


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """meta/v1 DeleteOptions."""

    grace_period: int | None = None
    """Seconds."""
    propagation: Propagation | None = None
    uid: str | None = None
    resource_version: str | None = None
    dry_run: bool = False
    sent: Obj = field(default_factory=dict, hash=False)
    """As the client said them."""


def delete_options(body: object) -> DeleteOptions:
    """From the object; clients send it as one of any group and version. Raises BadRequest, Invalid."""
    if isinstance(body, dict) and isinstance(body.get("apiVersion"), str):
        body = {field: value for field, value in body.items() if field != "apiVersion"}
    obj = schema.decode(body, _DELETE_OPTIONS).object
    causes = []
    policy = obj.get("propagationPolicy")
    orphan = obj.get("orphanDependents")
    if policy is not None and orphan is not None:
        causes.append(
            Cause.invalid(
                "propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set"
            )
        )
    if policy is not None and policy not in _PROPAGATIONS:
        causes.append(Cause.not_supported("propagationPolicy", policy, (*_PROPAGATIONS, "nil")))
    grace = obj.get("gracePeriodSeconds")
    if causes:
        raise Invalid.of("meta.k8s.io", "DeleteOptions", "", causes)
    propagation = _PROPAGATIONS.get(policy or "")
    if orphan is not None:
        propagation = "Orphan" if orphan else "Background"
    preconditions = obj.get("preconditions") or {}
    dry_run = [check_dry_run(value, "DeleteOptions") for value in obj.get("dryRun") or ()]
    return DeleteOptions(
        grace,
        propagation,
        preconditions.get("uid"),
        preconditions.get("resourceVersion"),
        any(dry_run),
        obj,
    )


def check_preconditions(resource: Resource, obj: Obj, options: DeleteOptions) -> None:
    """Raises Conflict."""
    metadata = obj["metadata"]
    if options.uid is not None and options.uid != metadata["uid"]:
        raise Conflict.precondition(
            resource, metadata["name"], "UID", options.uid, metadata["uid"], "deleted and then recreated"
        )
    if options.resource_version is not None and options.resource_version != metadata["resourceVersion"]:
        wanted, actual = options.resource_version, metadata["resourceVersion"]
        raise Conflict.precondition(resource, metadata["name"], "ResourceVersion", wanted, actual, "modified")


def mark_deleted(resource: Resource, obj: Obj, options: DeleteOptions) -> bool:
    """Change `obj` as this deletion does; the answer is whether it is to be removed now.

    It stays, with a deletionTimestamp, while a grace period runs or finalizers are left.
    """
    metadata = obj["metadata"]
    _set_finalizers(metadata, options.propagation or _default_propagation(resource, metadata))
    grace = _grace_period(resource, obj, options)
    if metadata.get("deletionTimestamp"):
        _shorten(metadata, grace)
    else:
        kind_of(resource).strategy.prepare_delete(obj)
        if resource not in (PODS, NAMESPACES) and not metadata.get("finalizers"):
            return True  # nothing says of it that it is going: it is gone
        metadata["deletionTimestamp"] = format_time(_now() + timedelta(seconds=grace))
        if resource != NAMESPACES:
            metadata["deletionGracePeriodSeconds"] = grace
        if metadata.get("generation"):
            metadata["generation"] += 1
    if resource == NAMESPACES:
        obj["status"] = (obj.get("status") or {}) | {"phase": "Terminating"}
    return is_finished(resource, obj)


def is_finished(resource: Resource, obj: Obj) -> bool:
    """Whether nothing holds an object any more that was marked as deleted."""
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    if resource == NAMESPACES and (obj.get("spec") or {}).get("finalizers"):
        return False
    return not metadata.get("deletionGracePeriodSeconds")


def _default_propagation(resource: Resource, metadata: Obj) -> Propagation | None:
    """What the kind says, unless finalizers say it already."""
    if any(name in (FOREGROUND_FINALIZER, ORPHAN_FINALIZER) for name in metadata.get("finalizers") or ()):
        return None
    return kind_of(resource).strategy.default_propagation or None


def _set_finalizers(metadata: Obj, propagation: Propagation | None) -> None:
    """Ask the garbage collector to go first, or not to. Without a policy, what is there counts."""
    if propagation is None:
        return
    finalizers = [
        finalizer
        for finalizer in metadata.get("finalizers") or ()
        if finalizer not in (FOREGROUND_FINALIZER, ORPHAN_FINALIZER)
    ]
    if propagation == "Foreground":
        finalizers.append(FOREGROUND_FINALIZER)
    elif propagation == "Orphan":
        finalizers.append(ORPHAN_FINALIZER)
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)


def _grace_period(resource: Resource, obj: Obj, options: DeleteOptions) -> int:
    """Seconds. Only a pod that may be running on a node gets any (pod strategy, CheckGracefulDelete)."""
    if resource != PODS:
        return 0
    spec = obj.get("spec") or {}
    if not spec.get("nodeName") or (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    grace = options.grace_period
    if grace is None:
        grace = spec.get("terminationGracePeriodSeconds", _DEFAULT_GRACE)
    return 1 if grace < 0 else min(int(grace), _MAX_GRACE)


def _shorten(metadata: Obj, grace: int) -> None:
    """A second deletion may only make the first one's grace period shorter."""
    current = metadata.get("deletionGracePeriodSeconds") or 0
    if grace >= current:
        return
    started = parse_time(metadata["deletionTimestamp"]) - timedelta(seconds=current)
    end = max(started + timedelta(seconds=grace), _now())
    metadata["deletionTimestamp"] = format_time(end)
    metadata["deletionGracePeriodSeconds"] = grace


def _now() -> datetime:
    return datetime.now(UTC)
