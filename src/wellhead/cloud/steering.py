"""Which nodes each load balancer sends its flows to: balancers, nodes and their health in, changes out.

Forwarded Services of policy Cluster share one group of nodes, so a node that fails costs one change, however
many there are. One of policy Local has the nodes that pass its own check, and a group with all that have the
same. For a Service of the proxy's class, the forwarder leads all flows to the proxy, which spreads them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wellhead import ports
from wellhead.api.meta import Key
from wellhead.cloud.balancers import Request
from wellhead.cloud.endpoints import Endpoints
from wellhead.cloud.forwarder.plane import Forwarder
from wellhead.cloud.forwarder.tables import Change, Frontend, Target
from wellhead.cloud.haproxy.plane import TerminatingProxy
from wellhead.cloud.haproxy.sections import Section, sections
from wellhead.cloud.health import Check, HealthMonitor, Outcome, Settings, State
from wellhead.cloud.nodes import BalancedNode
from wellhead.ip import IPAddress

_log = logging.getLogger(__name__)

_CLUSTER_GROUP = "cluster"
_PROXY_GROUP = "proxy"


@dataclass(frozen=True)
class Balancer:
    """A load balancer that exists: what was asked for, and its VIPs, at most one a family."""

    request: Request
    vips: tuple[IPAddress, ...]

    @property
    def frontends(self) -> frozenset[Frontend]:
        return frozenset(
            Frontend(vip, protocol, port) for vip in self.vips for protocol, port in self.request.ports
        )


class Steering:
    """Keeps the data planes' targets as balancers, nodes, endpoints and health checks say.

    Until `start`, everything is collected: the planes' first changes replace what an earlier run left, and
    nobody is to lose a node only because it has not been asked yet.

    `proxy` may be None if no balancer needs one. `on_local_change` is called when a Service of policy Local
    has other nodes than before, `on_node_health` when a node passes or fails the check that Services of
    policy Cluster depend on.
    """

    def __init__(
        self,
        forwarder: Forwarder,
        proxy: TerminatingProxy | None,
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
        self._proxy = proxy
        self._on_local_change = on_local_change
        self._on_node_health = on_node_health
        self._endpoints: dict[Key, Endpoints] = {}
        # By the port of the check that they depend on: Services of policy Local, and all that the proxy has.
        self._dependent: defaultdict[int, set[Key]] = defaultdict(set)
        self._members: dict[Key, frozenset[IPAddress]] = {}  # the nodes that each of these gets flows to
        self._leftovers: dict[Key, frozenset[Frontend]] = {}  # removal asked for, and not confirmed
        self._mute: dict[Key, frozenset[IPAddress]] = {}  # the nodes that have nothing to say for a Service
        self._started = False
        # Before the planes' first changes, an earlier run's balancers may work that this one has never known.
        self._swept = False

    def start(self) -> None:
        """Submit everything, as it is known now, and every change from now on."""
        self._started = True
        change = Change()
        terminated = {}
        for service, balancer in self.balancers.items():
            target = self._target(service, balancer)
            change.frontends |= target.frontends
            change.groups |= target.groups
            if balancer.request.termination is not None:
                terminated[service] = self._sections(service, balancer)
        self._forwarder.submit(change, nodes=self._neighbours())
        if self._proxy is not None:
            self._proxy.submit(terminated)

    def adopt(self, service: Key, balancer: Balancer) -> None:
        """A balancer that was there before this run. For before `start`."""
        self._set(service, balancer)

    def put(self, service: Key, balancer: Balancer) -> asyncio.Future[list[object]]:
        """Have this balancer for the Service. The future is the data planes'; it raises their errors."""
        old = self._set(service, balancer)
        gone = self._leftovers.pop(service, frozenset()) | (old.frontends if old else frozenset())
        change = self._target(service, balancer)
        change.frontends |= dict.fromkeys(gone - balancer.frontends)
        # At once, and not one after the other: what is submitted in between may be about the same VIP.
        submitted: list[asyncio.Future[Any]] = [self._forwarder.submit(change)]
        if self._proxy is not None and any(each and each.request.termination for each in (old, balancer)):
            submitted.append(self._proxy.submit({service: self._sections(service, balancer)}))
        return asyncio.gather(*submitted)

    async def drop(self, service: Key) -> None:
        """Have none. Returns when no packet follows it any more.

        Raises:
            PlaneError: that isn't so yet. Ask again.
        """
        old = self._set(service, None)
        self._members.pop(service, None)
        self._mute.pop(service, None)
        self._endpoints.pop(service, None)
        gone = self._leftovers.get(service, frozenset()) | (old.frontends if old else frozenset())
        if gone or not self._swept:
            self._leftovers[service] = gone
            submitted: list[asyncio.Future[Any]] = [self._forwarder.submit(Change(dict.fromkeys(gone)))]
            if self._proxy is not None:
                submitted.append(self._proxy.submit({service: ()}))
            await asyncio.gather(*submitted)
            self._leftovers.pop(service, None)
            self._swept = True

    def set_endpoints(self, service: Key, endpoints: Endpoints) -> None:
        """The Service's endpoints as they are now: for a balancer that is there, or about to be."""
        before = self._endpoints.get(service)
        self._endpoints[service] = endpoints
        balancer = self.balancers.get(service)
        if balancer is None:
            return
        if balancer.request.termination is None:
            self._silence(service, balancer, endpoints.serving_nodes)
        elif balancer.request.termination.dials_endpoints and before != endpoints:
            self._redirect(service)

    def _silence(self, service: Key, balancer: Balancer, serving: frozenset[str]) -> None:
        """Leave the nodes that have no endpoint of the Service which serves.

        Under policy Local they will not answer. A TCP connection has then been ended by its endpoint; a UDP
        flow knows no end, and would be sent to such a node for as long as the client goes on.
        """
        if not balancer.request.local:
            self._mute.pop(service, None)
            return
        mute = frozenset(
            address for name, node in self.nodes.items() if name not in serving for address in node.addresses
        )
        fresh = mute - self._mute.get(service, frozenset())
        self._mute[service] = mute
        datagrams = [frontend for frontend in balancer.frontends if frontend.protocol == "udp"]
        if fresh and datagrams:
            self._forwarder.submit(mute=[(frontend, node) for frontend in datagrams for node in fresh])

    def set_node(self, name: str, node: BalancedNode | None) -> None:
        """A Node as it is now; None when it is gone."""
        before = self.nodes.get(name)
        if node == before:
            return
        if node is None:
            del self.nodes[name]
        else:
            self.nodes[name] = node
        self.monitor.set_nodes(frozenset(node.address for node in self.nodes.values()))
        if not self._started:
            return
        change = Change(groups={_CLUSTER_GROUP: self.eligible(ports.PROXY_HEALTH)})
        self._forwarder.submit(change, nodes=self._neighbours())
        for port in list(self._dependent):
            self._regroup(port, nodes_changed=True)
        lost = frozenset(before.addresses) - self._addresses() if before is not None else frozenset()
        if lost and self._proxy is not None:
            self._proxy.submit(lost=lost)

    def eligible(self, check_port: int) -> frozenset[IPAddress]:
        """The addresses of the nodes that get new flows of Services with this health check."""
        return frozenset(
            address
            for node in self.nodes.values()
            if not node.excluded and self.monitor.state(Check(node.address, check_port)).passing
            for address in node.addresses
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
            if check.port == ports.PROXY_HEALTH:
                self._forwarder.submit(Change(groups={_CLUSTER_GROUP: self.eligible(ports.PROXY_HEALTH)}))
            self._regroup(check.port)
        if check.port == ports.PROXY_HEALTH and node is not None:
            self._on_node_health(node, state)

    def node_died(self, address: IPAddress) -> None:
        """See `health.Observer`."""
        node = self._node(address)
        _log.warning("node %s is dead: its flows are decided anew", node.name if node else address)
        lost = frozenset(node.addresses) if node else frozenset({address})
        self._forwarder.submit(lost=lost)
        if self._proxy is not None:
            self._proxy.submit(lost=lost)

    def _set(self, service: Key, new: Balancer | None) -> Balancer | None:
        """Remember the Service's balancer, and check what it depends on. Returns the one before."""
        old = self.balancers.pop(service, None)
        if new is not None:
            self.balancers[service] = new
            self.monitor.watch(new.request.check_port)
        if old is not None:
            self.monitor.unwatch(old.request.check_port)
            dependent = self._dependent[old.request.check_port]
            dependent.discard(service)
            if not dependent:
                del self._dependent[old.request.check_port]
        if new is not None and (new.request.local or new.request.termination is not None):
            self._dependent[new.request.check_port].add(service)
        return old

    def _target(self, service: Key, balancer: Balancer) -> Change:
        """The change that sends the Service's flows where they belong by what is known now."""
        request = balancer.request
        nodes = self._members[service] = self.eligible(request.check_port)
        if request.termination is not None:
            assert self._proxy is not None
            target = Target(_PROXY_GROUP, terminated=True)
            nodes = frozenset(self._proxy.settings.addresses)
        else:
            group = "+".join(sorted(map(str, nodes))) if request.local else _CLUSTER_GROUP
            target = Target(group, request.client_affinity)
        return Change(dict.fromkeys(balancer.frontends, target), {target.group: nodes})

    def _sections(self, service: Key, balancer: Balancer) -> tuple[Section, ...]:
        """What the proxy has for the Service; nothing for one of the forwarder's class."""
        request = balancer.request
        if request.termination is None:
            return ()
        return sections(
            service,
            request.termination,
            balancer.vips,
            self.nodes.values(),
            self.eligible(request.check_port),
            self._endpoints.get(service, Endpoints()),
        )

    def _regroup(self, check_port: int, *, nodes_changed: bool = False) -> None:
        eligible = self.eligible(check_port)
        for service in list(self._dependent.get(check_port, ())):
            balancer = self.balancers[service]
            changed = self._members.get(service) != eligible
            if balancer.request.termination is not None:
                if changed or nodes_changed:
                    self._members[service] = eligible
                    self._redirect(service)
            elif changed:
                self._forwarder.submit(self._target(service, balancer))
            if changed and balancer.request.local:
                self._on_local_change(service)

    def _redirect(self, service: Key) -> None:
        if self._started and self._proxy is not None:
            self._proxy.submit({service: self._sections(service, self.balancers[service])})

    def _addresses(self) -> frozenset[IPAddress]:
        return frozenset(address for node in self.nodes.values() for address in node.addresses)

    def _neighbours(self) -> frozenset[IPAddress]:
        """Everybody that the forwarder may send packets to."""
        proxies = self._proxy.settings.addresses if self._proxy is not None else ()
        return self._addresses() | frozenset(proxies)

    def _node(self, address: IPAddress) -> BalancedNode | None:
        return next((node for node in self.nodes.values() if node.address == address), None)
