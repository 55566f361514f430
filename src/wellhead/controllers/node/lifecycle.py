"""Keeps nodes' conditions and taints true, and the pods of silent nodes out of Services."""

from __future__ import annotations

import asyncio
import logging

from wellhead.api.errors import NotFound
from wellhead.api.meta import Obj, now
from wellhead.api.resources import LEASES, NODES, PODS
from wellhead.api.types.node import Node
from wellhead.api.types.pod import Pod
from wellhead.client.events import EventRecorder
from wellhead.client.reconciler import Reconciler
from wellhead.controllers.node.health import Heartbeat, heartbeat, silent_status
from wellhead.controllers.node.taints import may_evict, ready_status, tainted, wanted_taints
from wellhead.controllers.pods import is_ready, is_terminal
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check

_log = logging.getLogger(__name__)

_LEASES_NAMESPACE = "kube-node-lease"


class NodeLifecycleController:
    """Reconciles nodes by name. `grace_period` is in seconds."""

    name = "node-lifecycle"

    def __init__(self, stores: Stores, recorder: EventRecorder, grace_period: float) -> None:
        self._stores = stores
        self._nodes: Store[Node] = stores[NODES]
        self._leases: Store[Obj] = stores[LEASES]
        self._pods: Store[Pod] = stores[PODS]
        self._recorder = recorder
        self._grace_period = grace_period
        self._heartbeats: dict[str, Heartbeat] = {}
        self._was_ready: set[str] = set()
        self._reconciler = Reconciler(self.name, self._reconcile)
        self._nodes.on_change(self._node_changed)
        self._leases.on_change(self._lease_changed)
        self._pods.on_change(self._pod_changed)

    async def run(self) -> None:
        await self._stores.synced(NODES, LEASES, PODS)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        node = new or old or {}
        self._reconciler.enqueue(node["metadata"]["name"])
        if (old and ready_status(old)) != (new and ready_status(new)):
            for other in self._nodes.values():  # whether pods may be evicted depends on all of them
                self._reconciler.enqueue(other["metadata"]["name"])

    def _lease_changed(self, old: Obj | None, new: Obj | None) -> None:
        metadata = (new or old or {})["metadata"]
        if metadata["namespace"] == _LEASES_NAMESPACE:
            self._observe(metadata["name"])
            node = self._nodes.get(metadata["name"])
            if node is not None and ready_status(node) == "Unknown":
                self._reconciler.enqueue(metadata["name"])

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is None or not is_ready(new):
            return
        node = self._nodes.get(new["spec"].get("nodeName") or "")
        if node is not None and ready_status(node) == "Unknown":
            self._reconciler.enqueue(node["metadata"]["name"])

    def _observe(self, name: str) -> Heartbeat | None:
        node = self._nodes.get(name)
        if node is None:
            return None
        time = asyncio.get_running_loop().time()
        lease = self._leases.get(name, _LEASES_NAMESPACE)
        seen = heartbeat(node, lease, self._heartbeats.get(name), time)
        self._heartbeats[name] = seen
        return seen

    async def _reconcile(self, name: str) -> float | None:
        node = self._nodes.get(name)
        seen = self._observe(name)
        if node is None or seen is None:
            self._heartbeats.pop(name, None)
            self._was_ready.discard(name)
            return None
        wait: float | None = None
        if ready_status(node) != "Unknown":
            wait = await self._seconds_to_silence(name, seen)
            if wait is None:
                node = await self._declare_silent(node)
        await self._taint(node)
        await self._follow_readiness(node)
        return wait

    async def _seconds_to_silence(self, name: str, seen: Heartbeat) -> float | None:
        """How long the node may still say nothing; None if that time is over, and the server agrees."""
        wait = seen.seen + self._grace_period - asyncio.get_running_loop().time()
        if wait > 0:
            return wait
        if not self._leases.lagging and not self._nodes.lagging:
            # This process may have slept, or the watch be stuck: what the server has now decides.
            try:
                self._leases.learn(await self._leases.live(name, _LEASES_NAMESPACE))
            except NotFound:
                _log.debug("node %s has no lease", name)
            self._nodes.learn(await self._nodes.live(name))
            if self._observe(name) == seen:
                return None
        # Nobody can renew a lease while the server is away: everybody gets the whole time again.
        time = asyncio.get_running_loop().time()
        self._heartbeats[name] = Heartbeat(self._heartbeats[name].said, time)
        return self._grace_period

    async def _declare_silent(self, node: Node) -> Node:
        node = self._nodes.get(node["metadata"]["name"]) or node
        status = silent_status(node, now())
        if status is None:
            return node
        _log.warning("node %s says nothing any more", node["metadata"]["name"])
        return await self._nodes.update({**node, "status": status}, "status")

    async def _taint(self, node: Node) -> None:
        wanted = wanted_taints(node, evict=may_evict(self._nodes.values()))
        changed = tainted(node, wanted, now())
        if changed is not None:
            await self._nodes.update(changed)

    async def _follow_readiness(self, node: Node) -> None:
        name = node["metadata"]["name"]
        ready = ready_status(node)
        if ready == "True":
            self._was_ready.add(name)
            return
        # A node that says it isn't ready still reports on its pods itself: they are marked once, when it
        # says so. A silent one doesn't: its pods are kept not ready.
        if ready == "Unknown" or name in self._was_ready:
            if name in self._was_ready:
                message = f"Node {name} status is now: NodeNotReady"
                self._recorder.event(node, "Normal", "NodeNotReady", message)
            for pod in self._pods.by_index("node", name):
                if is_ready(pod) and not is_terminal(pod):
                    await self._mark_not_ready(pod)
        self._was_ready.discard(name)

    async def _mark_not_ready(self, pod: Pod) -> None:
        condition = {"type": "Ready", "status": "False", "lastTransitionTime": now()}
        try:
            await self._pods.put_condition(pod, condition)
        except NotFound:
            return
        self._recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")
