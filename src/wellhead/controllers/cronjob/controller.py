"""Starts the Jobs of CronJobs when they are due, and removes the old ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from wellhead.api.errors import AlreadyExists, ApiError, Conflict, NotFound, namespace_ends
from wellhead.api.meta import Key, Obj, controller_of, is_controlled_by, key
from wellhead.api.resources import CRONJOBS, JOBS
from wellhead.client.events import EventRecorder
from wellhead.client.reconciler import Reconciler
from wellhead.controllers.cronjob.plan import Event, due, new_job, see, started, too_old, without
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check


def _utc_now() -> datetime:
    return datetime.now(UTC)


class CronJobController:
    """Looks at a CronJob when a time of its schedule comes, and when one of its Jobs changes."""

    name = "cronjob"

    def __init__(
        self, stores: Stores, recorder: EventRecorder, now: Callable[[], datetime] = _utc_now
    ) -> None:
        self._stores = stores
        self._cronjobs: Store[Obj] = stores[CRONJOBS]
        self._jobs: Store[Obj] = stores[JOBS]
        self._recorder = recorder
        self._now = now
        self._reconciler = Reconciler(self.name, self.reconcile)
        self._cronjobs.on_change(lambda old, new: self._reconciler.enqueue(key(new or old or {})))
        self._jobs.on_change(self._job_changed)

    async def run(self) -> None:
        await self._stores.synced(CRONJOBS, JOBS)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def clock_was_set(self) -> None:
        """Look at all of them: what was to come in an hour may be due."""
        for cronjob in self._cronjobs.values():
            self._reconciler.enqueue(key(cronjob))

    def _job_changed(self, old: Obj | None, new: Obj | None) -> None:
        for job in (old, new):
            controller = None if job is None else controller_of(job)
            if job is not None and controller is not None and controller["kind"] == "CronJob":
                self._reconciler.enqueue((job["metadata"]["namespace"], controller["name"]))

    async def reconcile(self, name: Key) -> float | None:
        """Do what is due; the answer is in how many seconds the next time comes."""
        cronjob = self._cronjobs.get(*reversed(name))
        if cronjob is None:
            return None
        before = cronjob.get("status") or {}
        jobs = self._jobs.by_index("controller", cronjob["metadata"]["uid"])
        gone = await self._remove_old(cronjob, jobs)
        jobs = [job for job in jobs if job["metadata"]["uid"] not in gone]
        seen = see(cronjob, jobs)
        self._tell(cronjob, seen.events)
        status = seen.status
        for reference in seen.missing:
            if reference.get("uid") in gone:
                status = without(status, reference["uid"])
            elif not await self._is_there(reference):
                text = f"Active job went missing: {reference.get('name', '')}"
                self._tell(cronjob, [("Normal", "MissingJob", text)])
                status = without(status, reference.get("uid", ""))
        now = self._now()
        plan = due(cronjob, status, now)
        self._tell(cronjob, plan.events)
        error: Exception | None = None
        if plan.time is not None:
            try:
                status = await self._start(cronjob, status, plan.time)
            except ApiError as failed:
                error = failed
        if status != before:
            await self._cronjobs.update({**cronjob, "status": status}, "status")
        if error is not None:
            raise error
        return plan.wait

    async def _start(self, cronjob: Obj, status: Obj, time: datetime) -> Obj:
        """Start the Job for that time; the status afterwards. Raises ApiError."""
        if cronjob["spec"]["concurrencyPolicy"] == "Replace":
            for reference in status.get("active") or ():
                status = await self._replace(cronjob, status, reference)
        job = new_job(cronjob, time)
        try:
            made = await self._jobs.create(job)
        except AlreadyExists:
            # Made before, by a process that died before it could say so; or somebody else's.
            made = await self._jobs.live(*reversed(key(job)))
            if not is_controlled_by(made, cronjob):
                return status
            if any(each.get("uid") == made["metadata"]["uid"] for each in status.get("active") or ()):
                return status
        except ApiError as error:
            if not namespace_ends(error):
                self._tell(cronjob, [("Warning", "FailedCreate", f"Error creating job: {error}")])
            raise
        else:
            name = made["metadata"]["name"]
            self._tell(cronjob, [("Normal", "SuccessfulCreate", f"Created job {name}")])
        return started(status, made, time)

    async def _replace(self, cronjob: Obj, status: Obj, reference: Obj) -> Obj:
        try:
            job = await self._jobs.live(reference["name"], reference["namespace"])
        except ApiError as error:
            self._tell(cronjob, [("Warning", "FailedGet", f"Get job: {error}")])
            raise
        await self._delete(cronjob, job)
        return without(status, reference.get("uid", ""))

    async def _remove_old(self, cronjob: Obj, jobs: list[Obj]) -> set[str]:
        """The uids of those that were removed."""
        gone = set()
        for job in too_old(cronjob, jobs):
            try:
                await self._delete(cronjob, job)
            except ApiError:
                continue  # it was told, and the next look tries again
            gone.add(job["metadata"]["uid"])
        return gone

    async def _delete(self, cronjob: Obj, job: Obj) -> None:
        try:
            await self._jobs.delete(job)
        except (NotFound, Conflict):
            return  # it, or this one of the name, is gone
        except ApiError as error:
            self._tell(cronjob, [("Warning", "FailedDelete", f"Deleted job: {error}")])
            raise
        name = job["metadata"]["name"]
        self._tell(cronjob, [("Normal", "SuccessfulDelete", f"Deleted job {name}")])

    async def _is_there(self, reference: Obj) -> bool:
        """Asked of the server, whatever the watch has shown so far."""
        try:
            await self._jobs.live(reference["name"], reference["namespace"])
        except NotFound:
            return False
        return True

    def _tell(self, cronjob: Obj, events: Iterable[Event]) -> None:
        kind: Any
        for kind, reason, message in events:
            self._recorder.event(cronjob, kind, reason, message)
