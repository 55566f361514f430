"""The component: everything put together, served until cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import aiohttp
from aiohttp import web

from wellhead import ports
from wellhead.api.limits import DEFAULTS, Limits
from wellhead.api.meta import Obj
from wellhead.api.ranges import family_of
from wellhead.apiserver.address_keeper import AddressKeeper
from wellhead.apiserver.admission.configuration import read_configuration
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.plugins import admission
from wellhead.apiserver.aggregation.authentication import trusted
from wellhead.apiserver.aggregation.availability import Availability
from wellhead.apiserver.aggregation.backend import Backends
from wellhead.apiserver.aggregation.documents import RemoteDocuments
from wellhead.apiserver.aggregation.local import LocalServices
from wellhead.apiserver.aggregation.services import Remotes
from wellhead.apiserver.audit.options import AuditOptions
from wellhead.apiserver.audit.setup import auditing
from wellhead.apiserver.authn import Authenticator
from wellhead.apiserver.authz import Authorizer
from wellhead.apiserver.backups import back_up_when_asked
from wellhead.apiserver.bootstrap import (
    ensure_namespaces,
    ensure_priority_classes,
)
from wellhead.apiserver.compaction import compact_history
from wellhead.apiserver.custom.conversion import converter_of
from wellhead.apiserver.custom.keeper import DefinitionKeeper
from wellhead.apiserver.custom.kinds import CustomKinds
from wellhead.apiserver.dispatch import Dispatcher
from wellhead.apiserver.event_expiry import expire_events
from wellhead.apiserver.flowcontrol.control import FlowControl
from wellhead.apiserver.flowcontrol.keeper import FlowControlKeeper, ensure_flow_control
from wellhead.apiserver.flowcontrol.metrics import FlowControlMetrics
from wellhead.apiserver.heads import head_of
from wellhead.apiserver.health import Health, Shared
from wellhead.apiserver.listeners import listeners
from wellhead.apiserver.metrics import Metrics
from wellhead.apiserver.migration import MigrationKeeper
from wellhead.apiserver.node_authorizer import NodeAuthorizer
from wellhead.apiserver.peers import Peers
from wellhead.apiserver.policies.keeper import PolicyKeeper
from wellhead.apiserver.rbac.index import RoleIndex
from wellhead.apiserver.rbac.reconciling import ensure_default_roles
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.registry.services import ServiceAllocator
from wellhead.apiserver.server import Server
from wellhead.apiserver.subresources.node_connection import agent_tls, no_redirects
from wellhead.apiserver.system_keeper import SystemKeeper
from wellhead.apiserver.tokens import Tokens
from wellhead.apiserver.watches import BOOKMARK_SECONDS, Watches
from wellhead.apiserver.webhooks.client import WebhookClient
from wellhead.apiserver.webhooks.metrics import WebhookMetrics
from wellhead.client.collector import settle
from wellhead.ip import bracketed
from wellhead.storage.cache import WatchCache
from wellhead.storage.etcd.options import EtcdOptions
from wellhead.storage.location import store_at
from wellhead.storage.sqlite import SqliteStore

_log = logging.getLogger(__name__)

_SHUTDOWN_SECONDS = 5.0
# Of the time that a request may take it may spend a quarter waiting, and no more than a minute, as upstream.
_WAITING_PART = 4
_LONGEST_WAIT = 60.0

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Config:
    """What the command line says; see `wellhead apiserver --help`."""

    storage: str
    """sqlite:PATH, memory: or etcd=URL,…"""
    tls_cert_file: Path
    tls_private_key_file: Path
    client_ca_file: Path
    """Vouches for clients, and for the agents' serving certificates."""
    kubelet_client_certificate: Path
    kubelet_client_key: Path
    service_account_key_file: Path
    """An EC P-256 private key (PEM) that signs and verifies tokens."""
    advertise_address: IPAddress
    """Where pods reach this server, behind the Service `kubernetes`; of the primary family."""
    bind_addresses: tuple[IPAddress, ...] = ()
    secure_port: int = ports.API
    listen_fds: tuple[int, ...] = ()
    """Listening sockets that were inherited."""
    service_account_issuer: str = "https://kubernetes.default.svc"
    enable_admission_plugins: tuple[str, ...] = ()
    disable_admission_plugins: tuple[str, ...] = ()
    admission_control_config_file: Path | None = None
    """What single plugins are told."""
    proxy_client_cert_file: Path | None = None
    """Whom to be towards the servers behind APIServices."""
    proxy_client_key_file: Path | None = None
    requestheader_client_ca_file: Path | None = None
    """The authority of that certificate, which those servers are told of."""
    requestheader_allowed_names: tuple[str, ...] = ()
    service_account_max_token_expiration: int = 30 * 86400
    """Seconds."""
    service_cluster_ip_ranges: tuple[IPNetwork, ...] = (IPv4Network("10.0.0.0/16"),)
    """One, or one of each family, the primary family's first."""
    service_node_port_range: range = range(30000, 32768)
    limits: Limits = DEFAULTS
    etcd: EtcdOptions = field(default_factory=EtcdOptions)
    bookmark_seconds: float = BOOKMARK_SECONDS
    audit: AuditOptions = field(default_factory=AuditOptions)
    flow_control: bool = True
    """Whether requests share the server by FlowSchemas and PriorityLevelConfigurations."""

    @property
    def front_proxy(self) -> tuple[str, str] | None:
        """The files of `proxy_client_*`."""
        if self.proxy_client_cert_file is None or self.proxy_client_key_file is None:
            return None
        return str(self.proxy_client_cert_file), str(self.proxy_client_key_file)


