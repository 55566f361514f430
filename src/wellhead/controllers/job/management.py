"""Which pods a Job that goes on makes, or ends.

Source: manageJob in pkg/controller/job/job_controller.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wellhead.api.kinds.job.indexes import Indexes
from wellhead.api.meta import Obj, owner_reference
from wellhead.api.types.pod import Pod
from wellhead.controllers.job.backoff import wait_of_index
from wellhead.controllers.job.pods import (
    FAILURES,
    FINALIZER,
    IGNORED_FAILURES,
    INDEX,
    completion_index,
    failures,
    ignored_failures,
    is_terminating,
    least_missed,
    repeated,
    replaces_only_failed,
)
from wellhead.controllers.job.policy import judge
from wellhead.controllers.job.survey import Survey, is_suspended

BURST = 500
"""The most pods that are made or deleted in one go."""

_LONGEST_BASE = 58
_VARIABLE = "JOB_COMPLETION_INDEX"


@dataclass(frozen=True)
class Management:
    """Either pods to end or pods to make, or seconds to wait until one may be made."""

    remove: tuple[Pod, ...] = ()
    create: tuple[int | None, ...] = ()
    """An index for each pod to make; None in a Job without indexes."""
    wait: float = 0.0


def manage(view: Survey) -> Management:
    """What to do about the number of pods of a Job that isn't at its end."""
    spec, active = view.job["spec"], len(view.active)
    if is_suspended(view.job):
        return Management(remove=tuple(_surplus(view, active)))
    wanted = _wanted(view, active)
    surplus = _surplus(view, max(0, active - wanted))[:BURST]
    if surplus:
        return Management(remove=tuple(surplus))
    going = view.terminating if replaces_only_failed(view.job) else 0
    lacking = wanted - going - active
    if lacking <= 0:
        return Management()
    per_index = "backoffLimitPerIndex" in spec
    if not per_index and (wait := view.backoff.wait(view.now)) > 0:
        return Management(wait=wait)
    lacking = min(lacking, BURST)
    if not view.indexed:
        return Management(create=(None,) * lacking)
    indexes = _pending(view, lacking)
    if per_index:
        waits = {index: wait_of_index(view.awaited.get(index), view.now) for index in indexes}
        indexes = [index for index in indexes if not waits[index]]
        if waits and not indexes:
            return Management(wait=min(waits.values()))
        return Management(create=tuple(indexes), wait=min(filter(None, waits.values()), default=0.0))
    return Management(create=tuple(indexes))


def _wanted(view: Survey, active: int) -> int:
    spec = view.job["spec"]
    if "completions" not in spec:
        # After the first success, what runs may finish, and nothing new begins.
        return active if view.succeeded > 0 else int(spec["parallelism"])
    return max(0, min(int(spec["completions"]) - view.succeeded, int(spec["parallelism"])))


def _surplus(view: Survey, at_least: int) -> list[Pod]:
    if not view.indexed:
        return least_missed(view.active)[:at_least]
    surplus, kept = repeated(view.active, view.job["spec"]["completions"])
    return surplus + least_missed(kept)[: max(0, at_least - len(surplus))]


def _pending(view: Survey, count: int) -> list[int]:
    """The first indexes that nobody works on and that are neither done nor lost."""
    taken = view.succeeded_indexes | _indexes_of(view.active) | (view.failed_indexes or Indexes())
    if replaces_only_failed(view.job):
        taken |= _indexes_of([pod for pod in view.pods if is_terminating(pod)])
    return taken.missing(count, view.job["spec"]["completions"])


def _indexes_of(pods: Sequence[Pod]) -> Indexes:
    return Indexes.of({index for pod in pods if (index := completion_index(pod)) is not None})


def new_pod(view: Survey, index: int | None) -> Pod:
    """A pod of the Job, to be named by the server; with the index, what tells it to the pod."""
    job = view.job
    metadata, template = job["metadata"], job["spec"]["template"]
    from_template = template.get("metadata") or {}
    finalizers = list(from_template.get("finalizers") or ())
    pod_metadata: Obj = {
        "generateName": f"{metadata['name']}-"[:_LONGEST_BASE],
        "namespace": metadata["namespace"],
        "labels": dict(from_template.get("labels") or {}),
        "annotations": dict(from_template.get("annotations") or {}),
        "finalizers": finalizers if FINALIZER in finalizers else [*finalizers, FINALIZER],
        "ownerReferences": [owner_reference(job)],
    }
    spec: Obj = {**template["spec"]}
    if view.indexed:
        for field in ("initContainers", "containers"):
            if spec.get(field):
                spec[field] = [_with_index(container) for container in spec[field]]
    if index is not None:
        suffix = f"-{index}-"
        pod_metadata["generateName"] = metadata["name"][: _LONGEST_BASE - len(suffix)] + suffix
        pod_metadata["labels"][INDEX] = pod_metadata["annotations"][INDEX] = str(index)
        spec["hostname"] = f"{metadata['name']}-{index}"
        if "backoffLimitPerIndex" in job["spec"]:
            pod_metadata["annotations"] |= _failures_before(job, view.awaited.get(index))
    made: Pod = {"apiVersion": "v1", "kind": "Pod", "metadata": pod_metadata, "spec": spec}  # type: ignore[typeddict-item]
    return made


def _with_index(container: Obj) -> Obj:
    env = list(container.get("env") or ())
    if any(variable.get("name") == _VARIABLE for variable in env):
        return container
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}
    return {**container, "env": [*env, {"name": _VARIABLE, "valueFrom": source}]}


def _failures_before(job: Obj, last: Pod | None) -> dict[str, str]:
    if last is None:
        return {FAILURES: "0"}
    counts = judge(job["spec"].get("podFailurePolicy"), last).counts
    ignored = ignored_failures(last) + (not counts)
    result = {FAILURES: str(failures(last) + counts)}
    return result | ({IGNORED_FAILURES: str(ignored)} if ignored else {})
