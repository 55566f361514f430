"""Reading a cluster as far as one may: what is forbidden is listed with what it leaves open, and the rest
is used.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from wellhead.api.errors import ApiError, Forbidden, NotFound
from wellhead.api.meta import Obj
from wellhead.api.names import LAST_APPLIED_ANNOTATION
from wellhead.api.resource import Resource
from wellhead.client.connection import Connection, connect
from wellhead.client.kubeconfig import KubeconfigError
from wellhead.client.rest import Client, ConnectionLost
from wellhead.paths.way import Unread
from wellhead.paths.world import Decoded, Entry
from wellhead.snapshot.kinds import ALWAYS, CONFIG_MAPS, WHERE_SERVED, Wanted
from wellhead.snapshot.sources import NoSource
from wellhead.waiting import first_error

_AT_ONCE = 8
_CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", True)


@dataclass(frozen=True)
class Reading:
    """What was read, and what could not be."""

    objects: list[Obj]
    unread: list[Unread]

    def entries(self) -> list[Entry]:
        return [Decoded(each) for each in self.objects]


def reading_of(kubeconfig: str | None, namespace: str, context: str | None = None) -> Reading:
    """What a cluster tells. Raises NoSource."""
    try:
        connection = connect(kubeconfig, context)
        return asyncio.run(read_cluster(connection, namespace or connection.namespace))
    except KubeconfigError as error:
        raise NoSource(f"{error}; or give manifests with -f") from error
    except ConnectionLost as error:
        raise NoSource(f"the API server can't be reached: {error}") from error
    except ExceptionGroup as group:
        first = first_error(group)
        if isinstance(first, ConnectionLost):
            raise NoSource(f"the API server can't be reached: {first}") from group
        if isinstance(first, ApiError):
            raise NoSource(f"the API server can't be read: {first}") from group
        raise


async def read_cluster(connection: Connection, namespace: str = "") -> Reading:
    """Read everything that the instruments use, with nothing but `get` and `list`.

    `namespace` is where namespaced kinds are read if they may not be listed everywhere.

    Raises:
        ConnectionLost: the API server can't be reached.
        ApiError: it answers none of the questions (401).
    """
    reading = Reading([], [])
    async with Client(connection, "wellhead-explain") as client:
        reader = _Reader(client, reading, namespace)
        async with asyncio.TaskGroup() as group:
            for wanted in (*ALWAYS, *WHERE_SERVED):
                group.create_task(reader.read(wanted, optional=wanted in WHERE_SERVED))
            for name, usual in CONFIG_MAPS.items():
                group.create_task(reader.read_config_map(name, usual))
    reading.objects.sort(
        key=lambda each: (each["kind"], str(each["metadata"].get("namespace")), each["metadata"]["name"])
    )
    reading.unread.sort(key=lambda each: each.what)
    return reading


class _Reader:
    def __init__(self, client: Client, reading: Reading, namespace: str) -> None:
        self._client, self._reading, self._namespace = client, reading, namespace
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def read(self, wanted: Wanted, *, optional: bool) -> None:
        resource = wanted.resource
        title = f"{resource.kind} objects"
        async with self._slots:
            try:
                found = await self._client.list(resource)
            except NotFound:
                if not optional:
                    self._missing(title, "not served", wanted.leaves_open)
                return
            except Forbidden:
                found = await self._in_namespace(wanted, title)
            except ApiError as error:
                if error.code == 401:
                    raise
                self._missing(title, str(error), wanted.leaves_open)
                return
        self._reading.objects.extend(slim(each) for each in found.get("items") or [])

    async def _in_namespace(self, wanted: Wanted, title: str) -> Obj:
        """What the namespace alone has, where listing everywhere is forbidden."""
        resource = wanted.resource
        if not (resource.namespaced and self._namespace):
            self._missing(title, "forbidden", wanted.leaves_open)
            return {}
        try:
            found = await self._client.list(resource, self._namespace)
        except ApiError:
            self._missing(title, "forbidden", wanted.leaves_open)
            return {}
        self._missing(f"{title} outside of namespace {self._namespace}", "forbidden", wanted.leaves_open)
        return found

    async def read_config_map(self, name: str, usual: str) -> None:
        """One ConfigMap of a party, wherever it is; where that may not be asked, where it usually is."""
        async with self._slots:
            try:
                found = await self._client.list(_CONFIG_MAPS, field_selector=f"metadata.name={name}")
                self._reading.objects.extend(slim(each) for each in found.get("items") or [])
                return
            except ApiError as error:
                if error.code == 401:
                    raise
            try:
                self._reading.objects.append(slim(await self._client.get(_CONFIG_MAPS, name, usual)))
            except NotFound:
                return
            except ApiError as error:
                what = f"ConfigMap {usual}/{name}"
                why = "forbidden" if isinstance(error, Forbidden) else str(error)
                self._missing(what, why, "how the program that it configures behaves, if that runs here")

    def _missing(self, what: str, why: str, leaves_open: str) -> None:
        self._reading.unread.append(Unread(what=what, why=why, leaves_open=leaves_open))


def slim(obj: Obj) -> Obj:
    """The object without what nobody here reads; of managedFields, who set the traffic policy, and when."""
    metadata = obj["metadata"]
    kept = [
        {
            "time": each.get("time"),
            "manager": each.get("manager"),
            "fieldsV1": {"f:spec": {"f:externalTrafficPolicy": {}}},
        }
        for each in metadata.get("managedFields") or []
        if "f:externalTrafficPolicy" in str(each.get("fieldsV1"))
    ]
    metadata.pop("managedFields", None)
    if kept:
        metadata["managedFields"] = kept[-1:]
    (metadata.get("annotations") or {}).pop(LAST_APPLIED_ANNOTATION, None)
    return obj
