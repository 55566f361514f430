"""The proxy as a process: its configuration, and how its parts are tied together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Literal

from wellhead.api.meta import Obj
from wellhead.api.resources import ENDPOINTSLICES, NODES, SERVICES
from wellhead.client.connection import load
from wellhead.client.events import EventRecorder
from wellhead.client.informer import Informer
from wellhead.client.rest import Client
from wellhead.proxy.backends.base import BackendError
from wellhead.proxy.backends.iptables.backend import IptablesBackend, remove_all
from wellhead.proxy.backends.iptables.commands import Commands, Variant
from wellhead.proxy.backends.iptables.node_rules import LOOPBACK, NodeRulesConfig
from wellhead.proxy.backends.iptables.ruleset import NodePortAddresses, RulesetConfig
from wellhead.proxy.backends.iptables.transaction import TABLES
from wellhead.proxy.health import ProxyHealth
from wellhead.proxy.health_ports import HealthCheckPorts
from wellhead.proxy.metrics import Metrics, of_family
from wellhead.proxy.node_config import NodeConfig
from wellhead.proxy.proxier import Proxier
from wellhead.proxy.servers import health_app, operator_app, serve
from wellhead.proxy.sync import SyncFailed, SyncLoop
from wellhead.proxy.sysctls import (
    ConntrackSettings,
    enable_localhost_node_ports,
    has_ipv6,
    set_conntrack,
)
from wellhead.proxy.watches import SERVICE_SELECTOR, SLICE_SELECTOR, Watches
from wellhead.services.family import Family
from wellhead.services.names import ServiceKey
from wellhead.services.node import LocalNode, is_leaving, parse_node
from wellhead.services.node_view import NodeView
from wellhead.services.service_map import ServiceMap

log = logging.getLogger(__name__)

ProxyMode = Literal["iptables"]
Address = tuple[str, int]


@dataclass(frozen=True)
class Config:
    """Everything that `wellhead proxy` can be told. Times in seconds."""

    node_name: str
    kubeconfig: str | None = None
    """None: $KUBECONFIG, else the credentials of the pod that this runs in."""
    master: str | None = None
    mode: ProxyMode = "iptables"
    node: NodeConfig = field(default_factory=NodeConfig)
    node_port_addresses: NodePortAddresses = ()
    iptables_variant: Variant = "auto"
    masquerade_bit: int = 14
    localhost_node_ports: bool = True
    sync_period: float = 30.0
    """How often the rules are compared with the kernel's."""
    min_sync_period: float = 0.0
    """The least time between the starts of two syncs."""
    metrics_address: Address | None = ("127.0.0.1", 10249)
    health_address: Address | None = ("0.0.0.0", 10256)  # noqa: S104 - load balancers ask it from outside
    conntrack: ConntrackSettings = field(default_factory=ConntrackSettings)


async def run(config: Config) -> None:
    """Serve until cancelled. The rules stay in force afterwards: a proxy's restart interrupts nothing.

    Raises:
        BackendError: iptables does not work here.
        wellhead.client.connection.KubeconfigError: there is no way to find the API server.
    """
    connection = load(config.kubeconfig, config.master)
    families = await usable_families(config.iptables_variant)
    set_conntrack(config.conntrack)
    async with Client(connection, user_agent="wellhead-proxy") as client, asyncio.TaskGroup() as tasks:
        proxy = _Proxy(config, families, client)
        for part in proxy.parts():
            tasks.create_task(part)


async def cleanup() -> None:
    """Remove every rule that any mode of this proxy, or kube-proxy in iptables mode, has left here.

    Raises:
        BackendError: something is left.
    """
    await remove_all()


async def usable_families(variant: Variant) -> tuple[Family, ...]:
    """The families that this kernel and its iptables speak.

    Raises:
        BackendError: not even IPv4.
    """
    await Commands(Family.IPV4, variant).save(*TABLES)
    if not has_ipv6():
        return (Family.IPV4,)
    try:
        await Commands(Family.IPV6, variant).save(*TABLES)
    except BackendError as error:
        log.warning("IPv6 Services won't be served: %s", error)
        return (Family.IPV4,)
    return (Family.IPV4, Family.IPV6)


