"""Where a Job stands: its pods by kind, what is counted, and whether anything ends it.

Source: syncJob in pkg/controller/job/job_controller.go. Several ends may be true at once, so their order
counts: what was announced before, the failure policy, the back-off limit, the deadline, indexes, success.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from wellhead.api.kinds.job.indexes import Indexes
from wellhead.api.meta import Obj, condition, format_time, parse_time
from wellhead.api.types.pod import Pod
from wellhead.controllers.job.backoff import Failures
from wellhead.controllers.job.pods import (
    completion_index,
    end_of,
    failures,
    has_failed,
    is_terminating,
    is_tracked,
    restarts,
    uid,
)
from wellhead.controllers.job.policy import early_success, judge
from wellhead.controllers.pods import is_active, is_ready, phase


@dataclass(frozen=True)
class Survey:
    """All that is decided upon."""

    job: Obj
    """With its start time, once it has begun."""
    pods: tuple[Pod, ...]
    now: datetime
    active: tuple[Pod, ...]
    ready: int
    terminating: int
    succeeded: int
    failed: int
    indexed: bool
    backoff: Failures
    previous_indexes: Indexes = field(default_factory=Indexes)
    """Those that the status names already."""
    succeeded_indexes: Indexes = field(default_factory=Indexes)
    failed_indexes: Indexes | None = None
    """None without backoffLimitPerIndex."""
    awaited: dict[int, Pod] = field(default_factory=dict)
    """index -> its last failed pod, which has no replacement yet."""
    finish: Obj | None = None
    """The condition that ends the Job, if something does."""
    deadline: float | None = None
    """Seconds until the active deadline."""


def new_condition(type: str, reason: str, message: str, now: datetime, status: str = "True") -> Obj:
    time = format_time(now)
    entry = {"type": type, "status": status, "lastProbeTime": time, "lastTransitionTime": time}
    return entry | {name: text for name, text in (("reason", reason), ("message", message)) if text}


def is_suspended(job: Obj) -> bool:
    return bool(job["spec"].get("suspend"))


def survey(job: Obj, pods: Sequence[Pod], before: Failures, now: datetime) -> Survey:
    """Where the Job stands. `before` are the failures known before these pods."""
    spec, status = job["spec"], job.get("status") or {}
    if not status.get("startTime") and not is_suspended(job):
        status = {**status, "startTime": format_time(now)}
        job = {**job, "status": status}
    indexed = spec.get("completionMode") == "Indexed"
    uncounted = status.get("uncountedTerminatedPods") or {}
    known = {name: set(uncounted.get(name) or ()) for name in ("succeeded", "failed")}
    active = tuple(filter(is_active, pods))

    def newly(name: str, is_so: Callable[[Pod], bool]) -> list[Pod]:
        return [
            pod
            for pod in pods
            if is_tracked(pod) and uid(pod) not in known[name] and _is_valid(pod, job) and is_so(pod)
        ]

    succeeded = newly("succeeded", lambda pod: phase(pod) == "Succeeded")
    failed = newly("failed", lambda pod: has_failed(pod, job))
    policy = spec.get("podFailurePolicy")
    counted = failed if policy is None else [pod for pod in failed if judge(policy, pod).counts]
    view = Survey(
        job,
        tuple(pods),
        now,
        active,
        ready=sum(map(is_ready, active)),
        terminating=sum(map(is_terminating, pods)),
        succeeded=status.get("succeeded", 0) + len(succeeded) + len(known["succeeded"]),
        failed=status.get("failed", 0) + len(counted) + len(known["failed"]),
        indexed=indexed,
        backoff=before.after(succeeded, failed),
        deadline=_seconds_to_deadline(job, now),
    )
    if indexed:
        view = _with_indexes(view)
    return _replace(view, finish=_end(view))


def _replace(view: Survey, **changes: object) -> Survey:
    return Survey(**{**view.__dict__, **changes})


def _is_valid(pod: Pod, job: Obj) -> bool:
    """Whether its index is one of the Job's, if those have indexes."""
    spec = job["spec"]
    if spec.get("completionMode") != "Indexed":
        return True
    index = completion_index(pod)
    return index is not None and index < spec["completions"]


