"""The entries of metadata.managedFields: whose set of fields, by which operation, since when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from wellhead.api.managed_fields import sets
from wellhead.api.managed_fields.sets import Tree
from wellhead.api.meta import Obj
from wellhead.text import quoted

Operation = Literal["Apply", "Update"]
_MOST_UPDATERS = 10
_BUCKET = "ancient-changes"


class Identity(NamedTuple):
    """What tells an entry from others. Who applies stays one manager in whichever version he does."""

    manager: str
    operation: Operation
    api_version: str
    subresource: str

    def shown(self) -> str:
        """As a conflict names it."""
        text = quoted(self.manager)
        if self.subresource:
            text += f" with subresource {quoted(self.subresource)}"
        return f"{text} using {self.api_version}" if self.operation == "Update" else text


class Entry(msgspec.Struct, frozen=True):
    """One manager's fields, as of a version of the kind."""

    manager: str
    operation: Operation
    api_version: str
    fields: Tree
    subresource: str = ""
    time: str = ""

    @property
    def identity(self) -> Identity:
        api_version = "" if self.operation == "Apply" else self.api_version
        return Identity(self.manager, self.operation, api_version, self.subresource)

    def with_fields(self, fields: Tree) -> Entry:
        """The same with another set."""
        return self if fields is self.fields else replace(self, fields=fields)

    def write(self) -> Obj:
        """As it stands in an object."""
        written: Obj = {
            "manager": self.manager,
            "operation": self.operation,
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": _in_order(self.fields),
            "subresource": self.subresource,
        }
        return {name: value for name, value in written.items() if value or name == "fieldsV1"}


Managers = dict[Identity, Entry]


def read(entries: Iterable[Any], *, trusted: bool) -> Managers:
    """The entries of an object; those that we wrote ourselves are `trusted` to be in our form.

    Raises ValueError for what is no entry.
    """
    found: Managers = {}
    for index, raw in enumerate(entries):
        operation = raw.get("operation")
        if operation not in ("Apply", "Update"):
            raise ValueError("operation must be `Apply` or `Update`")
        if not raw.get("apiVersion"):
            raise ValueError("apiVersion must not be empty")
        if raw.get("fieldsType") != "FieldsV1":
            raise ValueError(f"invalid fieldsType in managed fields entry {index}")
        fields = raw.get("fieldsV1") or {}
        entry = Entry(
            raw.get("manager") or "",
            operation,
            raw["apiVersion"],
            fields if trusted else sets.read(fields),
            raw.get("subresource") or "",
            raw.get("time") or "",
        )
        found[entry.identity] = entry
    return found


def problem(entries: Sequence[Any]) -> str:
    """Why these are no entries; "" if they are."""
    try:
        read(entries, trusted=False)
    except ValueError as error:
        return str(error)
    return ""


def write(managers: Managers) -> list[Obj]:
    """The entries as they stand in an object, in upstream's order."""
    if len(managers) == 1:
        return [entry.write() for entry in managers.values()]
    return [
        entry.write()
        for entry in sorted(
            managers.values(),
            key=lambda entry: (
                entry.operation,
                entry.time,
                entry.manager,
                entry.api_version,
                entry.subresource,
            ),
        )
    ]


def is_reset(entries: Sequence[Any] | None) -> bool:
    """Whether somebody wants the record to begin anew: an empty list, or one with an empty entry."""
    return entries is not None and (not entries or list(entries) == [{}])


def capped(managers: Managers) -> Managers:
    """At most ten that update: the oldest ones of each version become one."""
    updaters = [entry for entry in managers.values() if entry.operation == "Update"]
    too_many = len(updaters) - _MOST_UPDATERS
    if too_many <= 0:
        return managers
    result = dict(managers)
    first: dict[str, Identity] = {}
    for entry in sorted(updaters, key=lambda entry: (entry.time, entry.identity)):
        if too_many <= 0:
            break
        version = entry.api_version
        if version not in first:
            first[version] = entry.identity
            continue
        bucket = Identity(_BUCKET, "Update", version, "")
        if bucket not in result:
            result[bucket] = Entry(_BUCKET, "Update", version, result.pop(first[version]).fields)
        if entry.identity != bucket:
            del result[entry.identity]
        fields = sets.union(entry.fields, result[bucket].fields)
        result[bucket] = replace(result[bucket], fields=fields, time=entry.time)
        too_many -= 1
    return result


def _in_order(fields: Tree) -> Tree:
    """With its names sorted, as Go writes maps: clients compare these bytes."""
    return {name: _in_order(below) if (below := fields[name]) else {} for name in sorted(fields)}
