"""What a Job's status may be, and how it may change: whoever manages the Job.

Upstream: validateJobStatus and ValidateJobStatusUpdate in pkg/apis/batch/validation, with the options of
pkg/registry/batch/job/strategy.go: most is refused only where the update changes it.
"""

from __future__ import annotations

from collections.abc import Iterable

from wellhead.api.errors import Cause
from wellhead.api.kinds.job.indexes import count_indexes, first_common
from wellhead.api.meta import Obj, condition, is_condition_true, parse_time

_NOT_NEGATIVE = "must be greater than or equal to 0"
_AT = "status.conditions"


def is_finished(job: Obj) -> bool:
    """Whether it is complete or has failed."""
    return is_condition_true(job, "Complete") or is_condition_true(job, "Failed")


def validate_status_update(new: Obj, old: Obj) -> list[Cause]:
    """What is wrong with the status of `new`, which was `old`'s before."""
    return [*_validate_values(new, old), *_validate_changes(new, old)]


def _invalid(field: str, text: str) -> Cause:
    """Invalid, without the value."""
    return Cause(field, "FieldValueInvalid", f"Invalid value: {text}")


class _Change:
    """Which parts of the status an update changes."""

    def __init__(self, new: Obj, old: Obj) -> None:
        self._new, self._old = new, old
        self._fields = (new.get("status") or {}, old.get("status") or {})

    def field(self, *names: str) -> bool:
        now, before = self._fields
        return any((now.get(name) or None) != (before.get(name) or None) for name in names)

    def condition(self, *types: str) -> bool:
        return any(is_condition_true(self._new, each) != is_condition_true(self._old, each) for each in types)

    def finished(self) -> bool:
        return is_finished(self._new) != is_finished(self._old)


def _validate_values(new: Obj, old: Obj) -> list[Cause]:
    spec, status = new["spec"], new["status"]
    changed = _Change(new, old)
    causes = [
        Cause.invalid(f"status.{field}", status[field], _NOT_NEGATIVE)
        for field in ("active", "succeeded", "failed", "ready", "terminating")
        if status.get(field, 0) < 0
    ]
    causes += _validate_uncounted(status.get("uncountedTerminatedPods") or {})
    causes += _validate_conditions(new, changed)
    causes += _validate_finished(new, changed)
    causes += _validate_indexes(spec, status, changed)
    if changed.field("ready", "active") and status.get("ready", 0) > status.get("active", 0):
        causes.append(
            Cause.invalid("status.ready", status["ready"], "cannot set more ready pods than active")
        )
    return causes


def _validate_uncounted(uncounted: Obj) -> list[Cause]:
    causes = []
    seen: set[str] = set()
    for field in ("succeeded", "failed"):
        for index, uid in enumerate(uncounted.get(field) or ()):
            here = f"status.uncountedTerminatedPods.{field}[{index}]"
            if not uid:
                causes.append(Cause.invalid(here, uid, "must not be empty"))
            elif uid in seen:
                causes.append(Cause.duplicate(here, uid))
            seen.add(uid)
    return causes


def _validate_conditions(job: Obj, changed: _Change) -> list[Cause]:
    complete, failed, met, doomed = (
        is_condition_true(job, each) for each in ("Complete", "Failed", "SuccessCriteriaMet", "FailureTarget")
    )
    spec, status = job["spec"], job["status"]
    found: list[str] = []
    if changed.condition("Complete", "Failed") and complete and failed:
        found.append("cannot set Complete=True and Failed=true conditions")
    if changed.condition("Complete", "FailureTarget") and complete and doomed:
        found.append("cannot set Complete=True and FailureTarget=true conditions")
    if failed and not doomed and (changed.condition("Failed") or changed.field("failedIndexes")):
        found.append("cannot set Failed=True condition without the FailureTarget=true condition")
    if changed.condition("Complete", "SuccessCriteriaMet") and complete and not met:
        found.append("cannot set Complete=True condition without the SuccessCriteriaMet=true condition")
    if met and failed:
        found.append("cannot set SuccessCriteriaMet=True and Failed=true conditions")
    if met and doomed:
        found.append("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions")
    if "successPolicy" in spec and complete and not met:
        found.append("cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True")
    causes = [_invalid(_AT, text) for text in found]
    end, start = status.get("completionTime"), status.get("startTime")
    if changed.condition("Complete") or changed.field("completionTime"):
        if end and not complete:
            text = "cannot set completionTime when there is no Complete=True condition"
            causes.append(Cause.invalid("status.completionTime", end, text))
        if complete and not end:
            text = "completionTime is required for Complete jobs"
            causes.append(Cause.required("status.completionTime", text))
    times_change = changed.field("startTime", "completionTime")
    if times_change and start and end and parse_time(end) < parse_time(start):
        text = "must be equal to or after `startTime`"
        causes.append(Cause.invalid("status.completionTime", end, text))
    return causes