def _with_indexes(view: Survey) -> Survey:
    job = view.job
    spec, status = job["spec"], job.get("status") or {}
    completions = spec["completions"]
    valid = [(index, pod) for pod in view.pods if (index := completion_index(pod)) is not None]
    tracked = [(index, pod) for index, pod in valid if index < completions and is_tracked(pod)]
    previous = Indexes.parse(status.get("completedIndexes") or "", completions)
    succeeded = previous | Indexes.of({index for index, pod in tracked if phase(pod) == "Succeeded"})
    view = _replace(view, previous_indexes=previous, succeeded_indexes=succeeded, succeeded=len(succeeded))
    if "backoffLimitPerIndex" not in spec:
        return view
    lost = Indexes.parse(status.get("failedIndexes") or "", completions) | Indexes.of(
        {index for index, pod in tracked if _loses_index(pod, job)}
    )
    busy = {index for pod in view.active if (index := completion_index(pod)) is not None}
    awaited: dict[int, Pod] = {}
    for index, pod in tracked:
        if not has_failed(pod, job) or index in succeeded or index in lost or index in busy:
            continue
        other = awaited.get(index)
        if other is None or _later(pod) >= _later(other):
            awaited[index] = pod
    return _replace(view, failed_indexes=lost, awaited=awaited)


def _later(pod: Pod) -> tuple[int, datetime]:
    return failures(pod, ignored=True), end_of(pod)


def _loses_index(pod: Pod, job: Obj) -> bool:
    if not has_failed(pod, job):
        return False
    spec = job["spec"]
    verdict = judge(spec.get("podFailurePolicy"), pod)
    return verdict.action == "FailIndex" or (verdict.counts and failures(pod) >= spec["backoffLimitPerIndex"])


def _seconds_to_deadline(job: Obj, now: datetime) -> float | None:
    limit, start = job["spec"].get("activeDeadlineSeconds"), (job.get("status") or {}).get("startTime")
    if limit is None or not start or is_suspended(job):
        return None
    return (parse_time(start) + timedelta(seconds=limit) - now).total_seconds()


def _end(view: Survey) -> Obj | None:
    job, now = view.job, view.now
    spec = job["spec"]

    def failure(reason: str, message: str) -> Obj:
        return new_condition("FailureTarget", reason, message, now)

    met = condition(job, "SuccessCriteriaMet")
    if met is not None and met.get("status") == "True":
        return met
    doomed = condition(job, "FailureTarget")
    if doomed is not None and doomed.get("status") == "True":
        return new_condition("Failed", doomed.get("reason", ""), doomed.get("message", ""), now)
    if message := _fatal(view):
        return failure("PodFailurePolicy", message)
    if view.failed > spec["backoffLimit"] or _restarted_too_often(view):
        return failure("BackoffLimitExceeded", "Job has reached the specified backoff limit")
    if view.deadline is not None and view.deadline <= 0:
        return failure("DeadlineExceeded", "Job was active longer than specified deadline")
    if view.failed_indexes:
        lost, most = len(view.failed_indexes), spec.get("maxFailedIndexes")
        if most is not None and lost > most:
            text = "Job has exceeded the specified maximal number of failed indexes"
            return failure("MaxFailedIndexesExceeded", text)
        if lost + len(view.succeeded_indexes) >= spec["completions"]:
            return failure("FailedIndexes", "Job has failed indexes")
    if view.indexed:
        rule = early_success(spec.get("successPolicy"), spec["completions"], view.succeeded_indexes)
        if rule is not None:
            return new_condition("SuccessCriteriaMet", "SuccessPolicy", rule, now)
    return None


def _fatal(view: Survey) -> str:
    """Why a failed pod fails the whole Job, if one does."""
    policy = view.job["spec"].get("podFailurePolicy")
    if policy is None:
        return ""
    verdicts = (judge(policy, pod) for pod in view.pods if has_failed(pod, view.job))
    return next((verdict.message for verdict in verdicts if verdict.message), "")


def _restarted_too_often(view: Survey) -> bool:
    """With restartPolicy OnFailure, pods don't fail: their containers' restarts count."""
    spec = view.job["spec"]
    if spec["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    count = sum(restarts(pod) for pod in view.pods if phase(pod) in ("Running", "Pending"))
    return bool(count >= max(1, spec["backoffLimit"]))
