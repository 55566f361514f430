"""What the API server knows of a cluster's nodes and of its namespace `default`, watched.

And the removal of nodes that left the cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import Awaitable, Callable, Collection

from wellhead.api.errors import NotFound
from wellhead.api.meta import Obj, condition, is_condition_true
from wellhead.api.well_known import CONFIGMAPS, LEASES, NODES, PODS, SERVICEACCOUNTS
from wellhead.client.connection import load
from wellhead.client.informer import Informer
from wellhead.client.rest import Client
from wellhead.lab import kubeconfigs, machines
from wellhead.lab.cluster import Cluster
from wellhead.lab.topology import is_node_name

_LEASE_NAMESPACE = "kube-node-lease"
_NAMESPACE = "default"
# What a pod needs that says nothing else: its account, and what its token's volume holds beside the token.
_ACCOUNT, _ROOT_CA = "default", "kube-root-ca.crt"


class NodeWatch:
    """Nodes, their leases and what first pods need, kept current while `run` runs.

    `on_change` is called after each change.
    """

    def __init__(self, cluster: Cluster, wanted: Collection[str], on_change: Callable[[], None]) -> None:
        self._cluster = cluster
        self._wanted = wanted
        self._on_change = on_change
        self._nodes: Informer | None = None
        self._leases: Informer | None = None
        self._accounts: Informer | None = None
        self._configmaps: Informer | None = None
        self._counted = False

    async def run(self) -> None:
        """Watch until cancelled, and delete the nodes that are no longer wanted once they are off."""
        connection = load(str(self._cluster.kubeconfig(kubeconfigs.HOST_ADMIN)))
        async with Client(connection, "wellhead-up") as client, asyncio.TaskGroup() as group:
            self._nodes = Informer(client, NODES)
            self._leases = Informer(client, LEASES, namespace=_LEASE_NAMESPACE)
            self._accounts = Informer(client, SERVICEACCOUNTS, namespace=_NAMESPACE)
            self._configmaps = Informer(client, CONFIGMAPS, namespace=_NAMESPACE)
            for informer in (self._nodes, self._leases, self._accounts, self._configmaps):
                informer.on_change(lambda _old, _new: self._on_change())
                group.create_task(informer.run())
            await self._nodes.synced()
            self._counted = True
            for name in self._unwanted():
                group.create_task(_remove(client, self._cluster, name))
            self._on_change()

    @property
    def only_wanted(self) -> bool:
        """Whether every node of the API server's is wanted."""
        return self._counted and not self._unwanted()

    @property
    def why_no_pods(self) -> str:
        """Why a pod could not be created yet in namespace `default`; '' if it could."""
        if self._accounts is None or self._accounts.get(_ACCOUNT, _NAMESPACE) is None:
            return f"namespace {_NAMESPACE} has no ServiceAccount {_ACCOUNT} yet"
        if self._configmaps is None or self._configmaps.get(_ROOT_CA, _NAMESPACE) is None:
            return f"namespace {_NAMESPACE} has no ConfigMap {_ROOT_CA} yet"
        return ""

    def _unwanted(self) -> list[str]:
        """Nodes that `up` made once; one of another kind is somebody else's business."""
        names = [node["metadata"]["name"] for node in self._nodes or ()]
        return [name for name in names if is_node_name(name) and name not in self._wanted]

    def is_ready(self, name: str, since: float) -> bool:
        """Whether the node is Ready, and has said so by its lease after `since` (Unix time)."""
        node = self._nodes.get(name) if self._nodes else None
        lease = self._leases.get(name, _LEASE_NAMESPACE) if self._leases else None
        return node is not None and lease is not None and is_ready(node) and _renewed(lease) >= since

    def why_not_ready(self, name: str) -> str:
        """What the node itself says about it."""
        node = self._nodes.get(name) if self._nodes else None
        if node is None:
            return "its agent has not registered it"
        said = condition(node, "Ready")
        if said is not None and said["status"] != "True":
            return str(said.get("message") or said.get("reason") or said["status"])
        return "its agent has not renewed its lease"


def is_ready(node: Obj) -> bool:
    """Whether a Node has condition Ready."""
    return is_condition_true(node, "Ready")


async def _remove(client: Client, cluster: Cluster, name: str) -> None:
    """Delete the node and what was bound to it."""
    await _until_off(cluster, name)  # else its agent would register it again
    pods = await client.list(PODS, field_selector=f"spec.nodeName={name}")
    for pod in pods["items"]:
        metadata = pod["metadata"]
        # Nobody is left who could end it with grace.
        await _if_there(client.delete(PODS, metadata["name"], metadata["namespace"], grace_period=0))
    await _if_there(client.delete(LEASES, name, _LEASE_NAMESPACE))
    await _if_there(client.delete(NODES, name))


async def _until_off(cluster: Cluster, name: str) -> None:
    running = machines.find(cluster.name)
    machine = running.pop(name, None)
    for other in running.values():
        other.close()
    if machine is not None:
        gone = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(machine.pidfd, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(machine.pidfd)
            machine.close()


async def _if_there(request: Awaitable[Obj]) -> None:
    with contextlib.suppress(NotFound):
        await request


def _renewed(lease: Obj) -> float:
    """Unix time of the last renewal; 0 if there was none."""
    text = lease.get("spec", {}).get("renewTime")
    return datetime.datetime.fromisoformat(text).timestamp() if text else 0.0
