"""The scale of whatever an autoscaler refers to: any kind that has one, built in or not."""

from __future__ import annotations

from wellhead.api.errors import NotFound
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import by_kind
from wellhead.client.rest import Client


class Scales:
    """Finds what a reference means, and reads and writes its scale."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def resource(self, api_version: str, kind: str) -> Resource:
        """The resource whose objects are of that kind. Raises NotFound, ApiError."""
        known = by_kind(api_version, kind)
        if known is not None:
            return known
        group, _, version = api_version.rpartition("/")
        path = f"/apis/{api_version}" if group else f"/api/{version}"
        try:
            listed = await self._client.read(path)
        except NotFound:
            listed = {}
        for entry in listed.get("resources") or ():
            if entry.get("kind") == kind and "/" not in entry["name"]:
                namespaced = bool(entry.get("namespaced"))
                return Resource(group, version, kind, entry["name"], namespaced=namespaced)
        raise NotFound(f'no matches for kind "{kind}" in group "{group}"')

    async def get(self, resource: Resource, name: str, namespace: str) -> Obj:
        """Raises NotFound, ApiError."""
        return await self._client.read(resource.path(namespace, name, "scale"))

    async def set(self, resource: Resource, scale: Obj, replicas: int) -> None:
        """Whatever else changes meanwhile. Raises NotFound, ApiError."""
        metadata = scale["metadata"]
        change = {"metadata": {"uid": metadata["uid"]}, "spec": {"replicas": replicas}}
        await self._client.patch(
            resource, metadata["name"], change, metadata.get("namespace"), subresource="scale"
        )
