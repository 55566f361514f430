"""A cluster, followed: every kind that explain reads, until the page ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from wellhead.api.errors import ApiError
from wellhead.api.resource import Resource
from wellhead.backoff import Backoff
from wellhead.client.connection import Connection
from wellhead.client.kubeconfig import KubeconfigError
from wellhead.client.rest import ConnectionLost
from wellhead.page.following import Expired, Following, PageClient, Relook
from wellhead.page.scene import Scene
from wellhead.page.store import Store
from wellhead.page.values import State
from wellhead.paths.way import Unread
from wellhead.paths.world import WORKLOADS, Entry
from wellhead.snapshot.kinds import ALWAYS, CONFIG_MAPS, WHERE_SERVED, Wanted
from wellhead.snapshot.sources import NoSource
from wellhead.waiting import first_error

_log = logging.getLogger(__name__)

_CONFIG_MAP = Wanted(
    Resource("", "v1", "ConfigMap", "configmaps", True),
    "how the program that it configures behaves, if that runs here",
)
_UNAUTHORIZED = 401
_TOGETHER_SECONDS = 0.01
"""Changes that come within this time are told together: a Service and its slices, a list."""


class Live:
    """Follows a cluster, and keeps the scene. `changed` is called soon after something was."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        store: Store,
        scene: Scene,
        *,
        changed: Callable[[], None],
        stated: Callable[[State], None],
    ) -> None:
        """`connect` finds the API server and who we are, and blocks: a program may be asked for that."""
        self._connect, self._store, self._scene = connect, store, scene
        self._tell_changed, self._tell_state = changed, stated
        self._relook = Relook()
        self._lost: set[str] = set()
        self._looked = False
        self._timer: asyncio.TimerHandle | None = None

    async def first(self) -> Connection:
        """Raises NoSource: the API server can't be reached, or doesn't know us."""
        try:
            connection = await asyncio.to_thread(self._connect)
            async with PageClient(connection, "wellhead-page") as client:
                await client.read("/version")
        except KubeconfigError as error:
            raise NoSource(f"{error}; or give manifests with -f") from error
        except ConnectionLost as error:
            raise NoSource(f"the API server can't be reached: {error}") from error
        except ApiError as error:
            if error.code == _UNAUTHORIZED:
                raise NoSource(f"the API server can't be read: {error}") from error
        return connection

    async def run(self, connection: Connection, ready: asyncio.Event) -> None:
        """Until cancelled. `ready` is set when it is known what there is."""
        backoff, now = Backoff(0.5, 30.0), asyncio.get_running_loop().time
        while True:
            began = now()
            try:
                await self._follow(connection, ready)
            except* Expired as expired:
                why = f"the API server doesn't know us any more: {first_error(expired)}"
                self._tell_state(State(connected=False, why=why))
            await asyncio.sleep(backoff.next(worked=now() - began))
            try:
                connection = await asyncio.to_thread(self._connect)
            except KubeconfigError as error:
                self._tell_state(State(connected=False, why=str(error)))

    async def _follow(self, connection: Connection, ready: asyncio.Event) -> None:
        self._lost.clear()
        self._looked = False
        async with PageClient(connection, "wellhead-page") as client:
            client.report = self._reported
            namespace = connection.namespace
            kinds = [
                Following(client, each, self, self._relook, namespace=namespace, optional=optional)
                for optional, wanted in ((False, ALWAYS), (True, WHERE_SERVED))
                for each in wanted
            ]
            kinds += [
                Following(client, _CONFIG_MAP, self, self._relook, namespace=usual, name=name, optional=True)
                for name, usual in CONFIG_MAPS.items()
            ]
            async with asyncio.TaskGroup() as group:
                for each in kinds:
                    group.create_task(each.run())
                for each in kinds:
                    await each.looked.wait()
                self._looked = True
                self._say()
                ready.set()

    def look_again(self) -> None:
        """Look for what was not there, or couldn't be followed: somebody opens the page."""
        self._relook.now()

    # What followers find

    def put(self, entry: Entry) -> None:
        if (
            self._looked
            and entry.kind in WORKLOADS
            and self._store.get(entry.kind, (entry.namespace, entry.name)) is None
        ):
            self._relook.now()  # it may have brought kinds and ConfigMaps of its own
        self._scene.put(entry)
        self._soon()

    def remove(self, entry: Entry) -> None:
        self._scene.remove(entry)
        self._soon()

    def of_kind(self, kind: str) -> Iterable[Entry]:
        return self._store.of_kind(kind)

    def set_unread(self, of: str, unread: Iterable[Unread]) -> None:
        self._store.set_unread(of, unread)
        self._soon()

    def _soon(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_TOGETHER_SECONDS, self._say)

    def _say(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tell_changed()

    def _reported(self, resource: str, *, lost: bool) -> None:
        """A watch is lost, or there again."""
        if lost:
            self._lost.add(resource)
        elif resource in self._lost:
            self._lost.discard(resource)
            self._relook.now()
        sentence = "the API server can't be reached: what is shown may be old, until it is back"
        self._tell_state(State(connected=not self._lost, why=sentence if self._lost else ""))
