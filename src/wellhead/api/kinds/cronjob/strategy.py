"""CronJobs: defaults, and what a valid one is.

Upstream: validateCronJobSpec in pkg/apis/batch/validation/validation.go.
"""

from __future__ import annotations

import re

from wellhead.api.cron.parsing import parse_schedule
from wellhead.api.cron.zones import find_zone
from wellhead.api.errors import Cause
from wellhead.api.kinds.job.rules import validate_job_spec
from wellhead.api.kinds.job.strategy import default_job_template
from wellhead.api.meta import Obj
from wellhead.api.strategy import Context, Strategy
from wellhead.api.warnings import pods

_POLICIES = ("Allow", "Forbid", "Replace")
_LONGEST_NAME = 63 - 11  # a Job's name is the CronJob's, a hyphen, and minutes since 1970
_NOT_NEGATIVE = "must be greater than or equal to 0"
_ZONE_PART = re.compile(r"[A-Za-z.\-_0-9+]{1,14}", re.ASCII)


_ZONE_IN_SCHEDULE = (
    "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see"
    " https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
)


def _of_job(spec: Obj) -> list[str]:
    return pods.of_job("spec.jobTemplate.spec", (spec.get("jobTemplate") or {}).get("spec") or {})


class CronJobStrategy(Strategy):
    counts_generations = True

    def default(self, obj: Obj) -> None:
        spec: Obj = obj.setdefault("spec", {})
        spec["concurrencyPolicy"] = spec.get("concurrencyPolicy") or "Allow"
        spec.setdefault("suspend", False)
        spec.setdefault("successfulJobsHistoryLimit", 3)
        spec.setdefault("failedJobsHistoryLimit", 1)
        default_job_template(spec.setdefault("jobTemplate", {}).setdefault("spec", {}))

    def warnings(self, obj: Obj) -> list[str]:
        return [*pods.of_name(obj), *_of_job(obj["spec"])]

    def update_warnings(self, new: Obj, old: Obj) -> list[str]:
        if not old:
            return self.warnings(new)
        found = [] if new["spec"] == old["spec"] else _of_job(new["spec"])
        if "TZ" in (new["spec"].get("schedule") or ""):
            found.append(_ZONE_IN_SCHEDULE)
        return found

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = {}

    def validate_create(self, obj: Obj) -> list[Cause]:
        causes = _validate(obj["spec"], None)
        name = obj["metadata"].get("name") or ""
        if len(name) > _LONGEST_NAME:
            text = f"must be no more than {_LONGEST_NAME} characters"
            causes.append(Cause.invalid("metadata.name", name, text))
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        return _validate(new["spec"], old["spec"])


def _validate(spec: Obj, before: Obj | None) -> list[Cause]:
    causes = _validate_schedule(spec, before)
    causes += [
        Cause.invalid(f"spec.{field}", spec[field], _NOT_NEGATIVE)
        for field in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")
        if spec.get(field, 0) < 0
    ]
    if before is None or before.get("timeZone") != spec.get("timeZone"):
        causes += _validate_zone(spec.get("timeZone"))
    if spec["concurrencyPolicy"] not in _POLICIES:
        causes.append(Cause.not_supported("spec.concurrencyPolicy", spec["concurrencyPolicy"], _POLICIES))
    job = spec["jobTemplate"]["spec"]
    causes += validate_job_spec(job, "spec.jobTemplate.spec")
    if "selector" in job:
        text = "`selector` will be auto-generated"
        causes.append(Cause.invalid("spec.jobTemplate.spec.selector", job["selector"], text))
    if job.get("manualSelector"):
        at = "spec.jobTemplate.spec.manualSelector"
        causes.append(Cause.not_supported(at, True, ("nil", "false")))
    return causes


def _validate_schedule(spec: Obj, before: Obj | None) -> list[Cause]:
    schedule, at = spec.get("schedule") or "", "spec.schedule"
    if not schedule:
        return [Cause.required(at)]
    causes = []
    try:
        parse_schedule(schedule)
    except ValueError as error:
        causes.append(Cause.invalid(at, schedule, str(error)))
    if "TZ" in schedule:
        # Objects from the time when it worked may keep it.
        if before is None or "TZ" not in (before.get("schedule") or ""):
            text = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            causes.append(Cause.invalid(at, schedule, text))
        elif "timeZone" in spec:
            text = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
            causes.append(Cause.invalid(at, schedule, text))
    return causes


def _validate_zone(zone: str | None) -> list[Cause]:
    at = "spec.timeZone"
    if zone is None:
        return []
    if not zone:
        return [Cause.invalid(at, zone, "timeZone must be nil or non-empty string")]
    for part in zone.split("/"):
        if part in (".", "..") or part.startswith("-") or not _ZONE_PART.fullmatch(part):
            return [Cause.invalid(at, zone, f"unknown time zone {zone}")]
    if zone.lower() == "local":
        text = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        causes = [Cause.invalid(at, zone, text)]
        return causes if zone == "Local" else [*causes, Cause.invalid(at, zone, f"unknown time zone {zone}")]
    try:
        find_zone(zone)
    except ValueError as error:
        return [Cause.invalid(at, zone, str(error))]
    return []
