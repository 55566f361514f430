"""Who manages the replicas of a workload, as its scale subresource shows it (managedfields' ScaleHandler)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from wellhead.api.managed_fields import sets
from wellhead.api.managed_fields.entries import Entry, read, write
from wellhead.api.managed_fields.sets import Path
from wellhead.api.meta import Obj

REPLICAS: Path = ("f:spec", "f:replicas")
_SCALE_FIELDS = sets.tree([REPLICAS])


def of_scale(entries: Sequence[Obj], api_version: str, path: Path = REPLICAS) -> list[Obj]:
    """Of a workload's record, those who manage its replicas, as managers of a Scale of that version."""
    managers = {}
    for entry in read(entries, trusted=True).values():
        if sets.has(entry.fields, path):
            shown = replace(entry, api_version=api_version, fields=_SCALE_FIELDS)
            managers[shown.identity] = shown
    return write(managers)


def of_parent(
    entries: Sequence[Obj], scale_entries: Sequence[Obj], api_version: str, path: Path = REPLICAS
) -> list[Obj]:
    """A workload's record, after its Scale's became `scale_entries`; new ones are of `api_version`."""
    replicas = sets.tree([path])
    left = {_who(entry): entry for entry in read(scale_entries, trusted=True).values()}
    managers = {}
    for entry in read(entries, trusted=True).values():
        scale = left.pop(_who(entry), None)
        if scale is None:
            entry = entry.with_fields(sets.difference(entry.fields, replicas))
        else:
            entry = replace(entry, fields=sets.union(entry.fields, replicas), time=scale.time)
        if entry.fields:
            managers[entry.identity] = entry
    for scale in left.values():
        entry = replace(scale, api_version=api_version, fields=replicas, subresource="scale")
        managers[entry.identity] = entry
    return write(managers)


def _who(entry: Entry) -> tuple[str, str, str]:
    return entry.manager, entry.operation, entry.subresource
