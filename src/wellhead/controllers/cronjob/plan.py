"""What became of a CronJob's Jobs, which ones are too many, and whether one is due.

Source: pkg/controller/cronjob/{cronjob_controllerv2,utils}.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from wellhead.api.cron.parsing import parse_schedule
from wellhead.api.cron.schedule import Schedule
from wellhead.api.cron.zones import find_zone
from wellhead.api.kinds.job.status import is_finished
from wellhead.api.meta import Obj, format_time, is_condition_true, owner_reference, parse_time

SCHEDULED_TIME = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_MANY = 100
_PADDING = 0.1
"""Seconds that a look comes after the scheduled time, in case that clocks are adjusted meanwhile."""

Event = tuple[str, str, str]
"""Type, reason, message."""


@dataclass(frozen=True)
class Seen:
    """The status as the Jobs make it; Jobs that it names and that aren't there; what to tell."""

    status: Obj
    missing: tuple[Obj, ...]
    events: tuple[Event, ...]


def see(cronjob: Obj, jobs: Iterable[Obj]) -> Seen:
    """Take note of what became of its Jobs."""
    status: Obj = {**(cronjob.get("status") or {})}
    active: list[Obj] = list(status.get("active") or ())
    events: list[Event] = []
    known = set()
    for job in jobs:
        metadata = job["metadata"]
        known.add(metadata["uid"])
        listed = any(each.get("uid") == metadata["uid"] for each in active)
        if not is_finished(job):
            if not listed:
                text = f"Saw a job that the controller did not create or forgot: {metadata['name']}"
                events.append(("Warning", "UnexpectedJob", text))
            continue
        complete = is_condition_true(job, "Complete")
        if listed:
            active = [each for each in active if each.get("uid") != metadata["uid"]]
            how = "Complete" if complete else "Failed"
            text = f"Saw completed job: {metadata['name']}, condition: {how}"
            events.append(("Normal", "SawCompletedJob", text))
        end, last = (job.get("status") or {}).get("completionTime"), status.get("lastSuccessfulTime")
        if complete and end and (not last or parse_time(end) > parse_time(last)):
            status["lastSuccessfulTime"] = end
    missing = tuple(each for each in active if each.get("uid") not in known)
    return Seen(with_active(status, active), missing, tuple(events))


def with_active(status: Obj, active: Sequence[Obj]) -> Obj:
    """The status with these Jobs as the active ones."""
    rest = {name: value for name, value in status.items() if name != "active"}
    return rest | ({"active": list(active)} if active else {})


def without(status: Obj, uid: str) -> Obj:
    """The status without that Job among the active ones."""
    return with_active(status, [each for each in status.get("active") or () if each.get("uid") != uid])


def too_old(cronjob: Obj, jobs: Sequence[Obj]) -> list[Obj]:
    """Finished Jobs beyond the history limits, the oldest first."""
    spec = cronjob["spec"]
    result: list[Obj] = []
    for condition, field in (
        ("Complete", "successfulJobsHistoryLimit"),
        ("Failed", "failedJobsHistoryLimit"),
    ):
        if field not in spec:
            continue
        # One that is neither or both isn't history: only the first condition counts.
        ended = sorted((job for job in jobs if _end(job) == condition), key=_start)
        result += ended[: max(0, len(ended) - spec[field])]
    return result


def _end(job: Obj) -> str:
    entries: Iterable[Obj] = (job.get("status") or {}).get("conditions") or ()
    ends = (each["type"] for each in entries if each.get("status") == "True")
    return next((each for each in ends if each in ("Complete", "Failed")), "")


def _start(job: Obj) -> tuple[bool, str, str]:
    start = (job.get("status") or {}).get("startTime") or ""
    return not start, start, job["metadata"]["name"]


@dataclass(frozen=True)
class Due:
    """Which time a Job is due for, if one is; in how many seconds to look again; what to tell."""

    time: datetime | None = None
    wait: float | None = None
    events: tuple[Event, ...] = ()


