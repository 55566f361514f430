"""The node agent as a component: everything it consists of, started in order."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from wellhead import ports
from wellhead.api.resources import NODES, PODS, SERVICES
from wellhead.client import connection
from wellhead.client.events import EventRecorder
from wellhead.client.informer import Informer, watches
from wellhead.client.rest import Client
from wellhead.health import Check, Health
from wellhead.health_server import Address, serving
from wellhead.images.store import ImageStore
from wellhead.linux.inotify import Inotify
from wellhead.memory import Tidy
from wellhead.node import configuration, machine, node_status
from wellhead.node.configuration import Configuration
from wellhead.node.eviction import thresholds
from wellhead.node.eviction.manager import EvictionManager
from wellhead.node.eviction.observing import observe
from wellhead.node.health import DISK, RUNTIME, NodeHealth, list_containers, write
from wellhead.node.logs.rotator import LogRotator
from wellhead.node.metrics.kubelet import KubeletMetrics
from wellhead.node.network.allocation import AddressPools
from wellhead.node.network.families import IPAddress, IPNetwork
from wellhead.node.network.netlink import Netlink
from wellhead.node.network.pod_links import PodLinks
from wellhead.node.network.restoring import Say
from wellhead.node.network.routes import NodeRoutes
from wellhead.node.network.rules import NodeRules
from wellhead.node.node_status import NodeFacts, capacity
from wellhead.node.pods import http_actions, room
from wellhead.node.pods.admission import Node
from wellhead.node.pods.arrivals import Arrivals
from wellhead.node.pods.context import Context
from wellhead.node.pods.files import Dns
from wellhead.node.pods.manager import PodManager
from wellhead.node.pods.seccomp import Profiles
from wellhead.node.pods.security import available_capabilities
from wellhead.node.pods.user_ranges import UserRanges
from wellhead.node.references import References
from wellhead.node.registration import Registration
from wellhead.node.runtime.cgroups import Cgroups
from wellhead.node.runtime.containers import Runtime
from wellhead.node.server import app
from wellhead.node.server.bearers import Bearers
from wellhead.node.server.requests import Services
from wellhead.node.shutdown.manager import PROBLEM, ShutdownManager
from wellhead.node.static.keeper import StaticPods
from wellhead.node.storage.provisioner import LocalPathProvisioner

_log = logging.getLogger(__name__)

_SHUTDOWN_SECONDS = 1.0
_PODS_BEFORE_TIDYING = 20


@dataclass(frozen=True)
class Config:
    """Where the node is, and who it is.

    Of addresses and networks there is at most one a family, the primary family's first. `node_cidrs` and
    `cluster_cidrs` are what pods reach with their own addresses. The last three are the server's
    certificate, its key, and the authority of its clients' certificates (PEM files). `cluster_dns` are the
    addresses of the cluster's DNS servers, if it has any. Pods of `spoofing_namespaces` may send with any
    source address. With `pull`, images that aren't here are asked for. `settings` are a kubelet's.

    `kubeconfig` is the node's own identity, which sees no other node; `network_kubeconfig` one that reads
    the nodes to whose pods routes lead (a CNI plugin's, elsewhere). `storage_kubeconfig` is one that may
    make volumes of the node's directories (a CSI driver's, elsewhere); without it nobody does. `cgroup` is
    what the directory of its containers' cgroups is called; "": they have none. `manifests` is the directory
    of static pods' manifests; None: there are none. `health` is where health is told, by plain HTTP; None:
    at `port` only.
    """

    kubeconfig: str | None
    network_kubeconfig: str | None
    node_name: str
    node_ips: tuple[IPAddress, ...]
    external_ips: tuple[IPAddress, ...]
    pod_cidrs: tuple[IPNetwork, ...]
    cluster_cidrs: tuple[IPNetwork, ...]
    node_cidrs: tuple[IPNetwork, ...]
    root_dir: Path
    image_dir: Path
    tls_cert_file: Path
    tls_private_key_file: Path
    client_ca_file: Path
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    spoofing_namespaces: tuple[str, ...] = ()
    pull: bool = False
    settings: Configuration = field(default_factory=configuration.default)
    storage_kubeconfig: str | None = None
    cgroup: str = ""
    manifests: Path | None = None
    port: int = ports.AGENT
    health: Address | None = None


async def run(config: Config) -> None:
    """Run until cancelled. Pods, their network and the node's rules stay as they are.

    Raises:
        KubeconfigError, OSError, CommandFailed: the configuration or the machine doesn't allow a start.
    """
    _raise_file_limit()
    pods_directory = config.root_dir / "pods"
    pods_directory.mkdir(parents=True, exist_ok=True)
    machine.keep_null()
    volatile = machine.volatile_directory(config.root_dir)
    cgroups = Cgroups.find(config.cgroup, volatile / "cgroup") if config.cgroup else None
    runtime = Runtime(volatile, cgroups)
    tls = app.tls(config.tls_cert_file, config.tls_private_key_file, config.client_ca_file)
    images, arrivals = ImageStore(config.image_dir), Arrivals(config.image_dir)
    netlink = Netlink()
    try:
        async with (
            AsyncExitStack() as stack,
            Client(connection.load(config.kubeconfig), "wellhead-node-agent") as client,
            Client(
                connection.load(config.network_kubeconfig or config.kubeconfig), "wellhead-node-agent"
            ) as network,
            http_actions.session() as http,
            References(client) as references,
        ):
            services = Informer(client, SERVICES)
            nodes = Informer(network, NODES)
            pods = Informer(client, PODS, field_selector=f"spec.nodeName={config.node_name}")
            recorder = EventRecorder(client, "kubelet", config.node_name)
            say = _announcer(recorder, config.node_name)
            held_back = thresholds.held_back(
                config.settings.eviction.thresholds, observe(config.root_dir, config.image_dir)
            )
            rules = NodeRules(config.pod_cidrs, (*config.cluster_cidrs, *config.node_cidrs), say)
            links = PodLinks(netlink, say)
            context = Context(
                node_name=config.node_name,
                host_ips=tuple(map(str, config.node_ips)),
                pods=pods_directory,
                client=client,
                http=http,
                recorder=recorder,
                references=references,
                services=services,
                images=images,
                arrivals=arrivals,
                runtime=runtime,
                links=links,
                rules=rules,
                addresses=AddressPools(config.pod_cidrs, config.root_dir),
                users=UserRanges(_number(config.pod_cidrs[0])),
                spoofing=frozenset(config.spoofing_namespaces),
                pulls=config.pull,
                seccomp=Profiles(config.root_dir / "seccomp", config.settings.seccomp_default),
                dns=Dns(config.cluster_dns, config.cluster_domain),
                capabilities=available_capabilities(),
                allocatable=node_status.allocatable(capacity(config.root_dir), held_back),
                image_access=config.settings.image_access,
            )
            manager = PodManager(context, pods, _known_of(config, context, nodes))
            tidy = Tidy(_PODS_BEFORE_TIDYING, cycles=True)
            pods.on_change(lambda old, new: tidy.changed() if new is None else None)
            eviction = EvictionManager(
                config.node_name,
                (config.root_dir, config.image_dir),
                config.settings.eviction,
                recorder,
                manager.workers,
            )
            shutdown = ShutdownManager(
                config.node_name, config.root_dir, config.settings.shutdown, recorder, manager.workers
            )
            manager.gates += [shutdown.refusal, eviction.refusal]
            pods.on_change(eviction.pod_changed)
            metrics = KubeletMetrics(
                config.node_name, manager.workers, eviction, shutdown, runtime.operations
            )
            manager.arrived.append(metrics.watch)
            await manager.recover()
            await rules.apply()
            routes = NodeRoutes(links, nodes, config.node_name, config.pod_cidrs)
            able = NodeHealth(
                {
                    DISK: lambda: write(config.root_dir),
                    RUNTIME: lambda: list_containers(runtime.command("list", "--quiet")),
                },
                (*rules.checks(), *links.checks(), *routes.checks()),
            )
            facts = NodeFacts(
                name=config.node_name,
                internal_ips=tuple(map(str, config.node_ips)),
                external_ips=tuple(map(str, config.external_ips)),
                pod_cidrs=tuple(map(str, config.pod_cidrs)),
                kubelet_port=config.port,
                images=images,
                root=config.root_dir,
                ready=lambda: (False, PROBLEM) if shutdown.shutting_down else able.ready(),
                disk=lambda: able.problems().get(DISK, ""),
                pressures=lambda: eviction.conditions,
                held_back=held_back,
            )
            registration = Registration(client, nodes, facts)
            able.changed = registration.update
            eviction.changed = shutdown.changed = registration.update

            def checks() -> Iterator[Check]:
                yield watches(services, nodes, pods)
                yield from registration.checks()
                yield from able.checks()
                for one in static:
                    yield from one.checks()
                for each in storage:
                    yield from each.checks()

            health = Health(checks)
            static = (
                [StaticPods(client, pods, manager, config.node_name, config.manifests)]
                if config.manifests is not None
                else []
            )
            _listen(shutdown)
            storage = await stack.enter_async_context(_storage(config))
            async with (
                _server(config, context, manager, health, tls, metrics),
                serving(health, config.health),
                asyncio.TaskGroup() as group,
            ):
                for component in (
                    *(recorder, nodes, services, pods),
                    *(registration, links, rules, routes, manager, able, arrivals, eviction, shutdown),
                    LogRotator(manager.states, config.settings.logs),
                ):
                    group.create_task(component.run(), name=type(component).__name__)
                for one in static:
                    group.create_task(one.run(), name=type(one).__name__)
                for each in storage:
                    group.create_task(each.run(), name=type(each).__name__)
    finally:
        netlink.close()


def _number(pod_cidr: IPNetwork) -> int:
    """Which of the cluster's networks it is."""
    return int(pod_cidr.network_address) // pod_cidr.num_addresses


