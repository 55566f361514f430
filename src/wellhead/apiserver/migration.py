"""Does what StorageVersionMigrations ask for: writes objects anew that were stored before they were made.

Upstream: pkg/controller/storageversionmigrator, which asks the API server for it; here it does it itself.
"""

from __future__ import annotations

import asyncio
import logging

from wellhead.api.errors import ApiError, Conflict, NotFound
from wellhead.api.kinds.storageversionmigration import FAILED, RUNNING, STORAGEVERSIONMIGRATIONS, SUCCEEDED
from wellhead.api.meta import Obj, is_condition_true, now
from wellhead.api.resource import Resource
from wellhead.api.resources import RESOURCES
from wellhead.apiserver.custom.kinds import CustomKinds
from wellhead.apiserver.names import Names
from wellhead.apiserver.registry.registry import Registry
from wellhead.storage.event_log import Event

_log = logging.getLogger(__name__)

_REASONS = {
    RUNNING: "StorageVersionMigrationInProgress",
    SUCCEEDED: "StorageVersionMigrationSucceeded",
    FAILED: "StorageVersionMigrationFailed",
}
_RETRY_SECONDS = 5.0
_MOST_LOOKS = 12
"""For a resource that isn't served: a definition may still be on its way."""


class MigrationKeeper:
    """Sees to each migration once."""

    def __init__(self, registry: Registry, kinds: CustomKinds) -> None:
        self._registry = registry
        self._kinds = kinds
        self._migrations = registry.collection(STORAGEVERSIONMIGRATIONS)
        self._names = Names()
        self._looks: dict[str, int] = {}

    def start(self) -> None:
        """Follow the migrations from now on."""
        for item in self._migrations.items(""):
            self._names.add(item.name)
        self._migrations.observe(self._changed)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            name = await self._names.next()
            try:
                await self._migrate(name)
            except (Conflict, NotFound):
                continue  # it has changed, or gone, and is here again if need be
            except ApiError as error:
                _log.warning("the migration %s: %s", name, error)
                self._later(name)

    def _changed(self, event: Event) -> None:
        if event.type == "DELETED":
            self._looks.pop(event.item.name, None)
        else:
            self._names.add(event.item.name)

    def _later(self, name: str) -> None:
        asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._names.add, name)

    async def _migrate(self, name: str) -> None:
        """Raises ApiError."""
        migration = self._registry.lookup(STORAGEVERSIONMIGRATIONS, ("", name))
        if (
            migration is None
            or is_condition_true(migration, SUCCEEDED)
            or is_condition_true(migration, FAILED)
        ):
            self._looks.pop(name, None)
            return
        resource = self._resource(migration)
        if resource is None:
            self._looks[name] = self._looks.get(name, 0) + 1
            if self._looks[name] >= _MOST_LOOKS:
                await self._say(name, FAILED, "the resource is not served here")
            else:
                self._later(name)
            return
        known = (migration.get("status") or {}).get("resourceVersion")
        until = int(known) if known else self._registry.cache.revision
        if not is_condition_true(migration, RUNNING):
            await self._say(name, RUNNING, "", str(until))
        problem = await self._rewrite(resource, until)
        await self._say(name, FAILED if problem else SUCCEEDED, problem)

    def _resource(self, migration: Obj) -> Resource | None:
        wanted = migration["spec"]["resource"]
        about = (wanted.get("group") or "", wanted["resource"])
        served = (*RESOURCES, *self._kinds.all())
        return next(
            (each for each in served if (each.group, each.plural) == about and "update" in each.verbs), None
        )

    async def _rewrite(self, resource: Resource, until: int) -> str:
        """Why not all objects of up to this revision could be written; "" if they are. Raises ApiError."""
        for item in self._registry.collection(resource).items():
            if item.revision > until:
                continue
            try:
                await self._registry.update(resource, item.namespace, item.name, lambda old: old)
            except (NotFound, Conflict):
                continue  # it is gone, or was written by somebody else
            except ApiError as error:
                if error.code >= 500 or error.code == 429:
                    raise
                return f"{item.namespace + '/' if item.namespace else ''}{item.name}: {error}"
        return ""

    async def _say(self, name: str, type: str, message: str, until: str = "") -> None:
        def change(migration: Obj) -> None:
            status = migration.setdefault("status", {})
            if until:
                status.setdefault("resourceVersion", until)
            entries = {each["type"]: each for each in status.get("conditions") or ()}
            if type != RUNNING and RUNNING in entries:
                entries[RUNNING] |= {"status": "False", "lastTransitionTime": now()}
            entries[type] = {
                "type": type,
                "status": "True",
                "reason": _REASONS[type],
                "message": message,
                "lastTransitionTime": now(),
            }
            status["conditions"] = list(entries.values())

        await self._registry.modify(STORAGEVERSIONMIGRATIONS, "", name, change)
