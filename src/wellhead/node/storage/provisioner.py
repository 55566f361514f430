"""Makes directories of the node for claims whose pods come here, and deletes them with their volumes.

A directory gets its name when its volume exists, so that whoever is killed at any line leaves a volume with a
directory, or something that the next one knows for half made.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Any

from wellhead.api.errors import AlreadyExists, ApiError, NotFound
from wellhead.api.kinds.storage import modes
from wellhead.api.meta import Obj, is_deleting, key
from wellhead.api.names import LOCAL_PATH
from wellhead.api.resources import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, STORAGECLASSES
from wellhead.client.events import EventRecorder
from wellhead.client.informer import Informer, TypedInformer, watches
from wellhead.client.reconciler import Reconciler
from wellhead.client.rest import Client
from wellhead.health import Check
from wellhead.linux import trees
from wellhead.node.storage import plan

_log = logging.getLogger(__name__)

_NEW = ".new-"


class LocalPathProvisioner:
    """Keeps to what its node owes: claims by name, and volumes by name. `directory` is for it alone."""

    def __init__(self, client: Client, node: str, directory: Path) -> None:
        self._client = client
        self._node = node
        self._directory = directory
        self._recorder = EventRecorder(client, LOCAL_PATH, node)
        # Of others' objects, only that they are there.
        self._claims = TypedInformer[Obj | None](
            client, PERSISTENTVOLUMECLAIMS, lambda claim: claim if plan.is_wanted(claim, node) else None
        )
        self._volumes = TypedInformer[Obj | None](
            client, PERSISTENTVOLUMES, lambda volume: volume if plan.is_ours(volume, node) else None
        )
        self._classes = Informer(client, STORAGECLASSES)
        self._reconciler: Reconciler[tuple[str, str, str]] = Reconciler("local-path", self._reconcile)

    def checks(self) -> list[Check]:
        """That its watches live, and it gets on."""
        return [watches(self._claims, self._volumes, self._classes), *self._reconciler.checks()]

    async def run(self) -> None:
        """Provision until cancelled."""
        informers: tuple[TypedInformer[Any], ...] = (self._claims, self._volumes, self._classes)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._recorder.run())
            for informer in informers:
                group.create_task(informer.run())
            for informer in informers:
                await informer.synced()
            ours = {volume["metadata"]["name"] for volume in self._volumes if volume is not None}
            await asyncio.to_thread(self._sweep, ours)
            await self._offer()
            self._claims.on_change(lambda old, new: self._changed("claim", new))
            self._volumes.on_change(lambda old, new: self._changed("volume", new))
            self._classes.on_change(self._class_changed)
            group.create_task(self._reconciler.run())

    async def _offer(self) -> None:
        """The class, if it isn't there. It is its users' from then on."""
        if self._classes.get(plan.CLASS_NAME) is not None:
            return
        try:
            await self._client.create(STORAGECLASSES, plan.CLASS)
        except AlreadyExists:
            pass  # another node was faster
        except ApiError as error:
            _log.warning("storage class %s: %s", plan.CLASS_NAME, error)

    def _changed(self, kind: str, obj: Obj | None) -> None:
        if obj is not None:
            self._reconciler.enqueue((kind, *key(obj)))

    def _class_changed(self, old: Obj | None, new: Obj | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        for claim in self._claims:
            if claim is not None and modes.class_of(claim) == name:
                self._changed("claim", claim)

    async def _reconcile(self, what: tuple[str, str, str]) -> float | None:
        kind, namespace, name = what
        if kind == "claim":
            claim = self._claims.get(name, namespace)
            if claim is not None:
                await self._provision(claim)
        else:
            volume = self._volumes.get(name)
            if volume is not None:
                await self._see_to(volume)
        return None

    async def _provision(self, claim: Obj) -> None:
        storage_class = self._classes.get(modes.class_of(claim))
        problem = plan.refusal(claim, storage_class)
        if problem or storage_class is None:
            text = f'failed to provision volume with StorageClass "{modes.class_of(claim)}": {problem}'
            self._recorder.event(claim, "Warning", "ProvisioningFailed", text)
            return
        name = plan.name_for(claim)
        path = self._directory / name
        if self._volumes.get(name) is None:
            namespace, own = key(claim)
            text = f'External provisioner is provisioning volume for claim "{namespace}/{own}"'
            self._recorder.event(claim, "Normal", "Provisioning", text)
            await asyncio.to_thread(self._make, name)
            volume = plan.volume_for(claim, storage_class, self._node, path)
            with contextlib.suppress(AlreadyExists):  # by us, before we were killed
                await self._client.create(PERSISTENTVOLUMES, volume)
            self._recorder.event(
                claim, "Normal", "ProvisioningSucceeded", f"Successfully provisioned volume {name}"
            )
        await asyncio.to_thread(self._finish, name)

    async def _see_to(self, volume: Obj) -> None:
        name = volume["metadata"]["name"]
        step = plan.step(volume)
        if not step:
            await asyncio.to_thread(self._finish, name)
            return
        if step == "delete":
            await asyncio.to_thread(self._remove, name)
        if not is_deleting(volume):
            uid = volume["metadata"]["uid"]
            with contextlib.suppress(NotFound):
                await self._client.delete(PERSISTENTVOLUMES, name, uid=uid)
            return
        change = {"uid": volume["metadata"]["uid"], "$deleteFromPrimitiveList/finalizers": [LOCAL_PATH]}
        with contextlib.suppress(NotFound):
            await self._client.patch(PERSISTENTVOLUMES, name, {"metadata": change}, kind="strategic")

    def _make(self, name: str) -> None:
        new = self._directory / f"{_NEW}{name}"
        new.mkdir(parents=True, exist_ok=True)
        new.chmod(0o777)  # whoever the pod's containers are

    def _finish(self, name: str) -> None:
        new = self._directory / f"{_NEW}{name}"
        if new.exists() and not (self._directory / name).exists():
            new.rename(self._directory / name)

    def _remove(self, name: str) -> None:
        for path in (self._directory / name, self._directory / f"{_NEW}{name}"):
            if path.exists():
                trees.delete(path)

    def _sweep(self, known: set[str]) -> None:
        """Delete what was half made for volumes that never came to be."""
        self._directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        for path in self._directory.glob(f"{_NEW}*"):
            if path.name.removeprefix(_NEW) not in known:
                trees.delete(path)
