"""Each ended pod is counted exactly once, whenever the controller dies.

A pod carries a finalizer until it is counted. First the status names its uid as uncounted, then the finalizer
goes, then the count rises and the uid is dropped: after any break, what is written says what is left to do.

Source: trackJobStatusAndRemoveFinalizers in pkg/controller/job/job_controller.go (KEP-2307).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from wellhead.api.kinds.job.indexes import Indexes
from wellhead.api.meta import Obj, condition, is_deleting
from wellhead.api.types.pod import Pod
from wellhead.controllers import conditions
from wellhead.controllers.job.pods import completion_index, has_failed, is_tracked, uid
from wellhead.controllers.job.policy import judge
from wellhead.controllers.job.survey import Survey, new_condition
from wellhead.controllers.pods import phase

MOST_UNCOUNTED = 500
"""So that a status stays small, and a large Job doesn't hold up the others."""


@dataclass(frozen=True)
class Tracking:
    """What to write now, and from which pods to take the finalizer afterwards."""

    status: Obj
    settled: tuple[Pod, ...]
    """Pods that lose their finalizer once the status is written."""
    final: Obj | None
    """The condition with which the Job ends once all is counted."""
    flush: bool


def track(survey: Survey, status: Obj, finish: Obj | None, flush: bool) -> Tracking:
    """The first half: name the newly ended pods. `finish` is the condition that ends the Job, if one does."""
    job, pods = survey.job, list(survey.pods)
    if survey.indexed:
        pods.sort(key=lambda pod: -1 if (index := completion_index(pod)) is None else index)
    status, counted = counting(status, {uid(pod) for pod in pods if is_tracked(pod)})
    flush = flush or counted
    uncounted = {field: list(status["uncountedTerminatedPods"].get(field) or ()) for field in _FIELDS}
    succeeded_indexes: list[int] = []
    settled: list[Pod] = []
    whole = True
    for pod in filter(is_tracked, pods):
        failed = has_failed(pod, job)
        if not _may_settle(survey, pod, failed, finish):
            continue
        settled.append(pod)
        flush = _name(survey, pod, failed, finish, uncounted, succeeded_indexes) or flush
        if len(succeeded_indexes) + sum(map(len, uncounted.values())) >= MOST_UNCOUNTED:
            whole = False
            break
    status["uncountedTerminatedPods"] = {field: uids for field, uids in uncounted.items() if uids}
    if survey.indexed:
        flush = _write_indexes(survey, status, succeeded_indexes) or flush
    final, status, announced = _announced(status, finish, survey.now)
    return Tracking(status, tuple(settled), final if whole else None, flush or announced)


_FIELDS = ("succeeded", "failed")


def counting(status: Obj, tracked: Collection[str]) -> tuple[Obj, bool]:
    """The status with uncounted pods counted that have no finalizer any more; whether there were any."""
    uncounted = status.get("uncountedTerminatedPods") or {}
    result, kept = {**status}, {}
    for field in _FIELDS:
        uids = uncounted.get(field) or ()
        left = [each for each in uids if each in tracked]
        if len(left) < len(uids):
            result[field] = result.get(field, 0) + len(uids) - len(left)
        if left:
            kept[field] = left
    result["uncountedTerminatedPods"] = kept
    return result, kept != {field: list(uncounted[field]) for field in _FIELDS if uncounted.get(field)}


def ended(status: Obj, final: Obj | None, now: datetime) -> Obj | None:
    """The status of a Job that is over: nothing is uncounted, no pod is on its way out. None: not yet."""
    if final is None or status["uncountedTerminatedPods"] or status.get("terminating"):
        return None
    entries = set_condition(status.get("conditions") or [], final)
    status = {**status, "conditions": entries}
    if final["type"] == "Complete":
        entry = conditions.find(entries, "Complete") or final
        status["completionTime"] = entry["lastTransitionTime"]
    return status


def set_condition(entries: Sequence[Obj], new: Obj) -> list[Obj]:
    """With `new` in place of the one of its type; appended unless it only says that something isn't."""
    for position, entry in enumerate(entries):
        if entry["type"] == new["type"]:
            if all(entry.get(field) == new.get(field) for field in ("status", "reason", "message")):
                return list(entries)
            return [*entries[:position], new, *entries[position + 1 :]]
    return list(entries) if new["status"] == "False" else [*entries, new]


def _may_settle(survey: Survey, pod: Pod, failed: bool, finish: Obj | None) -> bool:
    if is_deleting(survey.job) or finish is not None or phase(pod) == "Succeeded":
        return True
    # The last failed pod of an index stays until its replacement has taken its count of failures over.
    index = completion_index(pod)
    return failed and not (index is not None and survey.awaited.get(index) is pod)


def _name(
    survey: Survey,
    pod: Pod,
    failed: bool,
    finish: Obj | None,
    uncounted: dict[str, list[str]],
    succeeded_indexes: list[int],
) -> bool:
    """Put the pod down as succeeded or failed, if it is and isn't yet put down; whether it was now."""
    job, name = survey.job, uid(pod)
    index = completion_index(pod)
    valid = not survey.indexed or (index is not None and index < job["spec"]["completions"])
    if phase(pod) == "Succeeded" and name not in uncounted["failed"]:
        if survey.indexed:
            # The index says it: no uid is needed.
            if not valid or index is None or index in survey.previous_indexes:
                return False
            succeeded_indexes.append(index)
            return True
        if name in uncounted["succeeded"]:
            return False
        uncounted["succeeded"].append(name)
        return True
    # When a Job has failed, so have all its pods that haven't ended yet.
    doomed = finish is not None and finish["type"] != "SuccessCriteriaMet"
    if not (failed or doomed) or name in uncounted["failed"] or not valid:
        return False
    policy = job["spec"].get("podFailurePolicy")
    if policy is not None and not judge(policy, pod).counts:
        return False
    uncounted["failed"].append(name)
    return True


def _write_indexes(survey: Survey, status: Obj, more: list[int]) -> bool:
    """Put the indexes into the status; whether that changes it."""
    completed, failed = survey.succeeded_indexes | Indexes.of(more), survey.failed_indexes
    written = {
        "succeeded": len(completed) or None,
        "completedIndexes": str(completed) or None,
        "failedIndexes": None if failed is None else str(failed),
    }
    changed = False
    for name, value in written.items():
        changed = changed or status.get(name) != value
        if value is None:
            status.pop(name, None)
        else:
            status[name] = value
    return changed


def _announced(status: Obj, finish: Obj | None, now: datetime) -> tuple[Obj | None, Obj, bool]:
    """(the condition at the end, the status with the one that announces it, whether that is new)."""
    if finish is None:
        return None, status, False
    entries: Iterable[Obj] = status.get("conditions") or ()
    if finish["type"] == "FailureTarget":
        final = new_condition("Failed", finish["reason"], finish["message"], now)
    elif finish["type"] == "SuccessCriteriaMet":
        final = new_condition("Complete", finish.get("reason", ""), finish.get("message", ""), now)
        if condition({"status": status}, "SuccessCriteriaMet") is not None:
            return final, status, False
    else:
        return finish, status, False
    return final, {**status, "conditions": set_condition(list(entries), finish)}, True
