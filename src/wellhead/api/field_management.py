"""The record of who manages which field, for the kinds that are served."""

from __future__ import annotations

from functools import partial

from wellhead.api.custom.strategy import CustomStrategy
from wellhead.api.custom.values import copied
from wellhead.api.kind import Kind
from wellhead.api.managed_fields import update
from wellhead.api.managed_fields.types import Type
from wellhead.api.managed_fields.update import Writer
from wellhead.api.meta import Obj
from wellhead.api.resources import by_kind, kind_of


def managed(kind: Kind) -> update.Kind:
    """The kind, as `managed_fields` looks at it."""
    return update.Kind(kind.resource.api_version, kind.fields, partial(_as_of, kind))


def record(kind: Kind, obj: Obj, new: Obj, old: Obj, writer: Writer) -> None:
    """Say in `obj` who changed which field, where `new` takes the place of `old` ({} if there was none)."""
    entries = update.updated(managed(kind), old, new, writer)
    if entries:
        obj["metadata"]["managedFields"] = entries
    else:
        obj["metadata"].pop("managedFields", None)


def _as_of(kind: Kind, obj: Obj, api_version: str) -> tuple[Type, Obj] | None:
    """The object as another version of its kind; None if that isn't served."""
    if isinstance(kind.strategy, CustomStrategy):
        return _custom_as_of(kind.strategy, obj, api_version)
    here = by_kind(obj.get("apiVersion") or kind.resource.api_version, kind.resource.kind)
    there = by_kind(api_version, kind.resource.kind)
    if here is None or there is None or there.storage_prefix != here.storage_prefix:
        return None
    stored = kind_of(here).strategy.to_storage(obj)
    other = kind_of(there)
    return other.fields, other.strategy.from_storage(stored) | {"apiVersion": api_version}


def _custom_as_of(strategy: CustomStrategy, obj: Obj, api_version: str) -> tuple[Type, Obj] | None:
    """Raises NotAsked where somebody else converts, and hasn't been asked about this object."""
    there = strategy.versions.get(api_version)
    if there is None or (obj.get("apiVersion") or strategy.api_version) not in strategy.versions:
        return None
    # Nobody manages the record of managers, and it differs with every write.
    metadata = obj.get("metadata") or {}
    metadata = {name: value for name, value in metadata.items() if name != "managedFields"}
    known = {"apiVersion": strategy.api_version, **obj, "metadata": metadata}
    return there.fields, there.strategy.from_storage(copied(known))
