"""Keeps the rules of aggregated ClusterRoles: what the roles that they select have.

Upstream: pkg/controller/clusterroleaggregation.
"""

from __future__ import annotations

from wellhead.api.meta import Obj, labels
from wellhead.api.rbac.aggregation import gathered, is_aggregated
from wellhead.api.resources import CLUSTERROLES
from wellhead.api.selectors import LabelSelector
from wellhead.client.reconciler import Reconciler
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check


class ClusterRoleAggregationController:
    """Reconciles aggregated ClusterRoles by name."""

    name = "clusterrole-aggregation"

    def __init__(self, stores: Stores) -> None:
        self._roles: Store[Obj] = stores[CLUSTERROLES]
        self._aggregated: dict[str, tuple[LabelSelector, ...]] = {}
        self._reconciler = Reconciler(self.name, self._reconcile, workers=1)
        self._roles.on_change(self._changed)

    async def run(self) -> None:
        await self._roles.synced()
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        if new is not None and is_aggregated(new):
            selectors = new["aggregationRule"].get("clusterRoleSelectors") or ()
            self._aggregated[name] = tuple(map(LabelSelector.from_object, selectors))
            self._reconciler.enqueue(name)
        else:
            self._aggregated.pop(name, None)
        seen = [labels(each) for each in (old, new) if each is not None]
        for role, wanted in self._aggregated.items():
            if any(selector.matches(each) for selector in wanted for each in seen):
                self._reconciler.enqueue(role)

    async def _reconcile(self, name: str) -> float | None:
        role = self._roles.get(name)
        if role is None or not is_aggregated(role):
            return None
        rules = gathered(role, self._roles.values())
        if rules != (role.get("rules") or []):
            await self._roles.update({**role, "rules": rules})
        return None