class _Proxy:
    """The parts of one proxy and what runs between them."""

    def __init__(self, config: Config, families: tuple[Family, ...], client: Client) -> None:
        self._config = config
        self._families = families
        self._metrics = Metrics()
        self._health = ProxyHealth(timeout=2 * config.sync_period)
        self._events = EventRecorder(client, "wellhead-proxy", config.node_name)
        self._node_object: Obj | None = None
        self._found_pod_networks = asyncio.Event()

        services = ServiceMap()
        self._view = NodeView(services, config.node.complete(LocalNode(config.node_name)))
        addresses = config.node_port_addresses
        networks = () if addresses == "primary" else addresses
        self._ports = HealthCheckPorts(families, networks, self._health, self._complain)
        backend = IptablesBackend(families, config.iptables_variant, _ruleset_config(config), self._metrics)
        watches = Watches(services, families, self._metrics, self._request)
        on_loopback = _node_ports_on_loopback(config)
        self._proxier = Proxier(
            self._view,
            backend,
            families,
            watches,
            self._health,
            self._ports,
            self._metrics,
            enable_localhost_node_ports if on_loopback else None,
        )
        self._loop = SyncLoop(
            self._proxier.sync,
            self._proxier.check,
            min_period=config.min_sync_period,
            check_period=config.sync_period,
            failed=self._sync_failed,
        )
        self._services = Informer(client, SERVICES, label_selector=SERVICE_SELECTOR)
        self._slices = Informer(client, ENDPOINTSLICES, label_selector=SLICE_SELECTOR)
        self._nodes = Informer(client, NODES, field_selector=f"metadata.name={config.node_name}")
        self._services.on_change(watches.on_service)
        self._slices.on_change(watches.on_slice)
        self._nodes.on_change(self._on_node)
        self._apps = [
            (operator_app(backend.mode, self._metrics), config.metrics_address),
            (health_app(self._health, self._metrics), config.health_address),
        ]

    def parts(self) -> Iterator[Coroutine[None, None, None]]:
        """What has to run, each until cancelled."""
        yield self._services.run()
        yield self._slices.run()
        yield self._nodes.run()
        yield self._events.run()
        yield self._ports.run()
        yield self._sync_when_known()
        for app, address in self._apps:
            if address is not None:
                yield serve(app, *address)

    async def _sync_when_known(self) -> None:
        """Start to sync once everything is listed: rules made of half the objects would cut off the rest."""
        for informer in (self._services, self._slices, self._nodes):
            await informer.synced()
        if self._config.node.waits_for_node(self._view.node):
            log.info("waiting for the pod CIDR of node %s, which NodeCIDR mode needs", self._config.node_name)
            await self._found_pod_networks.wait()
        self._request()
        await self._loop.run()

    def _request(self) -> None:
        self._health.queued()
        for family in self._families:
            of_family(self._metrics.last_queued, family).set_to_current_time()
        self._loop.request()

    def _on_node(self, old: Obj | None, new: Obj | None) -> None:
        self._health.node_eligible = new is not None and not is_leaving(new)
        if new is None:
            return  # its last known zone, addresses and pod CIDRs are the best guess until it is back
        self._node_object = new
        node = parse_node(new)
        if self._config.node.waits_for_node(node):
            if self._found_pod_networks.is_set():
                return
        else:
            self._found_pod_networks.set()
        if self._view.set_node(self._config.node.complete(node)):
            self._request()

    def _sync_failed(self, error: SyncFailed) -> None:
        self._events.event(self._this_node(), "Warning", "ProxySyncFailed", str(error))

    def _complain(self, service: ServiceKey, message: str) -> None:
        found = self._services.get(service.name, service.namespace)
        if found is not None:
            about = {"apiVersion": "v1", "kind": "Service", **found}
            self._events.event(
                about,
                "Warning",
                "FailedToStartServiceHealthcheck",
                f"node {self._config.node_name}: {message}",
            )

    def _this_node(self) -> Obj:
        found = self._node_object or {"metadata": {"name": self._config.node_name}}
        return {"apiVersion": "v1", "kind": "Node", **found}


def _ruleset_config(config: Config) -> RulesetConfig:
    node = NodeRulesConfig(1 << config.masquerade_bit, _node_ports_on_loopback(config))
    return RulesetConfig(node, config.node_port_addresses)


def _node_ports_on_loopback(config: Config) -> bool:
    """Whether IPv4 node ports should answer on loopback addresses."""
    if not config.localhost_node_ports or config.node_port_addresses == "primary":
        return False
    networks = [each for each in config.node_port_addresses if each.version == 4]
    return not networks or any(each.overlaps(LOOPBACK[Family.IPV4]) for each in networks)
