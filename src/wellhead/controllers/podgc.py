"""Pods that nobody else deletes: those of nodes that are gone or off, and finished ones beyond a number.

Source: upstream's pkg/controller/podgc.
"""

from __future__ import annotations

import asyncio

from wellhead.api.errors import NotFound
from wellhead.api.meta import Obj, is_deleting, now
from wellhead.api.resources import NODES, PODS
from wellhead.api.types.node import Node
from wellhead.api.types.pod import Pod, PodStatus
from wellhead.client.reconciler import Reconciler
from wellhead.controllers.node.taints import ready_status
from wellhead.controllers.pods import is_terminal
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check

TERMINATED_THRESHOLD = 12_500
QUARANTINE_SECONDS = 40.0
"""How long a node must be gone before its pods are: it may come back under its name."""

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
_TERMINATED = ""  # not the name of a node


class PodGarbageCollector:
    """Reconciles nodes by name: the pods of missing ones, and what should end on those that are off.

    The empty name stands for finished pods.
    """

    name = "pod-garbage-collector"

    def __init__(
        self, stores: Stores, *, threshold: int = TERMINATED_THRESHOLD, quarantine: float = QUARANTINE_SECONDS
    ) -> None:
        self._stores = stores
        self._pods: Store[Pod] = stores[PODS]
        self._nodes: Store[Node] = stores[NODES]
        self._threshold = threshold
        self._quarantine = quarantine
        self._missing_since: dict[str, float] = {}  # by the loop's clock
        self._reconciler = Reconciler(self.name, self._reconcile, workers=2)
        self._pods.on_change(self._pod_changed)
        self._nodes.on_change(self._node_changed)

    async def run(self) -> None:
        await self._stores.synced(PODS, NODES)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is None:
            return
        if is_terminal(new) and (old is None or not is_terminal(old)):
            self._reconciler.enqueue(_TERMINATED)
        node = new["spec"].get("nodeName")
        if node and (is_deleting(new) or self._nodes.get(node) is None):
            self._reconciler.enqueue(node)

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        if new is None or old is None or _out_of_service(old) != _out_of_service(new):
            self._reconciler.enqueue((new or old or {})["metadata"]["name"])

    async def _reconcile(self, node: str) -> float | None:
        if node == _TERMINATED:
            await self._delete_surplus()
            return None
        present = self._nodes.get(node)
        if present is not None and _out_of_service(present):
            for pod in self._pods.by_index("node", node):
                if is_deleting(pod):
                    await self._fail_and_delete(pod)
        if self._nodes.get(node) is not None or not self._pods.by_index("node", node):
            self._missing_since.pop(node, None)
            return None
        now_ = asyncio.get_running_loop().time()
        wait = self._missing_since.setdefault(node, now_) + self._quarantine - now_
        if wait > 0:
            return wait
        try:
            await self._nodes.live(node)
        except NotFound:
            for pod in self._pods.by_index("node", node):
                await self._delete_orphan(pod)
        return None

    async def _delete_orphan(self, pod: Pod) -> None:
        condition: Obj = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByPodGC",
            "message": "PodGC: node no longer exists",
            "lastTransitionTime": now(),
        }
        await self._fail_and_delete(pod, condition)

    async def _fail_and_delete(self, pod: Pod, condition: Obj | None = None) -> None:
        # Failed first, so that whoever watches it sees an end and not only a disappearance.
        if not is_terminal(pod):
            if condition is not None:
                pod = await self._pods.put_condition(pod, condition, phase="Failed")
            else:
                failed: PodStatus = {**pod["status"], "phase": "Failed"}
                pod = await self._pods.update({**pod, "status": failed}, "status")
        await self._pods.delete(pod, grace_period=0)

    async def _delete_surplus(self) -> None:
        finished = [pod for pod in self._pods.by_index("terminated", True) if not is_deleting(pod)]
        surplus = len(finished) - self._threshold
        if surplus > 0:
            for pod in sorted(finished, key=_created)[:surplus]:
                await self._pods.delete(pod)


def _out_of_service(node: Node) -> bool:
    """Whether somebody vouches that the node is off: no agent of it will ever end its pods."""
    taints = node["spec"].get("taints") or []
    return ready_status(node) != "True" and any(taint["key"] == OUT_OF_SERVICE for taint in taints)


def _created(pod: Pod) -> str:
    return str(pod["metadata"].get("creationTimestamp") or "")
