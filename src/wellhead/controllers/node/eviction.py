"""Drives pods off nodes whose NoExecute taints they don't tolerate (any more).

Source: upstream's taint eviction controller (pkg/controller/tainteviction). Times are measured here, from
when a taint was first seen, so that a clock that jumps evicts nobody.
"""

from __future__ import annotations

import asyncio

from wellhead.api.meta import Key, is_deleting, key, now
from wellhead.api.resources import NODES, PODS
from wellhead.api.types.node import Node, Taint
from wellhead.api.types.pod import Pod
from wellhead.client.events import EventRecorder
from wellhead.client.reconciler import Reconciler
from wellhead.controllers.node.toleration import seconds_tolerated
from wellhead.controllers.pods import is_terminal
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check


class TaintEvictionController:
    """Reconciles pods, one at a time each."""

    name = "taint-eviction"

    def __init__(self, stores: Stores, recorder: EventRecorder) -> None:
        self._stores = stores
        self._nodes: Store[Node] = stores[NODES]
        self._pods: Store[Pod] = stores[PODS]
        self._recorder = recorder
        self._since: dict[tuple[str, str], float] = {}
        """When (node, taint) was first seen, by the loop's clock."""
        self._reconciler = Reconciler(self.name, self._reconcile)
        self._nodes.on_change(self._node_changed)
        self._pods.on_change(self._pod_changed)

    async def run(self) -> None:
        await self._stores.synced(NODES, PODS)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        before, after = _identities(old), _identities(new)
        if before == after:
            return
        for gone in before - after:
            self._since.pop((name, gone), None)
        for added in after - before:
            self._since[name, added] = asyncio.get_running_loop().time()
        for pod in self._pods.by_index("node", name):
            self._reconciler.enqueue(key(pod))

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is None or (old is not None and _stake(old) == _stake(new)):
            return
        node = self._nodes.get(new["spec"].get("nodeName") or "")
        if node is not None and _no_execute(node):
            self._reconciler.enqueue(key(new))

    async def _reconcile(self, name: Key) -> float | None:
        pod = self._pods.get(*reversed(name))
        if pod is None or is_deleting(pod) or is_terminal(pod):
            return None
        node = self._nodes.get(pod["spec"].get("nodeName") or "")
        taints = _no_execute(node)
        if node is None or not taints:
            return None
        tolerated = seconds_tolerated(taints, pod["spec"].get("tolerations") or [])
        if tolerated is None:
            return None
        time = asyncio.get_running_loop().time()
        since = min(self._since.get((node["metadata"]["name"], _identity(taint)), time) for taint in taints)
        wait = since + tolerated - time
        if tolerated and wait > 0:
            return wait
        await self._evict(pod)
        return None

    async def _evict(self, pod: Pod) -> None:
        namespace, name = key(pod)
        self._recorder.event(
            pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {namespace}/{name}"
        )
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": now(),
        }
        await self._pods.delete(await self._pods.put_condition(pod, condition))


def _no_execute(node: Node | None) -> list[Taint]:
    taints = node["spec"].get("taints") or [] if node else []
    return [taint for taint in taints if taint["effect"] == "NoExecute"]


def _identity(taint: Taint) -> str:
    return f"{taint['key']}={taint.get('value') or ''}"


def _identities(node: Node | None) -> set[str]:
    return {_identity(taint) for taint in _no_execute(node)}


def _stake(pod: Pod) -> tuple[object, ...]:
    return pod["metadata"].get("uid"), pod["spec"].get("nodeName"), pod["spec"].get("tolerations")
