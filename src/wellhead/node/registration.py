"""The Node object: made when it is missing, corrected when it differs, and its Lease renewed as a heartbeat.

Source: "Nodes" (heartbeats) and pkg/kubelet/kubelet_node_status.go of v1.37.
"""

from __future__ import annotations

import asyncio
import logging

from wellhead.api.errors import AlreadyExists, ApiError, Conflict, NotFound
from wellhead.api.meta import Obj, now_micro
from wellhead.api.well_known import LEASES, NODES
from wellhead.backoff import Backoff
from wellhead.client.informer import Informer
from wellhead.client.rest import Client, ConnectionLost
from wellhead.health import Attempts, Check
from wellhead.node import node_status
from wellhead.node.node_status import NodeFacts, find_versions, labels
from wellhead.waiting import comes

_log = logging.getLogger(__name__)

_LEASE_NAMESPACE = "kube-node-lease"
_LEASE_SECONDS = 40
_RENEW_SECONDS = 10.0
_STATUS_SECONDS = 300.0
_SILENT_SECONDS = 20.0  # half of what makes a node Unknown


class Registration:
    """Keeps the Node object and the Lease. `nodes` is a running informer of Nodes."""

    def __init__(self, client: Client, nodes: Informer, facts: NodeFacts) -> None:
        self._client = client
        self._nodes = nodes
        self._facts = facts
        self._changed = asyncio.Event()
        self._registered = asyncio.Event()
        self._status: Obj = {}
        self._heartbeat = Attempts("heartbeat", "the lease is not renewed", _SILENT_SECONDS)
        nodes.on_change(self._noticed)

    def checks(self) -> list[Check]:
        """That the API server hears of this node."""
        return self._heartbeat.checks()

    def update(self) -> None:
        """The node's readiness has changed: say so at once."""
        self._changed.set()

    async def registered(self) -> None:
        """Wait until the Node object has been there once."""
        await self._registered.wait()

    async def run(self) -> None:
        """Until cancelled."""
        await find_versions()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_node())
            group.create_task(self._keep_lease())

    def _noticed(self, old: Obj | None, new: Obj | None) -> None:
        if (new or old or {})["metadata"]["name"] != self._facts.name:
            return
        if new is None or (self._status and not node_status.same(new.get("status") or {}, self._status)):
            self._changed.set()

    async def _keep_node(self) -> None:
        backoff = Backoff(0.05, 5.0)
        while True:
            self._changed.clear()
            try:
                await self._write_node()
            except (NotFound, AlreadyExists, Conflict) as error:
                _log.debug("node: %s", error)
                await asyncio.sleep(backoff.next())
                continue
            except (ApiError, ConnectionLost) as error:
                _log.warning("node %s: %s", self._facts.name, error)
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            self._registered.set()
            await comes(self._changed, _STATUS_SECONDS)

    async def _write_node(self) -> None:
        facts = self._facts
        try:
            present = await self._client.get(NODES, facts.name)
        except NotFound:
            present = await self._client.create(NODES, await asyncio.to_thread(self._new_node))
            _log.info("registered node %s", facts.name)
        spec = present.get("spec") or {}
        metadata: Obj = {}
        if not labels(facts.name).items() <= (present["metadata"].get("labels") or {}).items():
            metadata["labels"] = labels(facts.name)
        if metadata or spec.get("podCIDRs") != list(facts.pod_cidrs):
            body = {"metadata": metadata, "spec": self._spec()}
            present = await self._client.patch(NODES, facts.name, body)
        wanted = await asyncio.to_thread(node_status.status, facts, present)
        if not node_status.same(present.get("status") or {}, wanted):
            # Their merge key is their type, of which there are several (as kubelet does, nodeutil).
            patch = wanted | {"addresses": [{"$patch": "replace"}, *wanted["addresses"]]}
            present = await self._client.patch(
                NODES, facts.name, {"status": patch}, kind="strategic", subresource="status"
            )
        # What differs from now on is others' doing; what the server makes of it at once isn't.
        self._status = wanted if node_status.same(present.get("status") or {}, wanted) else {}

    def _spec(self) -> Obj:
        return {"podCIDR": self._facts.pod_cidrs[0], "podCIDRs": list(self._facts.pod_cidrs)}

    def _new_node(self) -> Obj:
        facts = self._facts
        node: Obj = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": facts.name, "labels": labels(facts.name)},
            "spec": self._spec(),
        }
        return node | {"status": node_status.status(facts, node)}

    async def _keep_lease(self) -> None:
        now = asyncio.get_running_loop().time
        backoff = Backoff(0.2, 7.0)
        while True:
            self._heartbeat.start(now())
            try:
                await self._renew()
            except (ApiError, ConnectionLost) as error:
                self._heartbeat.fail(now(), str(error))
                log = _log.debug if isinstance(error, NotFound | Conflict) else _log.warning
                log("lease: %s", error)
                await asyncio.sleep(backoff.next())
                continue
            self._heartbeat.succeed()
            backoff.reset()
            await asyncio.sleep(_RENEW_SECONDS)

    async def _renew(self) -> None:
        name = self._facts.name
        time = now_micro()
        try:
            await self._client.patch(LEASES, name, {"spec": {"renewTime": time}}, _LEASE_NAMESPACE)
        except NotFound:
            await self.registered()
            await self._client.create(LEASES, await self._new_lease(time))

    async def _new_lease(self, time: str) -> Obj:
        name = self._facts.name
        node = await self._client.get(NODES, name)
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"]}
        return {
            "apiVersion": LEASES.api_version,
            "kind": "Lease",
            "metadata": {"name": name, "namespace": _LEASE_NAMESPACE, "ownerReferences": [owner]},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": time},
        }
