"""How an object of a kind is created and updated: from a decoded body to an object that can be stored.

What a kind adds to it is its `Strategy`. Of a Service's addresses and ports, `allocation` decides afterwards.
"""

from __future__ import annotations

from wellhead.api import metadata
from wellhead.api.field_management import record
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import kind_of
from wellhead.api.schema import blank_status
from wellhead.api.strategy import Context


def received(
    resource: Resource, obj: Obj, context: Context, old: Obj | None = None, subresource: str = ""
) -> Obj:
    """A decoded body as admission sees it (`obj` itself, changed): with its defaults, if it is the whole
    object, and the record of who changes which field of `old`. Raises BadRequest.
    """
    kind = kind_of(resource)
    obj.setdefault("metadata", {})
    if not subresource or subresource in kind.strategy.parts:
        metadata.check_namespace(resource, obj["metadata"], context.namespace)
        kind.strategy.default(obj)
    if context.forgets_managers:
        obj["metadata"]["managedFields"] = []
    elif context.writer is not None:
        seen = obj if old is None else combined(resource, obj, old, subresource)
        if old is None and resource.has_status:
            seen = {field: value for field, value in obj.items() if field != "status"}
        record(kind, obj, seen, old or {}, context.writer)
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
    if resource.has_status and resource.custom is None:
        obj["status"] = blank_status(resource.gvk) | obj.get(
            "status", {}
        )  # which Go writes even if it is empty
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
    new = combined(resource, new, old, subresource)
    metadata.prepare_update(resource, new, old, context.namespace)
    causes = metadata.validate_update(new, old)
    if subresource:  # which may write labels and such along
        causes += metadata.validate(resource, new, strategy.name_check)
    if subresource == "status":
        strategy.prepare_status_update(new, old)
        causes += strategy.validate_status_update(new, old)
    elif subresource == "finalize":
        strategy.default(new)
        names = new["spec"].get("finalizers") or ()
        causes += metadata.validate_finalizers(names, "spec.finalizers")
    elif subresource in strategy.parts:
        causes += strategy.validate_part(subresource, new, old)
        if strategy.counts_generations and _intent(new) != _intent(old):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
    elif subresource == "":
        strategy.prepare_update(new, old, context)
        causes += metadata.validate(resource, new, strategy.name_check)
        causes += strategy.validate_update(new, old)
        if strategy.counts_generations and _intent(new) != _intent(old):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
    metadata.refuse(resource, new, causes)
    return new


def combined(resource: Resource, new: Obj, old: Obj, subresource: str) -> Obj:
    """What was sent, with all of `old` that this request can't change."""
    if subresource == "status":
        written = kind_of(resource).strategy.status_metadata
        mixed = {**old, "metadata": _status_metadata(new, old, written), **_only_status(new)}
        if resource.custom is not None and "status" not in new:
            del mixed["status"]  # which built-in kinds always have
        return mixed
    if subresource == "finalize":
        spec = {name: value for name, value in (old.get("spec") or {}).items() if name != "finalizers"}
        if left := (new.get("spec") or {}).get("finalizers"):
            spec["finalizers"] = left
        written = kind_of(resource).strategy.status_metadata
        return {**old, "metadata": _status_metadata(new, old, written), "spec": spec}
    if subresource:
        strategy = kind_of(resource).strategy
        mixed = strategy.combine_part(subresource, new, old)
        return {**mixed, "metadata": _status_metadata(new, old, strategy.part_metadata)}
    if resource.has_status:
        new = {field: value for field, value in new.items() if field != "status"}
        if "status" in old:
            new["status"] = old["status"]
    return new


def _intent(obj: Obj) -> Obj:
    """All that a user decides: a change of it is a new generation."""
    return {name: value for name, value in obj.items() if name not in ("metadata", "status")}


def _status_metadata(new: Obj, old: Obj, written: frozenset[str]) -> Obj:
    """A status update may write some of the metadata along, as upstream's do: what it leaves out is gone."""
    sent = new.get("metadata") or {}
    kept = {name: value for name, value in old["metadata"].items() if name not in written}
    for name in (*written, "uid", "name", "namespace", "managedFields"):
        if name in sent:
            kept[name] = sent[name]
    return {**kept, **_version(new)}


def _only_status(new: Obj) -> Obj:
    return {"status": new["status"]} if "status" in new else {"status": {}}


def _version(new: Obj) -> Obj:
    sent = (new.get("metadata") or {}).get("resourceVersion")
    return {"resourceVersion": sent} if sent else {"resourceVersion": ""}
