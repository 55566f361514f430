"""Deletes finished Jobs once their ttlSecondsAfterFinished is over.

Source: pkg/controller/ttlafterfinished.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from wellhead.api.errors import NotFound
from wellhead.api.kinds.job.status import is_finished
from wellhead.api.meta import Key, Obj, condition, is_deleting, key, parse_time
from wellhead.api.resources import JOBS
from wellhead.client.reconciler import Reconciler
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check


def seconds_left(job: Obj, now: datetime) -> float | None:
    """Until the Job may go; 0: it may go now; None: nothing says that it goes."""
    lifetime = job["spec"].get("ttlSecondsAfterFinished")
    if lifetime is None or is_deleting(job) or not is_finished(job):
        return None
    for name in ("Complete", "Failed"):
        entry = condition(job, name)
        if entry is not None and entry.get("status") == "True" and entry.get("lastTransitionTime"):
            end = parse_time(entry["lastTransitionTime"])
            return max(0.0, (end + timedelta(seconds=lifetime) - now).total_seconds())
    return None


class JobExpiryController:
    """Looks at each finished Job when its time is up."""

    name = "ttl-after-finished"

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._jobs: Store[Obj] = stores[JOBS]
        self._reconciler = Reconciler(self.name, self.reconcile)
        self._jobs.on_change(self._changed)

    async def run(self) -> None:
        await self._stores.synced(JOBS)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def clock_was_set(self) -> None:
        """Look at all that wait."""
        for job in self._jobs.values():
            self._changed(None, job)

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None and seconds_left(new, datetime.now(UTC)) is not None:
            self._reconciler.enqueue(key(new))

    async def reconcile(self, name: Key) -> float | None:
        job = self._jobs.get(*reversed(name))
        left = None if job is None else seconds_left(job, datetime.now(UTC))
        if left is None or left > 0:
            return left
        try:
            # The lifetime may have been made longer a moment ago.
            job = await self._jobs.live(*reversed(name))
            left = seconds_left(job, datetime.now(UTC))
            if left is None or left > 0:
                return left
            await self._jobs.delete(job, propagation="Foreground")
        except NotFound:
            pass
        return None