def _known_of(config: Config, context: Context, nodes: Informer) -> Callable[[], Node]:
    """What decides about pods that the node is given."""
    allocatable, unsafe = room.whole(context.allocatable), config.settings.unsafe_sysctls
    return lambda: Node(allocatable, nodes.get(config.node_name), unsafe)


def _announcer(recorder: EventRecorder, node_name: str) -> Say:
    """Says what had to be put back in the log and, for whoever looks from elsewhere, on the Node."""
    # As upstream's kubelet does: the UID of events about a Node is its name.
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node_name, "uid": node_name}}

    def say(what: str) -> None:
        _log.warning("%s", what)
        recorder.event(node, "Warning", "NetworkRestored", what)

    return say


@asynccontextmanager
async def _storage(config: Config) -> AsyncIterator[list[LocalPathProvisioner]]:
    """The node's provisioner, if it has one."""
    if config.storage_kubeconfig is None:
        yield []
        return
    async with Client(connection.load(config.storage_kubeconfig), "wellhead-node-storage") as client:
        yield [LocalPathProvisioner(client, config.node_name, config.root_dir / "local-path")]


@asynccontextmanager
async def _server(
    config: Config,
    context: Context,
    manager: PodManager,
    health: Health,
    tls: ssl.SSLContext,
    metrics: KubeletMetrics,
) -> AsyncIterator[None]:
    inotify = Inotify()
    runner = web.AppRunner(
        app.application(
            Services(context, manager, inotify),
            health,
            Bearers(context.client, context.node_name),
            registry=metrics.registry,
            configuration=config.settings.shown,
        ),
        access_log=None,
        shutdown_timeout=_SHUTDOWN_SECONDS,
        handler_cancellation=True,
    )
    await runner.setup()
    try:
        for address in config.node_ips:
            site = web.TCPSite(runner, str(address), config.port, ssl_context=tls, reuse_address=True)
            await site.start()
            _log.info("serving on %s, port %s", address, config.port)
        yield
    finally:
        await runner.cleanup()
        inotify.close()


def _listen(shutdown: ShutdownManager) -> None:
    """SIGPWR: the machine is about to stop; SIGUSR1: it isn't, after all."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGPWR, shutdown.begin)
    loop.add_signal_handler(signal.SIGUSR1, shutdown.cancel)


def _raise_file_limit() -> None:
    """Allow as many open files as we may have: each container costs one, each stream some."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