def due(cronjob: Obj, status: Obj, now: datetime) -> Due:
    """Whether a Job is due, given its Jobs as `status` names them."""
    spec, metadata = cronjob["spec"], cronjob["metadata"]
    if metadata.get("deletionTimestamp"):
        return Due()
    zone = spec.get("timeZone") or ""
    try:
        find_zone(zone)
    except ValueError as error:
        return Due(events=(("Warning", "UnknownTimeZone", f'invalid timeZone: "{zone}": {error}'),))
    if spec.get("suspend"):
        return Due()
    text = spec["schedule"]
    events: list[Event] = []
    if "TZ" in text:
        link = "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/"
        why = f'CRON_TZ or TZ used in schedule "{text}" is not officially supported, see {link}'
        why += " for more details"
        events.append(("Warning", "UnsupportedSchedule", why))
    try:
        schedule = parse_schedule(text, zone)
    except ValueError as error:
        events.append(("Warning", "UnparseableSchedule", f'unparseable schedule: "{text}" : {error}'))
        return Due(events=tuple(events))
    since = parse_time(status.get("lastScheduleTime") or metadata["creationTimestamp"])
    deadline = spec.get("startingDeadlineSeconds")
    earliest = since if deadline is None else max(since, now - timedelta(seconds=deadline))
    try:
        time, missed = most_recent(schedule, earliest, now)
    except ValueError as error:
        events.append(("Warning", "InvalidSchedule", f"invalid schedule: {text} : {error}"))
        return Due(events=tuple(events))
    wait = _seconds_to_next(schedule, since, now)
    if time is None:
        return Due(wait=wait, events=tuple(events))
    if missed > _MANY:
        why = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
        events.append(("Warning", "TooManyMissedTimes", why))
    if deadline is not None and time + timedelta(seconds=deadline) < now:
        said = time.strftime("%a, %d %b %Y %H:%M:%S +0000")
        events.append(("Warning", "MissSchedule", f"Missed scheduled time to start a job: {said}"))
        return Due(wait=wait, events=tuple(events))
    active = status.get("active") or ()
    name = job_name(cronjob, time)
    if any(each.get("name") == name for each in active) or _same(status.get("lastScheduleTime"), time):
        return Due(wait=wait, events=tuple(events))
    if spec["concurrencyPolicy"] == "Forbid" and active:
        why = "Not starting job because prior execution is running and concurrency policy is Forbid"
        events.append(("Normal", "JobAlreadyActive", why))
        return Due(wait=wait, events=tuple(events))
    # The next one is looked for once this one is put down.
    return Due(time, _seconds_to_next(schedule, time, now), tuple(events))


def _same(text: str | None, time: datetime) -> bool:
    return bool(text) and parse_time(text or "") == time


def most_recent(schedule: Schedule, earliest: datetime, now: datetime) -> tuple[datetime | None, int]:
    """(the last of the schedule's times after `earliest` that isn't after `now`, how many there were about).

    Raises ValueError for a schedule that has no times.
    """
    first = schedule.next(earliest)
    if first is not None and now < first:
        return None, 0
    second = None if first is None else schedule.next(first)
    if first is None or second is None or (between := int((second - first).total_seconds())) < 1:
        raise ValueError("time difference between two schedules is less than 1 second")
    if now < second:
        return first, 0
    missed = int((now - first).total_seconds()) // between + 1
    # Times need not be at equal distances: the last steps are taken one by one. Where upstream's guess is
    # beyond the last time, and it starts nothing, a guess before it is taken.
    steps, found = missed - 2, None
    while found is None:
        time = schedule.next(first + timedelta(seconds=steps * between))
        while time is not None and time <= now:
            found, time = time, schedule.next(time)
        steps //= 2
    return found, missed


def _seconds_to_next(schedule: Schedule, since: datetime, now: datetime) -> float | None:
    try:
        recent, missed = most_recent(schedule, since, now)
    except ValueError:
        recent, missed = None, 1
    start = recent if recent is not None else (now if missed else since)
    time = schedule.next(start)
    return None if time is None else max(0.0, (time - now).total_seconds()) + _PADDING


def job_name(cronjob: Obj, time: datetime) -> str:
    """The same for one time, however often it is tried; times are told apart by the minute."""
    return f"{cronjob['metadata']['name']}-{int(time.timestamp()) // 60}"


def new_job(cronjob: Obj, time: datetime) -> Obj:
    """The Job for that time."""
    metadata, spec = cronjob["metadata"], cronjob["spec"]
    template = spec["jobTemplate"].get("metadata") or {}
    local = time.astimezone(find_zone(spec.get("timeZone") or "")).isoformat()
    job_metadata: Obj = {
        "name": job_name(cronjob, time),
        "namespace": metadata["namespace"],
        "annotations": {**(template.get("annotations") or {}), SCHEDULED_TIME: local.replace("+00:00", "Z")},
        "ownerReferences": [owner_reference(cronjob)],
    }
    if template.get("labels"):
        job_metadata["labels"] = template["labels"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": job_metadata,
        "spec": spec["jobTemplate"]["spec"],
    }


def started(status: Obj, job: Obj, time: datetime) -> Obj:
    """The status once the Job is there."""
    metadata = job["metadata"]
    reference = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "uid": metadata["uid"],
        "resourceVersion": metadata.get("resourceVersion", ""),
    }
    active = [*(status.get("active") or ()), reference]
    return with_active(status, active) | {"lastScheduleTime": format_time(time)}
