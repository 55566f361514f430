"""The proxy as a process: how its parts are tied together."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterator
from dataclasses import replace

from wellhead.api.meta import Obj
from wellhead.backoff import Backoff
from wellhead.client.events import EventRecorder
from wellhead.client.rest import Client
from wellhead.ip import Family, IPNetwork
from wellhead.proxy import modes
from wellhead.proxy.backends.base import BackendError
from wellhead.proxy.claims.watch import WaysWatch
from wellhead.proxy.config import Config
from wellhead.proxy.config_file import ends_when_changed
from wellhead.proxy.fallbacks import Fallbacks
from wellhead.proxy.health import ProxyHealth
from wellhead.proxy.health_ports import HealthCheckPorts
from wellhead.proxy.masquerades.watch import MasqueradeWatch
from wellhead.proxy.metrics import Metrics, family_label, of_family
from wellhead.proxy.mode import MODES
from wellhead.proxy.proxier import Proxier
from wellhead.proxy.servers import CannotListen, health_app, operator_app, serve
from wellhead.proxy.service_ranges import ServiceRanges
from wellhead.proxy.start import Followed
from wellhead.proxy.symmetric_return.cleanup import clean_up
from wellhead.proxy.symmetric_return.controller import SymmetricReturn
from wellhead.proxy.symmetric_return.kernel import ReturnPathError
from wellhead.proxy.symmetric_return.reverse_path import heed_marks_everywhere
from wellhead.proxy.sync import SyncFailed, SyncLoop
from wellhead.proxy.sysctls import (
    KeptSettings,
    enable_localhost_node_ports,
    set_conntrack,
    set_oom_score,
)
from wellhead.proxy.watches import Watches
from wellhead.services.names import ServiceKey
from wellhead.services.node import LocalNode, is_leaving, parse_node
from wellhead.services.node_ports import node_port_networks
from wellhead.services.node_view import NodeView
from wellhead.services.service_map import ServiceMap

log = logging.getLogger(__name__)

_LAST_WORDS_SECONDS = 1.0


async def follow(config: Config, client: Client, metrics: Metrics, followed: Followed) -> None:
    """Have the kernel do what `followed`, which somebody runs, says; until cancelled.

    Raises:
        BackendError: the mode does not work here.
        wellhead.proxy.servers.CannotListen: a port can't be had, and that is to be fatal.
        wellhead.proxy.config_file.ConfigurationChanged: the file that this was configured by has changed.
        ExceptionGroup: of these, where several parts fail, or one does later.
    """
    if config.mode == "iptables":
        config = replace(config, iptables_variant=await modes.chosen_variant(config.iptables_variant))
    families = await modes.usable_families(config)
    set_conntrack(config.conntrack)
    if config.oom_score is not None:
        set_oom_score(config.oom_score)
    log.info("%s mode, %s", config.mode, " and ".join(f"IPv{each.value}" for each in families))
    async with asyncio.TaskGroup() as tasks:
        for part in _Proxy(config, families, client, metrics, followed).parts():
            tasks.create_task(part)


async def initialise(config: Config) -> None:
    """Do what needs full privileges and lasts: the kernel settings. Then `run` needs CAP_NET_ADMIN alone."""
    set_conntrack(config.conntrack)
    if modes.node_ports_on_loopback(config):
        enable_localhost_node_ports()
    if config.symmetric_return.path != "none":
        heed_marks_everywhere()


class _Proxy:
    """The parts of one proxy and what runs between them."""

    def __init__(
        self,
        config: Config,
        families: tuple[Family, ...],
        client: Client,
        metrics: Metrics,
        followed: Followed,
    ) -> None:
        self._config = config
        self._families = families
        self._metrics = metrics
        self._health = ProxyHealth(timeout=2 * config.sync_period)
        self._events = EventRecorder(client, "wellhead-proxy", config.node_name)
        self._node_object: Obj | None = None
        self._queued_at = 0.0
        for family in families:
            metrics.begin(family)
            of_family(metrics.last_queued, family).set_function(lambda: self._queued_at)
        self._found_pod_networks = asyncio.Event()

        services = ServiceMap()
        self._view = NodeView(services, config.node.complete(LocalNode(config.node_name)))
        self._ports = HealthCheckPorts(families, self._health_networks, self._health, self._cannot_check)
        self._fallbacks = Fallbacks(self._not_preserved)
        self._backend = modes.make_backend(config, families, metrics)
        watches = Watches(services, metrics, self._request, time.time())
        self._return = SymmetricReturn(
            client,
            config.node_name,
            config.symmetric_return,
            config.marks,
            config.node.cluster_cidrs,
            check_period=config.sync_period,
            changed=self._set_node,
            complain=self._warn_of_node,
            own_node=lambda: self._node_object,
        )
        self._ways = WaysWatch(self._set_node)
        self._masquerades = MasqueradeWatch(
            config.source_claims,
            lambda: self._view.node,
            self._ways.out,
            self._masqueraded,
            self._count_masquerades,
        )
        self._settings = KeptSettings(config.conntrack)
        on_loopback = modes.node_ports_on_loopback(config)
        self._proxier = Proxier(
            self._view,
            self._backend,
            families,
            watches,
            self._health,
            self._ports,
            metrics,
            self._settings.enable_localhost_node_ports if on_loopback else None,
            self._fallbacks,
        )
        self._loop = SyncLoop(
            self._proxier.sync,
            self._proxier.check,
            min_period=config.min_sync_period,
            check_period=config.sync_period,
            failed=self._sync_failed,
        )
        self._services, self._slices, self._nodes = followed.services, followed.slices, followed.nodes
        self._services.on_change(watches.on_service)
        self._services.on_change(lambda old, new: self._want_return(services))
        self._slices.on_change(watches.on_slice)
        self._nodes.on_change(self._on_node)
        self._ranges = ServiceRanges(client, self._backend.set_service_ranges)
        operators = operator_app(config.mode, metrics, config.document, profiling=config.profiling)
        self._apps = [
            (operators, config.metrics_address, "FailedToStartMetricServer"),
            (health_app(self._health, metrics), config.health_address, "FailedToStartProxierHealthcheck"),
        ]

    def parts(self) -> Iterator[Coroutine[None, None, None]]:
        """What has to run, each until cancelled."""
        yield self._settings.run()
        yield self._ways.run(self._config.sync_period)
        yield self._events.run()
        yield self._ports.run()
        yield self._fallbacks.run()
        yield self._sync_when_known()
        yield self._return_when_known()
        yield self._check_when_changed()
        yield self._watch_masquerades()
        if self._config.mode == "nftables":
            yield self._ranges.run()
        if self._config.file is not None:
            yield ends_when_changed(self._config.file)
        for app, address, reason in self._apps:
            if address is not None:
                yield self._serve(serve(app, *address, hard_fail=self._config.bind_hard_fail), reason)

    async def _sync_when_known(self) -> None:
        """Start to sync once everything is listed: rules made of half the objects would cut off the rest."""
        for informer in (self._services, self._slices, self._nodes):
            await informer.synced()
        if self._config.node.waits_for_node(self._view.node):
            log.info("waiting for the pod CIDR of node %s, which NodeCIDR mode needs", self._config.node_name)
            await self._found_pod_networks.wait()
        await self._return.known()
        await self._ways.known()
        self._events.event(self._this_node(), "Normal", "Starting", "")
        self._request()
        await self._loop.run()

    async def _return_when_known(self) -> None:
        """Whether anything wants symmetric returns is known once all Services are."""
        await self._services.synced()
        await self._nodes.synced()
        await self._return.run()

    def _want_return(self, services: ServiceMap) -> None:
        if services.preserving or self._config.node.preserve_client_ip:
            self._return.want()

    async def _check_when_changed(self) -> None:
        """Look after the rules as soon as the kernel tells that others changed them."""
        backoff = Backoff(0.5, 30.0)
        while True:
            try:
                await self._backend.changed()
            except BackendError as error:
                log.error("others' changes to the rules are noticed at the sync period only: %s", error)
                await asyncio.sleep(backoff.next())
            else:
                backoff.reset()
                await self._loop.check_now()

    async def _watch_masquerades(self) -> None:
        """Once the proxy's own rules are there: to listen makes large changes slower."""
        await self._proxier.begun.wait()
        await self._masquerades.run(self._config.sync_period)

    def _masqueraded(self, hidden: bool, message: str) -> None:
        (log.warning if hidden else log.info)("%s", message)
        if hidden:
            self._events.event(self._this_node(), "Warning", "SourceHidden", message)
        else:
            self._events.event(self._this_node(), "Normal", "SourceKept", message)

    def _count_masquerades(self, family: Family, kept: bool, rules: int) -> None:
        outcome = "kept" if kept else "hidden"
        self._metrics.foreign_masquerades.labels(ip_family=family_label(family), outcome=outcome).set(rules)

    async def _serve(self, serving: Coroutine[None, None, None], reason: str) -> None:
        try:
            await serving
        except CannotListen as error:
            self._events.event(self._this_node(), "Warning", reason, str(error))
            await asyncio.sleep(_LAST_WORDS_SECONDS)  # for the event to be written
            raise

    def _request(self) -> None:
        self._health.queued()
        self._queued_at = time.time()
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
        self._set_node()

    def _set_node(self) -> None:
        """Take in what the Node object and the symmetric return say."""
        if self._node_object is None:
            return
        returning = self._return.returning
        node = self._config.node.complete(parse_node(self._node_object))
        ways = self._ways.ways
        if self._view.set_node(replace(node, returning=returning.nodes, inside=returning.inside, ways=ways)):
            self._ports.refresh()
            self._masquerades.stir()
            self._request()

    def _health_networks(self, family: Family) -> tuple[IPNetwork, ...]:
        return node_port_networks(self._config.node_port_addresses, family, self._view.node)

    def _warn_of_node(self, reason: str, message: str) -> None:
        self._events.event(self._this_node(), "Warning", reason, message)

    def _sync_failed(self, error: SyncFailed) -> None:
        self._events.event(self._this_node(), "Warning", "ProxySyncFailed", str(error))

    def _cannot_check(self, service: ServiceKey, message: str) -> None:
        self._warn(service, "FailedToStartServiceHealthcheck", message)

    def _not_preserved(self, service: ServiceKey, message: str) -> None:
        self._warn(service, "ClientIPNotPreserved", message)

    def _warn(self, service: ServiceKey, reason: str, message: str) -> None:
        found = self._services.get(service.name, service.namespace)
        if found is not None:
            metadata = {"namespace": service.namespace, "name": service.name, "uid": found.uid}
            about = {"apiVersion": "v1", "kind": "Service", "metadata": metadata}
            self._events.event(about, "Warning", reason, f"node {self._config.node_name}: {message}")

    def _this_node(self) -> Obj:
        found = self._node_object or {"metadata": {"name": self._config.node_name}}
        return {"apiVersion": "v1", "kind": "Node", **found}


async def cleanup(config: Config) -> None:
    """Remove every rule that any mode of this proxy, or of kube-proxy but ipvs, has left here.

    What the node has announced is withdrawn too, if there is a way to the API server.

    Raises:
        BackendError: something is left.
    """
    problems: list[str] = []
    for mode in MODES:
        try:
            await modes.remove(mode)
        except (BackendError, OSError) as error:
            problems.append(str(error))
    try:
        await clean_up(config.kubeconfig, config.master, config.node_name, config.marks)
    except ReturnPathError as error:
        problems.append(str(error))
    if problems:
        raise BackendError("; ".join(problems))
