"""How many pods a pod's controller asks for: seen of the built-in kinds, asked for of all others."""

from __future__ import annotations

from collections.abc import Iterable

from wellhead.api.errors import NotFound
from wellhead.api.meta import Obj, controller_of
from wellhead.api.resource import Resource
from wellhead.api.resources import (
    DEPLOYMENTS,
    REPLICASETS,
    REPLICATIONCONTROLLERS,
    STATEFULSETS,
)
from wellhead.api.types.pod import Pod
from wellhead.api.types.shared import OwnerReference
from wellhead.client.rest import Client
from wellhead.controllers.store import Stores

SCALED: tuple[Resource, ...] = (REPLICASETS, DEPLOYMENTS, STATEFULSETS, REPLICATIONCONTROLLERS)
"""The kinds whose size is seen without asking."""

_BY_KIND = {(each.group, each.kind): each for each in SCALED}


class UnknownScaleError(Exception):
    """Nobody knows how many pods there are to be."""


class Scales:
    """Finds the sizes of controllers."""

    def __init__(self, client: Client, stores: Stores) -> None:
        self._client = client
        self._stores = stores

    async def total(self, pods: Iterable[Pod]) -> tuple[int, list[Pod]]:
        """How many pods all the controllers of these ask for, and the pods that have none.

        Raises:
            UnknownScaleError: a controller is gone, or has no size.
            ApiError, ConnectionLost: asking failed.
        """
        sizes: dict[str, int] = {}
        unmanaged, asked = list[Pod](), set[str]()
        for pod in pods:
            controller = controller_of(pod)
            if controller is None:
                unmanaged.append(pod)
            elif controller["uid"] not in asked:
                asked.add(controller["uid"])
                found = await self._size(controller, pod["metadata"]["namespace"])
                if found is None:
                    raise UnknownScaleError(f'found no controllers for pod "{pod["metadata"]["name"]}"')
                uid, size = found
                sizes[uid] = size
        return sum(sizes.values()), unmanaged

    async def _size(self, controller: OwnerReference, namespace: str) -> tuple[str, int] | None:
        """(uid, size) of what decides about the number of pods; None if it is gone."""
        group, _, version = controller["apiVersion"].rpartition("/")
        resource = _BY_KIND.get((group, controller["kind"]))
        if resource is None:
            return await self._asked(group, version, controller, namespace)
        there: Obj | None = self._stores[resource].get(controller["name"], namespace)
        if there is None or there["metadata"]["uid"] != controller["uid"]:
            return None
        above = controller_of(there)
        if resource == REPLICASETS and above is not None and above["kind"] == "Deployment":
            return await self._size(above, namespace)
        return there["metadata"]["uid"], int(there["spec"].get("replicas", 1))

    async def _asked(
        self, group: str, version: str, controller: OwnerReference, namespace: str
    ) -> tuple[str, int] | None:
        """By the scale subresource of whatever kind it is."""
        resources = await self._client.resources(group, version)
        kind = controller["kind"]
        plural = next(
            (each["name"] for each in resources if each["kind"] == kind and "/" not in each["name"]), ""
        )
        if not plural:
            raise UnknownScaleError(f'no matches for kind "{kind}" in version "{controller["apiVersion"]}"')
        scale = next((each for each in resources if each["name"] == f"{plural}/scale"), None)
        resource = Resource(group, version, kind, plural)
        if scale is None:
            raise UnknownScaleError(f"{resource.group_resource} does not implement the scale subresource")
        try:
            answer = await self._client.get_subresource(resource, controller["name"], namespace, "scale")
        except NotFound:
            return None
        if answer["metadata"].get("uid") != controller["uid"]:
            return None
        return controller["uid"], int((answer.get("spec") or {}).get("replicas", 0))