async def run(config: Config) -> None:
    """Serve until cancelled; then end the watches and let requests finish, for a short while.

    Raises:
        StoreFailed: the storage can't be used.
        OSError: an address can't be bound, or a certificate or key not be read.
        ValueError: a key is of the wrong kind, a file says what it can't, or `storage` names none.
    """
    # 1,024 open files are the usual limit, and a quarter of the connections that there may be.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    store = store_at(config.storage, config.etcd)
    await store.open()
    try:
        cache = WatchCache(
            store, head_of, config.limits.watch_history_bytes, config.limits.watch_histories_bytes
        )
        families = tuple(map(family_of, config.service_cluster_ip_ranges))
        allocator = ServiceAllocator(cache, families, config.service_node_port_range)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(cache.run())
            await cache.started()
            allocator.start()
            keeper = AddressKeeper(cache, allocator)
            await keeper.repair()
            async with _serve(config, cache, allocator) as registry:
                try:
                    async with asyncio.TaskGroup() as upkeep:
                        if store.shared:
                            peers = Peers(registry, config.advertise_address, config.secure_port)
                            await peers.join()
                            upkeep.create_task(peers.run())
                        if isinstance(store, SqliteStore):
                            upkeep.create_task(back_up_when_asked(store))
                        upkeep.create_task(expire_events(registry))
                        upkeep.create_task(compact_history(cache))
                        upkeep.create_task(keeper.run())
                finally:
                    cache.close()
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def _serve(config: Config, cache: WatchCache, allocator: ServiceAllocator) -> AsyncIterator[Registry]:
    """Requests are answered while the context lasts."""
    registry = Registry(cache, allocator, config.limits)
    kinds = CustomKinds(cache)
    webhooks = WebhookClient(registry, config.limits)
    kinds.start(lambda definition: converter_of(definition, webhooks))
    remotes = Remotes(cache)
    local = LocalServices(registry, kinds)
    definitions = DefinitionKeeper(registry, kinds)
    definitions.start()
    policies = PolicyKeeper(registry, kinds)
    policies.start()
    flow_keeper = FlowControlKeeper(registry)
    flow_keeper.start()
    migrations = MigrationKeeper(registry, kinds)
    migrations.start()
    tokens = Tokens(
        config.service_account_key_file,
        config.service_account_issuer,
        registry.live_uid,
        config.service_account_max_token_expiration,
    )
    authenticator = Authenticator(tokens, registry.lookup)
    authorizer = Authorizer(NodeAuthorizer(cache), RoleIndex(cache))
    metrics = Metrics(cache)
    kinds.gone = metrics.forget
    tls = _server_tls(config)
    to_agents = agent_tls(config.client_ca_file, config.kubelet_client_certificate, config.kubelet_client_key)
    async with (
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=to_agents, limit=0),
            auto_decompress=False,
            middlewares=(no_redirects,),
        ) as agents,
        webhooks,
        Backends(registry, config.front_proxy) as backends,
        auditing(config.audit, metrics.registry) as auditor,
    ):
        dispatcher = Dispatcher(
            registry=registry,
            authenticator=authenticator,
            authorizer=authorizer,
            admission=admission(
                Environment(
                    registry,
                    authorizer,
                    kinds,
                    config.limits,
                    webhooks,
                    WebhookMetrics(metrics.registry),
                    _configurations(config),
                ),
                config.enable_admission_plugins,
                config.disable_admission_plugins,
            ),
            tokens=tokens,
            agents=agents,
            agents_tls=to_agents,
            health=Health({"ready": lambda: server.readiness(), "storage": Shared(cache.check).ask}),
            metrics=metrics,
            server_address=f"{bracketed(config.advertise_address)}:{config.secure_port}",
            watches=Watches(config.limits, metrics.refused, config.bookmark_seconds),
            kinds=kinds,
            remotes=remotes,
            backends=backends,
            documents=RemoteDocuments(remotes, backends, config.limits),
        )
        flow_control = _flow_control(config, cache, metrics)
        server = Server(
            authenticator,
            authorizer,
            dispatcher,
            metrics,
            config.limits,
            kinds.lookup,
            remotes,
            auditor,
            flow_control,
            cache,
        )
        await ensure_namespaces(registry)
        await ensure_priority_classes(registry)
        await ensure_default_roles(registry)
        await ensure_flow_control(registry)
        await local.ensure()
        ranges = config.service_cluster_ip_ranges
        own = [] if cache.shared else [config.advertise_address]
        system = SystemKeeper(registry, ranges, own, config.secure_port, _trusted(config))
        await system.ensure()
        connections = server.connections()
        runner = web.ServerRunner(connections, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            doors = listeners(config.listen_fds, config.bind_addresses, config.secure_port)
            for listener in doors:
                _log.info("serving on %s", listener.getsockname())
            settle()
            server.ready = True
            async with asyncio.TaskGroup() as upkeep:
                availability = Availability(registry, remotes, backends, config.limits)
                running = (
                    definitions.run(),
                    policies.run(),
                    flow_keeper.run(),
                    migrations.run(),
                    availability.run(),
                    local.run(),
                    system.run(),
                    *(connections.accept(listener, tls) for listener in doors),
                )
                keeping = [upkeep.create_task(each) for each in running]
                yield registry
                for each in keeping:
                    each.cancel()
        finally:
            server.ready = False
            await runner.cleanup()


def _configurations(config: Config) -> dict[str, Obj]:
    file = config.admission_control_config_file
    return {} if file is None else read_configuration(file)


def _flow_control(config: Config, cache: WatchCache, metrics: Metrics) -> FlowControl | None:
    if not config.flow_control:
        return None
    longest = min(config.limits.request_seconds / _WAITING_PART, _LONGEST_WAIT)
    control = FlowControl(cache, config.limits.requests, longest)
    control.start()
    metrics.registry.register(FlowControlMetrics(control))
    return control


def _trusted(config: Config) -> dict[str, str]:
    front_proxy = config.requestheader_client_ca_file
    return trusted(
        config.client_ca_file.read_text(),
        "" if front_proxy is None else front_proxy.read_text(),
        config.requestheader_allowed_names,
    )


def _server_tls(config: Config) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(config.client_ca_file))
    context.num_tickets = 0  # nobody resumes sessions: a sixth of a handshake for nothing
    context.load_cert_chain(config.tls_cert_file, config.tls_private_key_file)
    # Who has no certificate may have a token.
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context
