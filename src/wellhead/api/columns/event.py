"""Events, of either group: the table shows the same."""

from __future__ import annotations

from datetime import datetime

from wellhead.api.columns.cells import name
from wellhead.api.duration import age
from wellhead.api.meta import Obj
from wellhead.api.tables import Cell, Column, Printer


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
        name(event),
    ]


PRINTER = Printer(
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
