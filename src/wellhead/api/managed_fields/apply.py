"""Server-side apply: what a manager wants of an object, merged into what is there (KEP-555).

Fields that he applied before and doesn't name any more go, unless somebody else manages them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from wellhead.api.errors import BadRequest, PlainError
from wellhead.api.managed_fields import sets
from wellhead.api.managed_fields.compare import compare, field_set
from wellhead.api.managed_fields.conflicts import ManagersConflict
from wellhead.api.managed_fields.entries import Entry, Managers, read, write
from wellhead.api.managed_fields.merge import merge, remove, with_structs
from wellhead.api.managed_fields.sets import Tree
from wellhead.api.managed_fields.update import (
    BEFORE_FIRST_APPLY,
    SERVERS,
    Kind,
    Writer,
    reconciled,
    released,
    tracked,
)
from wellhead.api.managed_fields.validation import problems
from wellhead.api.meta import GroupVersionKind, Obj
from wellhead.api.metadata import ANNOTATIONS_LIMIT
from wellhead.api.names import LAST_APPLIED_ANNOTATION

_KUBECTL = "kubectl"
_encode = msgspec.json.Encoder(order="sorted").encode


class Unmergeable(PlainError):
    """The configuration doesn't fit the type."""


class _Result(NamedTuple):
    object: Obj | None
    """None if nothing changes."""
    managers: Managers


def applied(
    kind: Kind,
    live: Obj,
    config: Obj,
    gvk: GroupVersionKind,
    writer: Writer,
    *,
    force: bool,
    checked: Obj | None = None,
) -> Obj:
    """`live` ({} if there is none) with the configuration and a new record of managers.

    What is `checked` may be more than the configuration that counts: a status where it is ignored.

    Raises BadRequest, Unmergeable, and Conflict for what others manage, unless by `force`.
    """
    _check(kind, config if checked is None else checked, gvk)
    managers = read((live.get("metadata") or {}).get("managedFields") or (), trusted=True)
    if not managers and live:
        managers = tracked(kind, {}, live, managers, replace(writer, manager=BEFORE_FIRST_APPLY))
    managers = reconciled(kind, live, managers)
    try:
        result = _applied(kind, live, config, managers, writer, force)
    except ManagersConflict as error:
        result = _taking_over(kind, live, config, managers, writer, error)
    merged = dict(result.object if result.object is not None else live)
    metadata = merged["metadata"] = dict(merged.get("metadata") or {})
    if written := write(result.managers):
        metadata["managedFields"] = written
    else:
        metadata.pop("managedFields", None)
    if writer.manager == _KUBECTL and (metadata.get("annotations") or {}).get(LAST_APPLIED_ANNOTATION):
        metadata["annotations"] = _with_last_applied(metadata["annotations"], config)
    return merged


def _check(kind: Kind, config: Obj, gvk: GroupVersionKind) -> None:
    given = GroupVersionKind.of(config)
    if given != gvk:
        raise BadRequest(f"invalid object type: {given}")
    metadata = config.get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")
    found = list(problems(kind.type, config))
    if found:
        metadata = metadata if isinstance(metadata, dict) else {}
        where = f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}; {gvk}"
        text = found[0] if len(found) == 1 else "\n".join(["errors:", *(f"  {each}" for each in found)])
        raise Unmergeable(f"failed to create typed patch object ({where}): {text}")


def _applied(kind: Kind, live: Obj, config: Obj, managers: Managers, writer: Writer, force: bool) -> _Result:
    identity = writer.identity("Apply", kind.api_version)
    last = managers.get(identity)
    fields = field_set(kind.type, config)
    mine = Entry(
        identity.manager,
        "Apply",
        kind.api_version,
        fields,
        writer.subresource,
        last.time if last is not None else "",
    )
    managers = managers | {identity: mine}
    merged = merge(kind.type, live, config)
    if last is not None:
        merged = _pruned(kind, merged, managers, last)
    comparison = compare(kind.type, live, merged)
    managers = released(kind, live, merged, managers, comparison, but=identity, force=force)
    fields = sets.difference(fields, SERVERS)
    if not fields:
        del managers[identity]
    elif merged == live:
        managers[identity] = mine.with_fields(fields)
        return _Result(None, managers)
    else:
        managers[identity] = replace(mine, fields=fields, time=writer.now)
    return _Result(merged, managers)


