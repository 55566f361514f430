"""What the controllers of all objects may do with custom ones: a role that grows with the definitions.

Upstream's garbage collector and namespace controller may do that with everything there is, subresources such
as pods/exec and nodes/proxy included. Ours may read, patch and delete the objects of kinds that there are.
"""

from __future__ import annotations

from wellhead.api.errors import AlreadyExists
from wellhead.api.kinds.rbac import CLUSTERROLEBINDINGS, CLUSTERROLES
from wellhead.api.meta import Obj
from wellhead.apiserver.registry.registry import Registry

ROLE = "wellhead:custom-objects"
_USER = "wellhead:controller-manager"
_VERBS = ["delete", "get", "list", "patch", "watch"]
_GROUP = "rbac.authorization.k8s.io"


class CustomRights:
    """Keeps the role."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def include(self, group: str, plural: str) -> None:
        """Before its objects are served. Raises ApiError."""
        if plural in self._resources().get(group, ()):
            return
        await self._ensure()

        def add(role: Obj) -> None:
            resources = _resources_of(role)
            resources.setdefault(group, set()).add(plural)
            role["rules"] = _rules(resources)

        await self._registry.modify(CLUSTERROLES, "", ROLE, add)

    async def exclude(self, group: str, plural: str) -> None:
        """After its definition has gone. Raises ApiError."""
        if plural not in self._resources().get(group, ()):
            return

        def remove(role: Obj) -> None:
            resources = _resources_of(role)
            resources.get(group, set()).discard(plural)
            role["rules"] = _rules(resources)

        await self._registry.modify(CLUSTERROLES, "", ROLE, remove)

    def _resources(self) -> dict[str, set[str]]:
        role = self._registry.lookup(CLUSTERROLES, ("", ROLE))
        return {} if role is None else _resources_of(role)

    async def _ensure(self) -> None:
        if self._registry.lookup(CLUSTERROLES, ("", ROLE)) is not None:
            return
        role = {
            "apiVersion": f"{_GROUP}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": ROLE},
            "rules": [],
        }
        binding = {
            "apiVersion": f"{_GROUP}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": ROLE},
            "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": ROLE},
            "subjects": [{"apiGroup": _GROUP, "kind": "User", "name": _USER}],
        }
        for resource, obj in ((CLUSTERROLES, role), (CLUSTERROLEBINDINGS, binding)):
            try:
                await self._registry.create(resource, "", obj)
            except AlreadyExists:
                continue


def _resources_of(role: Obj) -> dict[str, set[str]]:
    return {rule["apiGroups"][0]: set(rule["resources"]) for rule in role.get("rules") or ()}


def _rules(resources: dict[str, set[str]]) -> list[Obj]:
    return [
        {"apiGroups": [group], "resources": sorted(plurals), "verbs": _VERBS}
        for group, plurals in sorted(resources.items())
        if plurals
    ]
