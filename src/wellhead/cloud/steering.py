"""Which nodes each load balancer sends its flows to: balancers, nodes and their health in, changes out.

Services of policy Cluster share one group of nodes, so a node that fails costs one change, however many there
are. One of policy Local has the nodes that pass its own check, and a group with all that have the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

from wellhead.api.meta import Key
from wellhead.cloud.balancers import PROXY_HEALTHZ_PORT, Request
from wellhead.cloud.forwarder.plane import Forwarder
from wellhead.cloud.forwarder.tables import Change, Frontend, Target
from wellhead.cloud.health import Check, HealthMonitor, Outcome, Settings, State
from wellhead.cloud.nodes import BalancedNode
from wellhead.cloud.vips import IPAddress

_log = logging.getLogger(__name__)

_CLUSTER_GROUP = "cluster"


@dataclass(frozen=True)
class Balancer:
    """A load balancer that exists: what was asked for, and the VIP."""

    request: Request
    vip: IPv4Address

    @property
    def frontends(self) -> frozenset[Frontend]:
        return frozenset(Frontend(self.vip, protocol, port) for protocol, port in self.request.ports)


class Steering:
    """Keeps the forwarder's targets as balancers, nodes and health checks say.

    Until `start`, everything is collected: the forwarder's first transaction replaces what an earlier run
    left in the kernel, and nobody is to lose a node only because it has not been asked yet.

    `on_local_change` is called when a Service of policy Local has other nodes than before, `on_node_health`
    when a node passes or fails the check that Services of policy Cluster depend on.
    """

    def __init__(
        self,
        forwarder: Forwarder,
        settings: Settings,
        *,
        on_local_change: Callable[[Key], None],
        on_node_health: Callable[[BalancedNode, State], None],
        count: Callable[[Outcome], None] | None = None,
    ) -> None:
        self.monitor = HealthMonitor(self, settings, count)
        self.balancers: dict[Key, Balancer] = {}
        self.nodes: dict[str, BalancedNode] = {}
        self._forwarder = forwarder
        self._on_local_change = on_local_change
        self._on_node_health = on_node_health
        self._groups: dict[Key, str] = {}
        self._local_services: defaultdict[int, set[Key]] = defaultdict(set)  # by health-check node port
        self._leftovers: dict[Key, frozenset[Frontend]] = {}  # removal asked for, and not confirmed
        self._mute: dict[Key, frozenset[IPAddress]] = {}  # the nodes that have nothing to say for a Service
        self._started = False

    def start(self) -> None:
        """Submit everything, as it is known now, and every change from now on."""
        self._started = True
        change = Change()
        for service, balancer in self.balancers.items():
            target = self._target(service, balancer)
            change.frontends |= target.frontends
            change.groups |= target.groups
        self._forwarder.submit(change, nodes=self._addresses())

    def adopt(self, service: Key, balancer: Balancer) -> None:
        """A balancer that was there before this run. For before `start`."""
        self._set(service, balancer)

    def put(self, service: Key, balancer: Balancer) -> asyncio.Future[None]:
        """Have this balancer for the Service. The future is the forwarder's."""
        old = self._set(service, balancer)
        gone = self._leftovers.pop(service, frozenset()) | (old.frontends if old else frozenset())
        change = self._target(service, balancer)
        change.frontends |= dict.fromkeys(gone - balancer.frontends)
        return self._forwarder.submit(change)

    async def drop(self, service: Key) -> None:
        """Have none. Returns when no packet follows it any more.

        Raises:
            ForwarderError: that isn't so yet. Ask again.
        """
        old = self._set(service, None)
        self._groups.pop(service, None)
        self._mute.pop(service, None)
        gone = self._leftovers.get(service, frozenset()) | (old.frontends if old else frozenset())
        if gone:
            self._leftovers[service] = gone
            await self._forwarder.submit(Change(dict.fromkeys(gone)))
            self._leftovers.pop(service, None)

    def set_serving(self, service: Key, serving: frozenset[str]) -> None:
        """The names of the nodes that have endpoints of the Service which serve.

        Under policy Local the others will not answer. A TCP connection has then been ended by its endpoint;
        a UDP flow knows no end, and would be sent to such a node for as long as the client goes on.
        """
        balancer = self.balancers.get(service)
        if balancer is None or not balancer.request.local:
            self._mute.pop(service, None)
            return
        mute = frozenset(node.address for name, node in self.nodes.items() if name not in serving)
        fresh = mute - self._mute.get(service, frozenset())
        self._mute[service] = mute
        datagrams = [frontend for frontend in balancer.frontends if frontend.protocol == "udp"]
        if fresh and datagrams:
            self._forwarder.submit(mute=[(frontend, node) for frontend in datagrams for node in fresh])

    def set_node(self, name: str, node: BalancedNode | None) -> None:
        """A Node as it is now; None when it is gone."""
        if node == self.nodes.get(name):
            return
        if node is None:
            del self.nodes[name]
        else:
            self.nodes[name] = node
        self.monitor.set_nodes(self._addresses())
        if self._started:
            change = Change(groups={_CLUSTER_GROUP: self.eligible(PROXY_HEALTHZ_PORT)})
            self._forwarder.submit(change, nodes=self._addresses())
            for port in list(self._local_services):
                self._regroup(port)

    def eligible(self, check_port: int) -> frozenset[IPAddress]:
        """The addresses of the nodes that get new flows of Services with this health check."""
        return frozenset(
            node.address
            for node in self.nodes.values()
            if not node.excluded and self.monitor.state(Check(node.address, check_port)).passing
        )

    def eligible_names(self, check_port: int) -> list[str]:
        """The names of these nodes, sorted."""
        addresses = self.eligible(check_port)
        return sorted(node.name for node in self.nodes.values() if node.address in addresses)

    def health_changed(self, check: Check, state: State) -> None:
        """See `health.Observer`."""
        node = self._node(check.node)
        verdict = "passes" if state.passing else "fails"
        _log.info(
            "node %s %s the health check on port %d: %s",
            node.name if node else check.node,
            verdict,
            check.port,
            state.detail,
        )
        if self._started:
            if check.port == PROXY_HEALTHZ_PORT:
                self._forwarder.submit(Change(groups={_CLUSTER_GROUP: self.eligible(PROXY_HEALTHZ_PORT)}))
            self._regroup(check.port)
        if check.port == PROXY_HEALTHZ_PORT and node is not None:
            self._on_node_health(node, state)

    def node_died(self, address: IPAddress) -> None:
        """See `health.Observer`."""
        node = self._node(address)
        _log.warning("node %s is dead: its flows are decided anew", node.name if node else address)
        self._forwarder.submit(lost={address})

    def _set(self, service: Key, new: Balancer | None) -> Balancer | None:
        """Remember the Service's balancer, and check what it depends on. Returns the one before."""
        old = self.balancers.pop(service, None)
        if new is not None:
            self.balancers[service] = new
            self.monitor.watch(new.request.check_port)
        if old is not None:
            self.monitor.unwatch(old.request.check_port)
            if old.request.local:
                self._local_services[old.request.check_port].discard(service)
                if not self._local_services[old.request.check_port]:
                    del self._local_services[old.request.check_port]
        if new is not None and new.request.local:
            self._local_services[new.request.check_port].add(service)
        return old

    def _target(self, service: Key, balancer: Balancer) -> Change:
        """The change that sends the Service's flows where they belong by what is known now."""
        nodes = self.eligible(balancer.request.check_port)
        group = "+".join(sorted(map(str, nodes))) if balancer.request.local else _CLUSTER_GROUP
        self._groups[service] = group
        target = Target(group, balancer.request.client_affinity)
        return Change(dict.fromkeys(balancer.frontends, target), {group: nodes})

    def _regroup(self, check_port: int) -> None:
        for service in list(self._local_services.get(check_port, ())):
            before = self._groups.get(service)
            change = self._target(service, self.balancers[service])
            if self._groups[service] != before:
                self._forwarder.submit(change)
                self._on_local_change(service)

    def _addresses(self) -> frozenset[IPAddress]:
        return frozenset(node.address for node in self.nodes.values())

    def _node(self, address: IPAddress) -> BalancedNode | None:
        return next((node for node in self.nodes.values() if node.address == address), None)
