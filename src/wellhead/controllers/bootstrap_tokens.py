"""Deletes bootstrap tokens that have ended. Upstream: pkg/controller/bootstrap/tokencleaner.go."""

from __future__ import annotations

from datetime import UTC, datetime

from wellhead.api.bootstrap_tokens import NAMESPACE, TYPE, end_of, has_ended
from wellhead.api.meta import Obj, is_deleting
from wellhead.api.resources import SECRETS
from wellhead.client.reconciler import Reconciler
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check


class TokenCleaner:
    """Reconciles those Secrets by name."""

    name = "tokencleaner"

    def __init__(self, stores: Stores) -> None:
        self._secrets: Store[Obj] = stores[SECRETS]
        self._reconciler = Reconciler(self.name, self._reconcile, workers=1)
        self._secrets.on_change(self._changed)

    async def run(self) -> None:
        await self._secrets.synced()
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None and new.get("type") == TYPE and new["metadata"]["namespace"] == NAMESPACE:
            self._reconciler.enqueue(new["metadata"]["name"])

    async def _reconcile(self, name: str) -> float | None:
        secret = self._secrets.get(name, NAMESPACE)
        if secret is None or is_deleting(secret):
            return None
        moment = datetime.now(UTC)
        if has_ended(secret, moment):
            await self._secrets.delete(secret)
            return None
        end = end_of(secret)
        return None if end is None else (end - moment).total_seconds() + 0.1
