"""Makes, ends and counts the pods of Jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from wellhead.api.errors import ApiError, Conflict, NotFound, namespace_ends
from wellhead.api.kinds.job.status import is_finished
from wellhead.api.meta import Key, Obj, controller_of, is_controlled_by, is_deleting, key, labels
from wellhead.api.resources import JOBS, PODS
from wellhead.api.selectors import LabelSelector
from wellhead.api.types.pod import Pod
from wellhead.client.events import EventRecorder
from wellhead.client.reconciler import Reconciler
from wellhead.client.rest import Client, ConnectionLost
from wellhead.controllers.job.backoff import Failures
from wellhead.controllers.job.management import manage, new_pod
from wellhead.controllers.job.pods import FINALIZER, is_tracked, uid
from wellhead.controllers.job.survey import Survey, is_suspended, new_condition, survey
from wellhead.controllers.job.tracking import counting, ended, set_condition, track
from wellhead.controllers.ownership import carry_out, claim
from wellhead.controllers.pod_control import slow_start
from wellhead.controllers.pods import is_active, is_ready
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check

CONTROLLER = "kubernetes.io/job-controller"
_BATCH_SECONDS = 0.1
"""Events of pods come in crowds, and one look answers them all."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class JobController:
    """Reconciles Jobs, one at a time each; takes the finalizer from pods whose Job counts them no more."""

    name = "job"

    def __init__(
        self,
        client: Client,
        stores: Stores,
        recorder: EventRecorder,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._client = client
        self._stores = stores
        self._jobs: Store[Obj] = stores[JOBS]
        self._pods: Store[Pod] = stores[PODS]
        self._recorder = recorder
        self._now = now
        self._failures: dict[Key, Failures] = {}
        self._uncertain: set[Key] = set()
        """Those of which a create may or may not have worked: the connection broke before the answer."""
        self._reconciler = Reconciler(self.name, self.reconcile)
        self._orphans = Reconciler("job orphans", self._release)
        self._jobs.on_change(self._job_changed)
        self._pods.on_change(self._pod_changed)

    async def run(self) -> None:
        await self._stores.synced(JOBS, PODS)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reconciler.run())
            group.create_task(self._orphans.run())

    def checks(self) -> list[Check]:
        return [*self._reconciler.checks(), *self._orphans.checks()]

    def clock_was_set(self) -> None:
        """Look at all that wait, for a deadline or after a failure."""
        for job in self._jobs.values():
            if not is_finished(job):
                self._reconciler.enqueue(key(job))

    def _job_changed(self, old: Obj | None, new: Obj | None) -> None:
        job = new or old or {}
        if new is None or is_finished(new):
            for pod in self._controlled(job):
                self._orphans.enqueue(key(pod))
        if old is None or new is None or _generation(old) != _generation(new):
            self._reconciler.enqueue(key(job))
        else:
            self._reconciler.enqueue_after(key(job), _BATCH_SECONDS)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        for pod in (old, new):
            if pod is None:
                continue
            controller = controller_of(pod)
            if controller is None:
                self._enqueue_selecting(pod)
            elif controller["kind"] == "Job":
                name = (pod["metadata"]["namespace"], controller["name"])
                self._reconciler.enqueue_after(name, _BATCH_SECONDS)
        if new is not None and is_tracked(new) and self._is_orphan(new):
            self._orphans.enqueue(key(new))

    def _enqueue_selecting(self, pod: Pod) -> None:
        """Jobs that may adopt the pod."""
        if not labels(pod):
            return
        for job in self._jobs.by_index("namespace", pod["metadata"]["namespace"]):
            if _selector(job).matches(labels(pod)):
                self._reconciler.enqueue_after(key(job), _BATCH_SECONDS)

    def _is_orphan(self, pod: Pod) -> bool:
        """Whether no Job counts the pod any more."""
        controller = controller_of(pod)
        if controller is None:
            return True
        if controller["kind"] != "Job" or controller["apiVersion"] != "batch/v1":
            return False
        job = self._jobs.get(controller["name"], pod["metadata"]["namespace"])
        if job is None or job["metadata"]["uid"] != controller["uid"]:
            return True
        return is_finished(job) and not _is_managed_elsewhere(job)

    async def _release(self, name: Key) -> None:
        pod = self._pods.get(*reversed(name))
        if pod is not None and is_tracked(pod) and self._is_orphan(pod):
            await self._pods.drop_finalizer(pod, FINALIZER)

    async def reconcile(self, name: Key) -> float | None:
        """Bring the Job nearer to its end; the answer is in how many seconds to look again."""
        job = self._jobs.get(*reversed(name))
        if job is None or is_finished(job):
            self._failures.pop(name, None)
            self._uncertain.discard(name)
            return None
        if _is_managed_elsewhere(job):
            return None
        if name in self._uncertain:
            await self._find_unknown(job)
            self._uncertain.discard(name)
        pods = await self._claimed(job)
        view = survey(job, pods, self._failures.get(name, Failures()), self._now())
        return await _Round(self, view).carry_out()

    async def _claimed(self, job: Obj) -> list[Pod]:
        orphans = self._pods.by_index("uncontrolled", job["metadata"]["namespace"])
        candidates = [*self._controlled(job), *filter(is_active, orphans)]
        decided = claim(job, _selector(job), candidates)
        decided = replace(
            decided,
            adopt=tuple(_with_finalizer(pod, there=True) for pod in decided.adopt),
            release=tuple(_with_finalizer(pod, there=False) for pod in decided.release),
        )
        return await carry_out(decided, job, self._jobs, self._pods)

    def _controlled(self, job: Obj) -> list[Pod]:
        return self._pods.by_index("controller", job["metadata"]["uid"])

    async def _find_unknown(self, job: Obj) -> None:
        """Learn of pods that a create whose answer was lost has made after all."""
        metadata = job["metadata"]
        listed = await self._client.list(PODS, metadata["namespace"], label_selector=str(_selector(job)))
        for pod in listed.get("items") or []:
            if is_controlled_by(pod, job):
                self._pods.learn(pod)

    async def create_pod(self, view: Survey, index: int | None) -> None:
        try:
            pod = await self._pods.create(new_pod(view, index))
        except ConnectionLost:
            self._uncertain.add(key(view.job))
            raise
        except ApiError as error:
            if namespace_ends(error):
                return
            self._recorder.event(view.job, "Warning", "FailedCreate", f"Error creating: {error}")
            raise
        self._recorder.event(
            view.job, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}"
        )

    async def delete_pod(self, job: Obj, pod: Pod, *, counted: bool) -> None:
        """Delete the pod; one that isn't to be `counted` loses its finalizer first. A missing one is fine."""
        try:
            if not counted and is_tracked(pod):
                pod = await self._pods.drop_finalizer(pod, FINALIZER)
            await self._pods.delete(pod)
        except (NotFound, Conflict):
            return  # it, or this one of the name, is gone
        except ApiError as error:
            self._recorder.event(job, "Warning", "FailedDelete", f"Error deleting: {error}")
            raise
        name = pod["metadata"]["name"]
        self._recorder.event(job, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")

    async def settle(self, pod: Pod) -> None:
        """Take the finalizer from a pod that the status names."""
        try:
            await self._pods.drop_finalizer(pod, FINALIZER)
        except (NotFound, Conflict):
            return  # it, or this one of the name, is gone

    async def write(self, job: Obj, status: Obj) -> Obj:
        return await self._jobs.update({**job, "status": status}, "status")

    def tell(self, job: Obj, type: Any, reason: str, message: str) -> None:
        self._recorder.event(job, type, reason, message)

    def remember(self, job: Obj, failures: Failures) -> None:
        self._failures[key(job)] = failures


class _Round:
    """One reconciliation: what was surveyed, and what has been done about it since."""

    def __init__(self, controller: JobController, view: Survey) -> None:
        self._controller = controller
        self._view = view
        self._active, self._ready, self._terminating = len(view.active), view.ready, view.terminating
        self._error: BaseException | None = None
        self._again: list[float] = []
        if view.deadline is not None and view.finish is None:
            self._again.append(view.deadline)

    async def carry_out(self) -> float | None:
        view = self._view
        before = view.job.get("status") or {}
        status = {**before}
        conditions_changed = False
        if view.finish is not None:
            finish: Obj | None = view.finish
            gone = await self._delete(view.active, counted=True)
            if len(gone) < len(view.active):
                finish = None  # what still runs isn't counted yet
        else:
            finish = None
            if not is_deleting(view.job):
                await self._manage()
            if self._is_complete():
                text = "Reached expected number of succeeded pods"
                finish = new_condition("SuccessCriteriaMet", "CompletionsReached", text, view.now)
            elif not is_deleting(view.job):
                conditions_changed = self._suspend_or_resume(status)
        counts = {"active": self._active, "ready": self._ready, "terminating": self._terminating}
        flush = conditions_changed or any(
            before.get(name, 0 if name == "active" else None) != count for name, count in counts.items()
        )
        status |= counts
        if not self._active:
            del status["active"]
        await self._track(status, finish, flush)
        if self._error is not None:
            raise self._error
        return min(self._again, default=None)

    async def _manage(self) -> None:
        view = self._view
        plan = manage(view)
        if plan.wait:
            self._again.append(plan.wait)
        if plan.remove:
            gone = await self._delete(plan.remove, counted=False)
            removed = {uid(pod) for pod in gone}
            left = tuple(pod for pod in view.pods if uid(pod) not in removed)
            self._view = Survey(**{**view.__dict__, "pods": left})
            return
        remaining = list(plan.create)
        for batch in slow_start(len(plan.create)):
            indexes, remaining = remaining[:batch], remaining[batch:]
            made = await self._attempt(self._controller.create_pod(view, index) for index in indexes)
            self._active += sum(made)
            if self._error is not None:
                return

    async def _delete(self, pods: Sequence[Pod], *, counted: bool) -> list[Pod]:
        job = self._view.job
        done = await self._attempt(self._controller.delete_pod(job, pod, counted=counted) for pod in pods)
        gone = [pod for pod, is_gone in zip(pods, done, strict=True) if is_gone]
        self._active -= len(gone)
        self._terminating += len(gone)
        self._ready -= sum(map(is_ready, gone))
        return gone

    async def _attempt(self, tasks: Iterable[Awaitable[None]]) -> list[bool]:
        """Which of them went well. The first error is raised at the end of the round."""
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and self._error is None:
                self._error = outcome
        return [outcome is None for outcome in outcomes]

    def _is_complete(self) -> bool:
        spec = self._view.job["spec"]
        enough = spec.get("completions", 1)
        return not self._active and self._view.succeeded >= enough

    def _suspend_or_resume(self, status: Obj) -> bool:
        """Say so in the status; whether that is news."""
        view = self._view
        entries = status.get("conditions") or []
        if is_suspended(view.job):
            entry = new_condition("Suspended", "JobSuspended", "Job suspended", view.now)
        else:
            entry = new_condition("Suspended", "JobResumed", "Job resumed", view.now, "False")
        changed = set_condition(entries, entry)
        if changed == entries:
            return False
        status["conditions"] = changed
        if is_suspended(view.job):
            status.pop("startTime", None)
            self._controller.tell(view.job, "Normal", "Suspended", "Job suspended")
        else:
            # The active deadline counts from here.
            status["startTime"] = entry["lastTransitionTime"]
            self._controller.tell(view.job, "Normal", "Resumed", "Job resumed")
        return True

    async def _track(self, status: Obj, finish: Obj | None, flush: bool) -> None:
        controller, view = self._controller, self._view
        job = view.job
        tracking = track(view, status, finish, flush)
        status = tracking.status
        if tracking.flush:
            job = await controller.write(job, status)
            status = job["status"] | {"uncountedTerminatedPods": status["uncountedTerminatedPods"]}
            controller.remember(job, view.backoff)
        settled = await self._attempt(controller.settle(pod) for pod in tracking.settled)
        free = {uid(pod) for pod, done in zip(tracking.settled, settled, strict=True) if done}
        tracked = {uid(pod) for pod in view.pods if is_tracked(pod)} - free
        status, counted = counting(status, tracked)
        last = ended(status, tracking.final, view.now) if all(settled) else None
        if last is not None:
            job = await controller.write(job, last)
            self._again.clear()
            self._tell_end(job, tracking.final or {})
        elif counted:
            await controller.write(job, status)

    def _tell_end(self, job: Obj, final: Obj) -> None:
        if final["type"] != "Complete":
            self._controller.tell(job, "Warning", final.get("reason", ""), final.get("message", ""))
            return
        completions = job["spec"].get("completions")
        if completions is not None and (job["status"].get("succeeded", 0)) > completions:
            text = "Too many succeeded pods running after completion count reached"
            self._controller.tell(job, "Warning", "TooManySucceededPods", text)
        self._controller.tell(job, "Normal", "Completed", "Job completed")


def _selector(job: Obj) -> LabelSelector:
    return LabelSelector.from_object(job["spec"].get("selector"))


def _generation(job: Obj) -> int:
    return int(job["metadata"].get("generation") or 0)


def _is_managed_elsewhere(job: Obj) -> bool:
    return bool(job["spec"].get("managedBy", CONTROLLER) != CONTROLLER)


def _with_finalizer(pod: Pod, *, there: bool) -> Pod:
    others = [name for name in pod["metadata"].get("finalizers") or () if name != FINALIZER]
    changed: Any = {
        **pod,
        "metadata": {**pod["metadata"], "finalizers": [*others, FINALIZER] if there else others},
    }
    result: Pod = changed
    return result
