"""Does for a pod's claims what was decided, and waits until they are bound: before the pod itself is bound.

Upstream: BindPodVolumes in pkg/scheduler/framework/plugins/volumebinding/binder.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

from wellhead.api import meta
from wellhead.api.kinds.storage import modes
from wellhead.api.meta import Key, Obj, key
from wellhead.api.resources import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, STORAGECLASSES
from wellhead.api.storage import BOUND_BY_CONTROLLER, SELECTED_NODE, Node, allows, claim_names, is_bound
from wellhead.client.informer import Informer
from wellhead.client.rest import Client
from wellhead.scheduler.volumes import Decision, Sources

_PATIENCE = 600.0  # seconds, upstream's bindTimeoutSeconds


class VolumeBindingFailed(Exception):
    """The pod's claims can't be bound as was decided (now); it is to be decided again."""


class VolumeBinder:
    """Holds the claims, volumes and classes; `changed` is called when one of them is another."""

    def __init__(
        self, client: Client, users: Callable[[str, str], Mapping[str, str]], changed: Callable[[], None]
    ) -> None:
        self._client = client
        self._claims = Informer(client, PERSISTENTVOLUMECLAIMS)
        self._volumes = Informer(client, PERSISTENTVOLUMES, indexes={"class": _class})
        self._classes = Informer(client, STORAGECLASSES)
        self._heard = asyncio.Event()
        self._taken: dict[str, Key] = {}  # volumes that the API doesn't show as reserved yet, and by whom
        self.informers = (self._claims, self._volumes, self._classes)
        for informer in self.informers:
            informer.on_change(lambda old, new: changed())
        self._claims.on_change(lambda old, new: self.hear())
        self.sources = Sources(
            claim=self._claims.get,
            volume=self._volumes.get,
            storage_class=self._classes.get,
            free=self._free,
            users=users,
        )

    def _free(self, name: str) -> Iterator[Obj]:
        for volume in self._volumes.by_index("class", name):
            if volume["metadata"]["name"] not in self._taken:
                yield volume

    def hear(self) -> None:
        """Let those who wait for claims look again."""
        self._heard.set()
        self._heard = asyncio.Event()

    def assume(self, pod: Obj, decision: Decision) -> None:
        """Let nobody else have what was chosen, until `release`."""
        for volume in decision.reserve.values():
            self._taken[volume] = key(pod)

    def release(self, decision: Decision) -> None:
        for volume in decision.reserve.values():
            self._taken.pop(volume, None)

    async def bind(self, pod: Obj, node: Node, decision: Decision, is_there: Callable[[], bool]) -> None:
        """Do it, and wait until all claims of the pod are bound, while it `is_there`.

        Raises:
            VolumeBindingFailed: something is otherwise than it was, or it takes too long.
            ApiError, ConnectionLost: the API refused, or couldn't be asked.
        """
        namespace = pod["metadata"]["namespace"]
        for claim_name, volume_name in decision.reserve.items():
            await self._reserve(self._claim(claim_name, namespace), volume_name)
        for claim_name in decision.provision:
            claim = self._claim(claim_name, namespace)
            if meta.annotations(claim).get(SELECTED_NODE) != node.name:
                change = {"uid": claim["metadata"]["uid"], "annotations": {SELECTED_NODE: node.name}}
                await self._client.patch(PERSISTENTVOLUMECLAIMS, claim_name, {"metadata": change}, namespace)
        try:
            async with asyncio.timeout(_PATIENCE):
                for claim_name, _ in claim_names(pod):
                    await self._until_bound(claim_name, namespace, node, is_there)
        except TimeoutError:
            raise VolumeBindingFailed("binding volumes: timed out waiting for the condition") from None

    def _claim(self, name: str, namespace: str) -> Obj:
        claim = self._claims.get(name, namespace)
        if claim is None:
            raise VolumeBindingFailed(f'persistentvolumeclaim "{name}" not found')
        return claim

    async def _reserve(self, claim: Obj, name: str) -> None:
        volume = self._volumes.get(name)
        if volume is None:
            raise VolumeBindingFailed(f'persistentvolume "{name}" not found')
        metadata = claim["metadata"]
        reference = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
        noted = {**meta.annotations(volume), BOUND_BY_CONTROLLER: "yes"}
        if volume["spec"].get("claimRef"):
            noted = meta.annotations(volume)
        changed = {
            **volume,
            "metadata": {**volume["metadata"], "annotations": noted},
            "spec": {**volume["spec"], "claimRef": reference},
        }
        await self._client.update(PERSISTENTVOLUMES, changed)

    async def _until_bound(self, name: str, namespace: str, node: Node, is_there: Callable[[], bool]) -> None:
        while True:
            heard = self._heard
            claim = self._claim(name, namespace)
            if not is_there():
                raise VolumeBindingFailed("the pod is gone")
            if is_bound(claim):
                volume = self._volumes.get(claim["spec"]["volumeName"])
                if volume is not None and not allows(volume, node):
                    raise VolumeBindingFailed(f'claim "{name}" got a volume of another node')
                return
            if meta.annotations(claim).get(SELECTED_NODE, node.name) != node.name:
                raise VolumeBindingFailed(f'the node of claim "{name}" was changed')
            await heard.wait()


def _class(volume: Obj) -> Iterable[Hashable]:
    return [modes.class_of(volume)]
