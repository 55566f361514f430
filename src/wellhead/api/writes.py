"""How an object of a kind is created and updated: from a decoded body to an object that can be stored.

What a kind adds to it is its `Strategy`. Of a Service's addresses and ports, `allocation` decides afterwards.
"""

from __future__ import annotations

from wellhead.api import metadata
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import kind_of
from wellhead.api.strategy import Context


def received(resource: Resource, obj: Obj, context: Context) -> Obj:
    """A decoded body with its defaults, as admission sees it (`obj` itself, changed). Raises BadRequest."""
    metadata.check_namespace(resource, obj.setdefault("metadata", {}), context.namespace)
    kind_of(resource).strategy.default(obj)
    return obj


def create(resource: Resource, obj: Obj, context: Context) -> Obj:
    """What was received as the object to store (`obj` itself, changed).

    Raises BadRequest, Forbidden, Invalid.
    """
    strategy = kind_of(resource).strategy
    metadata.prepare_create(resource, obj, context.namespace, context.now)
    if resource.has_status and not strategy.keeps_initial_status:
        obj.pop("status", None)
    if strategy.counts_generations:
        obj["metadata"]["generation"] = 1
    strategy.prepare_create(obj, context)
    metadata.refuse(
        resource,
        obj,
        [*metadata.validate(resource, obj, strategy.name_check), *strategy.validate_create(obj)],
    )
    return obj


def update(resource: Resource, new: Obj, old: Obj, context: Context, subresource: str = "") -> Obj:
    """What was received as the replacement of `old`; for `status` and `finalize`, a decoded body.

    Returns `new`, changed; `old` stays as it is. resourceVersion is kept as sent: the caller checks it.
    Raises BadRequest, Invalid.
    """
    strategy = kind_of(resource).strategy
    if subresource == "status":
        new = {**old, "metadata": _status_metadata(new, old), **_only_status(new)}
    elif subresource == "finalize":
        spec = {**(old.get("spec") or {}), "finalizers": (new.get("spec") or {}).get("finalizers") or []}
        new = {**old, "metadata": {**old["metadata"], **_version(new)}, "spec": spec}
    elif resource.has_status:
        new.pop("status", None)
        if "status" in old:
            new["status"] = old["status"]
    metadata.prepare_update(resource, new, old, context.namespace)
    causes = metadata.validate_update(new, old)
    if subresource:  # which may write labels and such along
        causes += metadata.validate(resource, new, strategy.name_check)
    if subresource == "status":
        strategy.prepare_status_update(new, old)
        causes += strategy.validate_status_update(new, old)
    elif subresource == "finalize":
        names = new["spec"]["finalizers"]
        causes += metadata.validate_finalizers(names, "spec.finalizers")
    elif subresource == "":
        strategy.prepare_update(new, old, context)
        causes += metadata.validate(resource, new, strategy.name_check)
        causes += strategy.validate_update(new, old)
        if strategy.counts_generations and _intent(new) != _intent(old):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
    metadata.refuse(resource, new, causes)
    return new


def _intent(obj: Obj) -> Obj:
    """All that a user decides: a change of it is a new generation."""
    return {name: value for name, value in obj.items() if name not in ("metadata", "status")}


def _status_metadata(new: Obj, old: Obj) -> Obj:
    """A status update may write labels, annotations and finalizers along, as upstream's do."""
    sent = new.get("metadata") or {}
    kept = dict(old["metadata"])
    for name in ("labels", "annotations", "finalizers", "uid", "name", "namespace", "managedFields"):
        if name in sent:
            kept[name] = sent[name]
    return {**kept, **_version(new)}


def _only_status(new: Obj) -> Obj:
    return {"status": new["status"]} if "status" in new else {"status": {}}


def _version(new: Obj) -> Obj:
    sent = (new.get("metadata") or {}).get("resourceVersion")
    return {"resourceVersion": sent} if sent else {"resourceVersion": ""}