def _validate_finished(job: Obj, changed: _Change) -> list[Cause]:
    if not is_finished(job):
        return []
    spec, status = job["spec"], job["status"]
    causes = []
    finishes = changed.finished()
    if (finishes or changed.field("active")) and (active := status.get("active", 0)):
        causes.append(Cause.invalid("status.active", active, "active>0 is invalid for finished job"))
    nothing_to_do = spec.get("suspend") and spec.get("completions") == 0
    if (finishes or changed.field("startTime")) and not nothing_to_do and not status.get("startTime"):
        causes.append(Cause.required("status.startTime", "startTime is required for finished job"))
    uncounted = status.get("uncountedTerminatedPods") or {}
    if (finishes or changed.field("uncountedTerminatedPods")) and any(uncounted.values()):
        text = "must be empty for finished job"
        causes.append(Cause.invalid("status.uncountedTerminatedPods", uncounted, text))
    if (finishes or changed.field("terminating")) and (count := status.get("terminating", 0)):
        causes.append(Cause.invalid("status.terminating", count, "terminating>0 is invalid for finished job"))
    return causes


def _validate_indexes(spec: Obj, status: Obj, changed: _Change) -> list[Cause]:
    causes: list[Cause] = []
    completions = spec.get("completions")
    completed, failed = status.get("completedIndexes") or "", status.get("failedIndexes")
    limited = "backoffLimitPerIndex" in spec

    def check(text: str, field: str) -> Iterable[Cause]:
        try:
            count_indexes(text, completions or 0)
        except ValueError as error:
            yield Cause.invalid(f"status.{field}", text, f"error parsing {field}: {error}")

    if changed.field("completedIndexes"):
        if completions is not None:
            causes += check(completed, "completedIndexes")
        if completed and spec.get("completionMode") != "Indexed":
            text = "cannot set non-empty completedIndexes when non-indexed completion mode"
            causes.append(Cause.invalid("status.completedIndexes", completed, text))
    if changed.field("failedIndexes") and failed is not None:
        if completions is not None and limited:
            causes += check(failed, "failedIndexes")
        if not limited:
            text = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
            causes.append(Cause.invalid("status.failedIndexes", failed, text))
    if changed.field("completedIndexes", "failedIndexes") and completions is not None and failed:
        both = first_common(completed, failed, completions)
        if both is not None:
            text = f"failedIndexes and completedIndexes overlap at index: {both}"
            causes.append(Cause.invalid("status.failedIndexes", failed, text))
    return causes


def _validate_changes(new: Obj, old: Obj) -> list[Cause]:
    spec, status, before = new["spec"], new["status"], old.get("status") or {}
    causes = [
        _invalid(_AT, f"cannot disable the terminal {name}=True condition")
        for name in ("Failed", "Complete", "FailureTarget")
        if is_condition_true(old, name) and not is_condition_true(new, name)
    ]
    elastic = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    for field in ("failed", "succeeded"):
        if status.get(field, 0) < before.get(field, 0) and not (field == "succeeded" and elastic):
            text = f"cannot decrease the {field} counter"
            causes.append(Cause.invalid(f"status.{field}", status.get(field, 0), text))
    end, ended = status.get("completionTime"), before.get("completionTime")
    if end and ended and end != ended:
        causes.append(Cause.invalid("status.completionTime", end, "field is immutable"))
    start, started = status.get("startTime"), before.get("startTime")
    resuming = is_condition_true(old, "Suspended") and (condition(new, "Suspended") or {}).get("status") == (
        "False"
    )
    if started and start != started and not resuming and not spec.get("suspend"):
        text = "field is immutable for unsuspended job once set"
        causes.append(Cause.invalid("status.startTime", start, text))
    was_met, is_met = (is_condition_true(each, "SuccessCriteriaMet") for each in (old, new))
    if was_met and not is_met:
        causes.append(_invalid(_AT, "cannot disable the SuccessCriteriaMet=True condition"))
    if is_condition_true(old, "Complete") and is_met and not was_met:
        text = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        causes.append(_invalid(_AT, text))
    return causes
