"""What a valid event is. Upstream: pkg/apis/core/validation/events.go.

Both forms are checked here as they are stored, with core/v1's names; what comes as events.k8s.io/v1 has
stricter rules, and calls the reporting component a controller.
"""

from __future__ import annotations

from wellhead.api.errors import Cause
from wellhead.api.formats import qualified_name
from wellhead.api.meta import Obj, parse_time

_LONGEST = 128
_LONGEST_MESSAGE = 1024
_CLUSTER_NAMESPACES = ("default", "kube-system")
_UNSET = ("firstTimestamp", "lastTimestamp", "count", "source")
_FIXED = (
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "type",
    "action",
    "related",
    "reportingInstance",
)


def validate_event(event: Obj, controller: str = "reportingComponent") -> list[Cause]:
    """An event of either form; `controller` is what it calls its reporting component."""
    namespace = event["metadata"].get("namespace") or ""
    target = (event.get("involvedObject") or {}).get("namespace") or ""
    other = Cause.invalid("involvedObject.namespace", target, "does not match event.namespace")
    if not event.get("eventTime"):  # what older clients write
        fits = target == namespace if target else namespace in ("", "default")
        return [] if fits else [other]
    causes = [] if target or namespace in _CLUSTER_NAMESPACES else [other]
    reporter = event.get("reportingComponent") or ""
    if not reporter:
        causes.append(Cause.required(controller))
    causes += [Cause.invalid(controller, reporter, problem) for problem in qualified_name(reporter)]
    for field in ("reportingInstance", "action", "reason"):
        if not event.get(field):
            causes.append(Cause.required(field))
        causes += _validate_length(event, field, _LONGEST)
    return causes + _validate_length(event, "message", _LONGEST_MESSAGE)


def validate_new_event(event: Obj) -> list[Cause]:
    """A new one that came as events.k8s.io/v1."""
    causes = validate_event(event, "reportingController") + _validate_series(event)
    if not event.get("eventTime"):
        causes.append(Cause.required("eventTime"))
    if (kind := event.get("type") or "") not in ("Normal", "Warning"):
        causes.append(Cause.invalid("type", "", f"has invalid value: {kind}"))
    return causes + [Cause.invalid(field, "", "needs to be unset") for field in _UNSET if event.get(field)]


def validate_event_update(new: Obj, old: Obj) -> list[Cause]:
    """One that replaces `old`, as events.k8s.io/v1: a series may grow, and nothing else change."""
    causes = validate_event(new, "reportingController")
    if new.get("series") != old.get("series"):
        causes += _validate_series(new)
    changed = [field for field in _FIXED if (new.get(field) or None) != (old.get(field) or None)]
    if _time(new) != _time(old):
        changed.append("eventTime")
    causes += [Cause.invalid(field, new.get(field), "field is immutable") for field in changed]
    reporter = new.get("reportingComponent") or ""
    if reporter != (old.get("reportingComponent") or ""):
        causes.append(Cause.invalid("reportingController", reporter, "field is immutable"))
    return causes


def _time(event: Obj) -> object:
    """To the microsecond: clients round differently below it."""
    return parse_time(event["eventTime"]) if event.get("eventTime") else None


def _validate_series(event: Obj) -> list[Cause]:
    series = event.get("series")
    if series is None:
        return []
    causes = []
    if series.get("count", 0) < 2:
        causes.append(Cause.invalid("series.count", "", "should be at least 2"))
    if not series.get("lastObservedTime"):
        causes.append(Cause.required("series.lastObservedTime"))
    return causes


def _validate_length(event: Obj, field: str, limit: int) -> list[Cause]:
    if len((event.get(field) or "").encode()) <= limit:
        return []
    return [Cause.invalid(field, "", f"can have at most {limit} characters")]
