"""Runs what lies in a directory, shows it to the API, and ends what is gone from there."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from wellhead.api.errors import AlreadyExists, ApiError, NotFound
from wellhead.api.kinds.pod.references import is_mirror
from wellhead.api.meta import Key, Obj, is_deleting, key
from wellhead.api.resources import NODES, PODS
from wellhead.client.informer import Informer
from wellhead.client.reconciler import Reconciler
from wellhead.client.rest import Client
from wellhead.health import Check
from wellhead.linux import inotify
from wellhead.node.pods.manager import PodManager
from wellhead.node.static import manifests
from wellhead.node.static.manifests import ManifestError

_log = logging.getLogger(__name__)

_NEWS = inotify.IN_CLOSE_WRITE | inotify.IN_MOVED_TO | inotify.IN_MOVED_FROM | inotify.IN_DELETE
_MOST = 500  # files
_ENDINGS = (".yaml", ".yml", ".json")


class StaticPods:
    """Follows a directory of manifests. `pods` are those that the API has on this node."""

    def __init__(
        self, client: Client, pods: Informer, manager: PodManager, node: str, directory: Path
    ) -> None:
        self._client = client
        self._pods = pods
        self._manager = manager
        self._node = node
        self._directory = directory
        self._wanted: dict[Key, Obj] = {}
        self._reconciler: Reconciler[Key] = Reconciler("static-pods", self._show)
        self._news = asyncio.Event()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    async def run(self) -> None:
        """Until cancelled; the pods go on."""
        await asyncio.to_thread(self._directory.mkdir, parents=True, exist_ok=True)
        self._pods.on_change(self._changed)
        watching = inotify.Inotify()
        try:
            async with asyncio.TaskGroup() as group:
                with watching.watch(self._directory, _NEWS, self._news.set):
                    group.create_task(self._reconciler.run())
                    while True:
                        self._news.clear()
                        await self._look()
                        await self._news.wait()
        finally:
            watching.close()

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        pod = new or old or {}
        if is_mirror(pod):
            self._reconciler.enqueue(key(pod))

    async def _look(self) -> None:
        found = await asyncio.to_thread(self._read)
        before, self._wanted = self._wanted, found
        self._manager.set_static(list(found.values()))
        for name in before.keys() | found.keys():
            self._reconciler.enqueue(name)
        for pod in self._pods:  # of an agent before this one
            if is_mirror(pod):
                self._reconciler.enqueue(key(pod))

    def _read(self) -> dict[Key, Obj]:
        found: dict[Key, Obj] = {}
        for path in sorted(self._directory.iterdir())[:_MOST]:
            if path.name.startswith(".") or path.suffix not in _ENDINGS or not path.is_file():
                continue
            try:
                with path.open("rb") as file:
                    content = file.read(manifests.LONGEST + 1)
                pod = manifests.read(content, str(path), self._node)
            except (ManifestError, OSError) as error:
                _log.warning("%s: %s", path, error)
                continue
            found[key(pod)] = pod
        return found

    async def _show(self, name: Key) -> float | None:
        """Let there be a mirror pod of what is wanted, and none of anything else."""
        wanted, mirror = self._wanted.get(name), self._pods.get(name[1], name[0])
        if mirror is not None and not is_mirror(mirror):
            _log.warning("the API has another pod %s/%s: that one isn't ours", *name)
            return None
        if mirror is not None and (wanted is None or not manifests.is_mirror_of(mirror, wanted)):
            if wanted is None and self._manager.has_static(name):
                return 1.0  # it is shown until it has ended
            try:
                uid = mirror["metadata"]["uid"]
                await self._client.delete(PODS, name[1], name[0], grace_period=0, uid=uid)
            except NotFound:
                pass
            return None  # its end will be heard of
        if mirror is not None:
            if is_deleting(mirror):
                uid = mirror["metadata"]["uid"]
                await self._client.delete(PODS, name[1], name[0], grace_period=0, uid=uid)
            else:
                self._manager.set_mirror(mirror)
        elif wanted is not None:
            node = await self._client.get(NODES, self._node)
            try:
                made = await self._client.create(PODS, manifests.mirror_of(wanted, node["metadata"]["uid"]))
            except AlreadyExists:
                return 1.0
            except ApiError as error:
                _log.warning("mirror pod %s/%s: %s", *name, error)
                return 10.0
            self._manager.set_mirror(made)
        return None
