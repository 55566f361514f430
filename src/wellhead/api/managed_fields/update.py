"""What a write records of who changed which field."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from wellhead.api.managed_fields import sets
from wellhead.api.managed_fields.compare import Comparison, compare
from wellhead.api.managed_fields.conflicts import ManagersConflict
from wellhead.api.managed_fields.entries import (
    Entry,
    Identity,
    Managers,
    Operation,
    capped,
    is_reset,
    read,
    write,
)
from wellhead.api.managed_fields.merge import collapsed
from wellhead.api.managed_fields.sets import LEAF, SELF, Tree
from wellhead.api.managed_fields.types import Type
from wellhead.api.meta import Obj

BEFORE_FIRST_APPLY = "before-first-apply"
UNKNOWN = "unknown"

SERVERS: Tree = {
    "f:apiVersion": LEAF,
    "f:kind": LEAF,
    "f:metadata": {
        ".": LEAF,
        **dict.fromkeys(
            (
                "f:name",
                "f:namespace",
                "f:creationTimestamp",
                "f:selfLink",
                "f:uid",
                "f:clusterName",
                "f:generation",
                "f:managedFields",
                "f:resourceVersion",
            ),
            LEAF,
        ),
    },
}
"""What is nobody's but the server's."""


_SERVERS_NAMES = frozenset({"apiVersion", "kind", "metadata"})
_SERVERS_METADATA = frozenset(element[2:] for element in SERVERS["f:metadata"])


class Kind(msgspec.Struct, frozen=True):
    """The versions of an object that managers may name."""

    api_version: str
    type: Type
    convert: Callable[[Obj, str], tuple[Type, Obj] | None] = lambda obj, api_version: None
    """The object as of another version, and its type; None if there is no such version (any more)."""

    def at(self, obj: Obj, api_version: str) -> tuple[Type, Obj] | None:
        """The object, which says of which version it is now, as of that version."""
        if api_version == self.api_version == obj.get("apiVersion", self.api_version):
            return self.type, obj
        return self.convert(obj, api_version)


class Writer(msgspec.Struct, frozen=True):
    """Who writes, to which subresource, at which time (RFC 3339)."""

    manager: str
    now: str
    subresource: str = ""

    def identity(self, operation: Operation, api_version: str) -> Identity:
        version = "" if operation == "Apply" else api_version
        return Identity(self.manager or UNKNOWN, operation, version, self.subresource)


def updated(kind: Kind, old: Obj, new: Obj, writer: Writer) -> list[Obj]:
    """metadata.managedFields of `new`, which takes the place of `old` ({} if there was none).

    The record that `new` comes with counts, unless it makes no sense or was written to a subresource. An
    object that has none isn't tracked before something is applied to it.
    """
    managers = _recorded(old, new, writer)
    if not managers and old:
        return []
    return write(tracked(kind, old, new, managers, writer))


def tracked(kind: Kind, old: Obj, new: Obj, managers: Managers, writer: Writer) -> Managers:
    """The same of a record that was read."""
    if old:
        comparison = compare(kind.type, old, new)
        managers = released(kind, old, new, managers, comparison)
        fields = sets.difference(comparison.changed, SERVERS)
    else:
        fields = _created(kind.type, new)
    if not fields:
        return capped(managers)
    identity = writer.identity("Update", kind.api_version)
    known = managers.get(identity)
    if known is not None:
        fields = sets.union(fields, known.fields)
    managers[identity] = Entry(
        identity.manager, "Update", kind.api_version, fields, writer.subresource, writer.now
    )
    return capped(managers)


def _created(type: Type, new: Obj) -> Tree:
    """What a new object has that isn't the server's."""
    mine = {name: value for name, value in new.items() if name not in _SERVERS_NAMES}
    metadata = new.get("metadata")
    if metadata:
        mine["metadata"] = {name: value for name, value in metadata.items() if name not in _SERVERS_METADATA}
    fields = compare(type, {}, mine).changed
    # Of types that know of no metadata it is there itself.
    return sets.difference(fields, SERVERS) if SELF in fields.get("f:metadata", ()) else fields


def released(
    kind: Kind,
    old: Obj,
    new: Obj,
    managers: Managers,
    comparison: Comparison,
    *,
    but: Identity | None = None,
    force: bool = True,
) -> Managers:
    """What is left to everybody (`but` one) of what he manages, after others' changes.

    Raises ManagersConflict, unless the changes are by `force`.
    """
    comparisons: dict[str, Comparison | None] = {kind.api_version: comparison}
    left: Managers = {}
    conflicts: dict[Identity, Tree] = {}
    for identity, entry in managers.items():
        if identity == but:
            left[identity] = entry
            continue
        if entry.api_version not in comparisons:
            comparisons[entry.api_version] = _compare_at(kind, old, new, entry.api_version)
        differs = comparisons[entry.api_version]
        if differs is None:
            continue  # nobody knows that version any more
        fields = entry.fields
        if differs.changed:
            taken = sets.intersection(fields, differs.changed)
            if taken:
                conflicts[identity] = taken
                fields = sets.difference(fields, taken)
        if differs.removed:
            fields = sets.difference(fields, differs.removed)
        if fields:
            left[identity] = entry.with_fields(fields)
    if conflicts and not force:
        raise ManagersConflict.of(conflicts)
    return left


def reconciled(kind: Kind, obj: Obj, managers: Managers) -> Managers:
    """The record as of today's schema: what became atomic is managed as a whole."""
    result = {}
    for identity, entry in managers.items():
        found = kind.at(obj, entry.api_version)
        result[identity] = entry if found is None else entry.with_fields(collapsed(found[0], entry.fields))
    return result


def settled(old: Obj, new: Obj) -> None:
    """Let `new` have the times of `old`'s record where nothing but those differs."""
    before, after = (obj["metadata"].get("managedFields") for obj in (old, new))
    if not before or not after or before == after or len(before) != len(after):
        return
    as_before = {**new, "metadata": {**new["metadata"], "managedFields": before}}
    if as_before == old and _timeless(before) == _timeless(after):
        new["metadata"]["managedFields"] = before


def _timeless(entries: list[Obj]) -> Managers:
    return {name: replace(entry, time="") for name, entry in read(entries, trusted=True).items()}


def _compare_at(kind: Kind, old: Obj, new: Obj, api_version: str) -> Comparison | None:
    after = kind.at(new, api_version)
    before = kind.at(old, api_version) if old else after and (after[0], old)
    if after is None or before is None:
        return None
    return compare(after[0], before[1], after[1])


def _recorded(old: Obj, new: Obj, writer: Writer) -> Managers:
    before = (old.get("metadata") or {}).get("managedFields") or []
    sent = (new.get("metadata") or {}).get("managedFields")
    if not writer.subresource and sent != before:
        if is_reset(sent):
            return {}
        try:
            managers = read(sent or (), trusted=False)
        except (ValueError, AttributeError):
            managers = {}
        if managers:
            return managers
    return read(before, trusted=True)