def _pruned(kind: Kind, merged: Obj, managers: Managers, last: Entry) -> Obj:
    """Without what was applied last time, isn't now, and is nobody else's."""
    mine = managers[last.identity]
    if last.api_version == mine.api_version and not sets.difference(last.fields, mine.fields):
        return merged
    found = kind.at(merged, last.api_version)
    if found is None:
        return merged
    known, before = found
    named = with_structs(known, last.fields)
    pruned = remove(known, before, named) or {}
    managed: dict[str, Tree] = {}
    for entry in managers.values():
        managed[entry.api_version] = sets.union(managed.get(entry.api_version, {}), entry.fields)
    # The version that was pruned first: what is missing might be needed to convert to others.
    for version in sorted(managed, key=lambda version: version != last.api_version):
        pruned = _with_managed(kind, before, pruned, version, managed[version])
    kept = with_structs(known, field_set(known, pruned))
    gone = sets.difference(with_structs(known, field_set(known, before)), kept)
    result = remove(known, before, sets.intersection(gone, named)) or {}
    back = kind.at(result, kind.api_version)
    return merged if back is None else back[1]


def _with_managed(kind: Kind, merged: Obj, pruned: Obj, version: str, managed: Tree) -> Obj:
    """What was pruned, but with what managers have of it in this version."""
    at = merged["apiVersion"]
    whole, part = kind.at(merged, version), kind.at(pruned, version)
    if whole is None or part is None:
        return pruned
    known = whole[0]
    kept = sets.union(with_structs(known, field_set(known, part[1])), with_structs(known, managed))
    gone = sets.difference(with_structs(known, field_set(known, whole[1])), kept)
    back = kind.at(remove(known, whole[1], gone) or {}, at)
    return pruned if back is None else back[1]


def _taking_over(
    kind: Kind, live: Obj, config: Obj, managers: Managers, writer: Writer, error: ManagersConflict
) -> _Result:
    """What `kubectl apply` had applied by itself is kubectl's to apply here.

    Raises Conflict for what else there is.
    """
    if writer.manager != _KUBECTL:
        raise error.error()
    allowed = _last_applied(kind, live)
    if allowed is None:
        raise error.error()
    others = [conflict for conflict in error.conflicts if not sets.has(allowed, conflict.path)]
    if others:
        raise ManagersConflict(others).error()
    return _applied(kind, live, config, managers, writer, True)


def _last_applied(kind: Kind, live: Obj) -> Tree | None:
    """The fields that client-side apply set and that are still as it set them."""
    text = ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED_ANNOTATION)
    if not text:
        return None
    try:
        config: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(config, dict) or config.get("apiVersion") != kind.api_version:
        return None
    if next(problems(kind.type, config), None) is not None:
        return None
    comparison = compare(kind.type, config, live)
    fields = sets.difference(field_set(kind.type, config), comparison.changed)
    return sets.difference(fields, comparison.removed)


def _with_last_applied(annotations: Obj, config: Obj) -> Obj:
    """The annotation of client-side apply kept up to date, so that one can go back to it."""
    metadata = dict(config.get("metadata") or {})
    if isinstance(metadata.get("annotations"), dict):
        metadata["annotations"] = {
            name: value for name, value in metadata["annotations"].items() if name != LAST_APPLIED_ANNOTATION
        }
        if not metadata["annotations"]:
            del metadata["annotations"]
    text = _encode(config | {"metadata": metadata}).decode()
    kept = annotations | {LAST_APPLIED_ANNOTATION: text + "\n"}
    size = sum(len(name.encode()) + len(value.encode()) for name, value in kept.items())
    if size > ANNOTATIONS_LIMIT:
        return {name: value for name, value in kept.items() if name != LAST_APPLIED_ANNOTATION}
    return kept
