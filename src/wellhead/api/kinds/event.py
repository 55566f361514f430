"""Events: stored once, as core/v1; events.k8s.io/v1 is another form of the same object.

Upstream: pkg/apis/events/v1/conversion.go.
"""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.ages import age
from wellhead.api.errors import Cause
from wellhead.api.formats import path_segment
from wellhead.api.kind import Kind
from wellhead.api.kinds.event_rules import validate_event, validate_event_update, validate_new_event
from wellhead.api.meta import Obj
from wellhead.api.printer import Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Strategy
from wellhead.api.well_known import EVENTS

EVENTS_V1 = Resource(
    "events.k8s.io",
    "v1",
    "Event",
    "events",
    short_names=("ev",),
    field_labels=(
        "reason",
        "regarding.kind",
        "regarding.name",
        "regarding.namespace",
        "regarding.uid",
        "reportingController",
        "type",
    ),
    stored_as="events",
)

# core/v1 field, events.k8s.io/v1 field
_RENAMED = (
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
)


_REPORTERS = ("reportingComponent", "reportingController", "reportingInstance")


class CoreEventStrategy(Strategy):
    name_check = staticmethod(path_segment)
    created_by_update = True

    def validate(self, obj: Obj) -> list[Cause]:
        return validate_event(obj)


class EventStrategy(Strategy):
    created_by_update = True

    def to_storage(self, obj: Obj) -> Obj:
        stored = _renamed(obj, {new: old for old, new in _RENAMED}, EVENTS.api_version)
        return {"reportingComponent": "", "reportingInstance": ""} | stored  # which core/v1 always has

    def from_storage(self, obj: Obj) -> Obj:
        known = {field: value for field, value in obj.items() if value or field not in _REPORTERS}
        return _renamed(known, dict(_RENAMED), EVENTS_V1.api_version)

    def validate_create(self, obj: Obj) -> list[Cause]:
        return validate_new_event(self.to_storage(obj))

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        return validate_event_update(self.to_storage(new), self.to_storage(old))


def _renamed(obj: Obj, names: dict[str, str], api_version: str) -> Obj:
    return {names.get(field, field): value for field, value in obj.items()} | {"apiVersion": api_version}


def _object(reference: Obj) -> str:
    kind = str(reference.get("kind") or "").lower()
    return f"{kind}/{reference['name']}" if reference.get("name") else kind


def _source(event: Obj) -> str:
    source = event.get("source") or event.get("deprecatedSource") or {}
    component = source.get("component") or event.get("reportingComponent") or event.get("reportingController")
    host = source.get("host") or event.get("reportingInstance")
    return ", ".join(part for part in (component, host) if part)


def _either(event: Obj, field: str) -> str | None:
    """A field of core/v1, or what events.k8s.io/v1 calls it."""
    value = event.get(field) or event.get(f"deprecated{field[0].upper()}{field[1:]}")
    return str(value) if value else None


def _cells(event: Obj, now: datetime) -> list[Cell]:
    first = age(_either(event, "firstTimestamp") or event.get("eventTime"), now)
    last_timestamp = _either(event, "lastTimestamp")
    last = age(last_timestamp, now) if last_timestamp else first
    count = int(_either(event, "count") or 1)
    if series := event.get("series"):
        last, count = age(series.get("lastObservedTime"), now), series.get("count", 1)
    target = event.get("involvedObject") or event.get("regarding") or {}
    return [
        last,
        event.get("type", ""),
        event.get("reason", ""),
        _object(target),
        target.get("fieldPath", ""),
        _source(event),
        (event.get("message") or event.get("note") or "").strip(),
        first,
        count,
        cells.name(event),
    ]


_PRINTER = Printer(
    (
        Column("Last Seen"),
        Column("Type"),
        Column("Reason"),
        Column("Object"),
        Column("Subobject", wide=True),
        Column("Source", wide=True),
        Column("Message"),
        Column("First Seen", wide=True),
        Column("Count", wide=True),
        Column("Name", wide=True),
    ),
    _cells,
)

KINDS = (Kind(EVENTS, CoreEventStrategy(), _PRINTER), Kind(EVENTS_V1, EventStrategy(), _PRINTER))
