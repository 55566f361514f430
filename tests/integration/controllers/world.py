"""A cluster without containers: the real API server, controllers and scheduler, and agents that pretend."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.integration.apiserver.cluster import Cluster
from tests.integration.apiserver.pki import Pki
from tests.patience import PATIENCE, reached
from wellhead.api.errors import NotFound
from wellhead.api.meta import Key, Obj, is_deleting, key, now, now_micro
from wellhead.api.resource import Resource
from wellhead.api.resources import (
    DEPLOYMENTS,
    ENDPOINTSLICES,
    EVENTS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    REPLICASETS,
    SERVICEACCOUNTS,
    SERVICES,
)
from wellhead.apiserver import main as apiserver
from wellhead.client.connection import load
from wellhead.client.informer import Informer
from wellhead.client.reconciler import Reconciler
from wellhead.client.rest import Client, ConnectionLost, Event
from wellhead.controllers import main as controllers
from wellhead.controllers.certificates.signing import Authority
from wellhead.scheduler import main as scheduler

T = TypeVar("T")

sharing = pytest.mark.asyncio(loop_scope="module")
"""For tests of a world that their module shares: they run on its event loop."""


@dataclass
class Agents:
    """Reports pods as running as soon as they have a node, and removes them as soon as they shall go."""

    client: Client
    ready: Callable[[Obj], bool] = lambda _: True
    addresses: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    most_running: int = 0
    """The most pods that existed at once."""
    least_ready: int | None = None
    """The fewest ready pods that were seen since this was set."""

    async def run(self) -> None:
        self.pods = Informer(self.client, PODS)
        reconciler = Reconciler("agents", self._reconcile)
        self.pods.on_change(lambda old, new: reconciler.enqueue(key(new or old or {})))
        self.pods.on_change(self._count)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.pods.run())
            group.create_task(reconciler.run())

    def _count(self, old: Obj | None, new: Obj | None) -> None:
        living = [pod for pod in self.pods if not is_deleting(pod)]
        self.most_running = max(self.most_running, len(living))
        if self.least_ready is not None:
            ready = sum(_is_ready(pod) for pod in living)
            self.least_ready = min(self.least_ready, ready)

    async def _reconcile(self, name: Key) -> float | None:
        pod = self.pods.get(*reversed(name))
        if pod is None or not pod["spec"].get("nodeName"):
            return None
        if is_deleting(pod):
            with contextlib.suppress(NotFound):
                await self.client.delete(PODS, name[1], name[0], grace_period=0, uid=pod["metadata"]["uid"])
            return None
        ready = self.ready(pod)
        status = pod.get("status") or {}
        if status.get("phase") in ("Succeeded", "Failed") or (
            status.get("podIP") and _is_ready(pod) == ready
        ):
            return None
        number = next(self.addresses)
        address = status.get("podIP") or f"10.244.{number // 250}.{number % 250 + 2}"
        conditions = [each for each in status.get("conditions") or [] if each["type"] != "Ready"]
        entry = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": now()}
        status = {
            **status,
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}, {"ip": _ipv6(address)}],
            "conditions": [*conditions, entry],
        }
        await self.client.update(PODS, {**pod, "status": status}, "status")
        return None


def _ipv6(address: str) -> str:
    """The second address of a pod, made from its first one."""
    return f"fd00:10:244::{address.replace('.', ':')}"


def _is_ready(pod: Obj) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


@dataclass
class World:
    """What a test works with."""

    api: Cluster
    client: Client
    agents: Agents
    controllers: asyncio.Task[None]

    async def until(
        self, ask: Callable[[], Awaitable[T]], is_so: Callable[[T], object], seconds: float = 3 * PATIENCE
    ) -> T:
        """Ask again until it is so. Raises AssertionError with the last answer if it never is."""
        return await reached(ask, is_so, seconds=seconds)

    async def is_serving(self) -> bool:
        try:
            await self.client.get(NAMESPACES, "kube-node-lease")
        except (ConnectionLost, NotFound):
            return False
        return True

    async def accepts_pods(self) -> bool:
        return bool(await self.listed(SERVICEACCOUNTS))

    async def listed(self, resource: Resource, selector: str = "", namespace: str = "default") -> list[Obj]:
        found = await self.client.list(resource, namespace, label_selector=selector)
        return list(found.get("items") or [])

    async def count(self, resource: Resource, number: int, selector: str = "") -> list[Obj]:
        """Wait until there are exactly so many."""
        return await self.until(lambda: self.listed(resource, selector), lambda found: len(found) == number)

    async def gone(self, resource: Resource, name: str, namespace: str | None = "default") -> None:
        async def ask() -> bool:
            try:
                await self.client.get(resource, name, namespace)
            except NotFound:
                return True
            return False

        await self.until(ask, bool)

    async def rolled_out(self, name: str) -> Obj:
        """Wait as `kubectl rollout status` does; then the Deployment."""

        def done(deployment: Obj) -> bool:
            status, wanted = deployment.get("status") or {}, deployment["spec"]["replicas"]
            counts = [status.get(each, 0) for each in ("updatedReplicas", "replicas", "availableReplicas")]
            seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
            return seen and counts == [wanted] * 3

        return await self.until(lambda: self.client.get(DEPLOYMENTS, name, "default"), done)

    async def something_else(self) -> None:
        """Another Deployment and its Service come and go, from beginning to end.

        Each controller works its keys off in the order in which they came: so whoever had something to do
        before has done it by then.
        """
        await self.client.create(DEPLOYMENTS, deployment("else"))
        await self.client.create(SERVICES, service("else"))
        await self.rolled_out("else")
        await self.until(
            lambda: self.listed(ENDPOINTSLICES, "kubernetes.io/service-name=else"),
            lambda found: sum(len(each.get("endpoints") or ()) for each in found) >= 3,
        )
        await self.client.delete(SERVICES, "else", "default")
        await self.client.delete(DEPLOYMENTS, "else", "default")
        await self.count(PODS, 0, "app=else")
        await self.count(REPLICASETS, 0, "app=else")
        await self.count(ENDPOINTSLICES, 0, "kubernetes.io/service-name=else")

    async def versions(self) -> dict[str, str]:
        """What is in the default namespace, in which version, but for traces of `something_else`."""
        kinds = (DEPLOYMENTS, REPLICASETS, PODS, SERVICES, ENDPOINTSLICES, EVENTS)
        return {
            f"{each.kind} {found['metadata']['name']}": found["metadata"]["resourceVersion"]
            for each in kinds
            for found in await self.listed(each)
            if not found["metadata"]["name"].startswith("else")
        }

    async def events(self, reason: str) -> list[str]:
        return [
            each["message"]
            for each in await self.listed(EVENTS)
            if each["reason"] == reason and not each["involvedObject"]["name"].startswith("else")
        ]

    async def told(self, reason: str, times: int) -> list[str]:
        """The events with that reason, once there are so many: who writes them does so in his own time."""
        found = await self.until(lambda: self.events(reason), lambda found: len(found) >= times)
        assert len(found) == times, found
        return found

    async def add_node(self, name: str, **labels: str) -> None:
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}},
        }
        await self.client.create(NODES, node)
        amounts = {"cpu": "4", "memory": "8Gi", "pods": "110"}
        status = {
            "capacity": amounts,
            "allocatable": amounts,
            "conditions": [
                {"type": "Ready", "status": "True", "lastHeartbeatTime": now(), "lastTransitionTime": now()}
            ],
            "addresses": [{"type": "InternalIP", "address": "10.240.0.11"}],
        }
        # Whoever looks after nodes may have written to it already.
        await self.client.patch(NODES, name, {"status": status}, subresource="status")

    async def renew_lease(self, node: str) -> None:
        patch = {"spec": {"renewTime": now_micro()}}
        try:
            await self.client.patch(LEASES, node, patch, "kube-node-lease")
        except NotFound:
            metadata = {"name": node, "namespace": "kube-node-lease"}
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, **patch}
            await self.client.create(LEASES, lease)


class LaggingClient(Client):
    """Learns of every change only after `delay` seconds."""

    delay = 0.2

    async def watch(self, *arguments: Any, **options: Any) -> AsyncIterator[Event]:
        async for event in super().watch(*arguments, **options):
            await asyncio.sleep(self.delay)
            yield event


def deployment(name: str, replicas: int = 3, image: str = "web:1", **spec: object) -> Obj:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": pod_template(name, image),
            **spec,
        },
    }


def pod_template(name: str, image: str = "web:1") -> Obj:
    ports = [{"containerPort": 8080, "name": "http", "protocol": "TCP"}]
    return {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "web", "image": image, "ports": ports}]},
    }


def service(name: str, target_port: int | str = 8080, **spec: object) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": target_port}], **spec},
    }


def api_config(pki: Pki, fd: int) -> apiserver.Config:
    certificates = pki.directory
    return apiserver.Config(
        storage="memory:",
        tls_cert_file=certificates / "server.crt",
        tls_private_key_file=certificates / "server.key",
        client_ca_file=certificates / "ca.crt",
        kubelet_client_certificate=certificates / "admin.crt",
        kubelet_client_key=certificates / "admin.key",
        service_account_key_file=certificates / "service-account.key",
        advertise_address=ip_address("10.240.0.2"),
        listen_fds=(fd,),
        service_cluster_ip_ranges=(ip_network("10.0.0.0/16"), ip_network("fd00:10::/112")),
    )


@contextlib.asynccontextmanager
async def world(
    pki: Pki,
    directory: Path,
    *,
    grace_period: float = 3600.0,  # nobody renews the nodes' leases, however long a test takes
    kind: type[Client] = Client,
    signing: Authority | None = None,
) -> AsyncIterator[World]:
    """Everything started, with three nodes; stopped when the context ends."""
    async with contextlib.AsyncExitStack() as stack:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        api = Cluster(f"https://127.0.0.1:{listener.getsockname()[1]}", pki, directory)
        serving = asyncio.create_task(apiserver.run(api_config(pki, listener.detach())))

        async def client(identity: str, kind: type[Client] = Client) -> Client:
            connection = load(str(api.kubeconfig(identity)))
            return await stack.enter_async_context(kind(connection, identity))

        admin = await client("admin")
        agents = Agents(await client("admin"))
        config = controllers.Config(
            None, "the CA", grace_period, servicecidr_grace_period=0.5, signing=signing
        )
        manager = await client("kube-controller-manager", kind)
        running = [
            serving,
            managing := asyncio.create_task(controllers.serve(manager, config)),
            asyncio.create_task(scheduler.serve(await client("kube-scheduler"), scheduler.Config(None))),
            asyncio.create_task(agents.run()),
        ]
        try:
            made = World(api, admin, agents, managing)
            await made.until(made.is_serving, bool)
            for name in ("node-1", "node-2", "node-3"):
                await made.add_node(name)
            # Pods are refused before their namespace has its service account.
            await made.until(made.accepts_pods, bool)
            yield made
        finally:
            for task in running:
                task.cancel()
            ends = await asyncio.gather(*running, return_exceptions=True)
            for end in ends:
                if end is not None and not isinstance(end, asyncio.CancelledError):
                    raise end
