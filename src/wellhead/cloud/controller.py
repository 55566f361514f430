"""The LoadBalancer controller: gives Services a VIP and a way for their packets, and takes both back.

Source: the service controller of k8s.io/cloud-provider (order of steps, events), KEP-980 (the finalizer).
What must be known after a restart is in the Services: their status says who holds which VIP.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

from wellhead.api.meta import Key, Obj, is_deleting, key
from wellhead.api.well_known import ENDPOINTSLICES, NODES, SERVICES
from wellhead.client.events import EventRecorder
from wellhead.client.informer import Informer, TypedInformer, tolerant, watches
from wellhead.client.reconciler import Reconciler
from wellhead.client.rest import Client
from wellhead.cloud import balancers
from wellhead.cloud.allocation import Allocation
from wellhead.cloud.balancers import FINALIZER, Request
from wellhead.cloud.classes import Unsupported
from wellhead.cloud.endpoints import endpoints, service_of
from wellhead.cloud.forwarder.plane import Forwarder
from wellhead.cloud.haproxy.plane import TerminatingProxy
from wellhead.cloud.haproxy.ports import PortTaken
from wellhead.cloud.health import Outcome, Settings, State
from wellhead.cloud.nodes import BalancedNode, balanced_node
from wellhead.cloud.plane import PlaneError
from wellhead.cloud.steering import Balancer, Steering
from wellhead.cloud.vips import VIPPool, VIPUnavailable
from wellhead.health import Check
from wellhead.services.endpointslice import parse_endpoint_slice

_log = logging.getLogger(__name__)

_SETTLE_SECONDS = 1.5
_WITHOUT_NODES_SECONDS = 3.0  # a port that was just allocated is not served at once
_PORT_RETRY_SECONDS = 5.0  # nobody tells when a program stops listening
_MAX_NAMES = 5


class Controller:
    """Follows the API and keeps the data planes, and Services' status, as they should be. `run` it once.

    Without a `proxy`, Services of its class are refused, with the reason `no_proxy`.
    """

    def __init__(
        self,
        client: Client,
        recorder: EventRecorder,
        pool: VIPPool,
        forwarder: Forwarder,
        settings: Settings,
        count: Callable[[Outcome], None] | None = None,
        *,
        proxy: TerminatingProxy | None = None,
        no_proxy: str = "there is no proxy here",
    ) -> None:
        self.proxy = proxy
        self.pool = pool
        self.refused: dict[Key, str] = {}
        """Services that can't get what they ask for now, and why."""
        self.steering = Steering(
            forwarder,
            proxy,
            settings,
            on_local_change=self._nodes_changed,
            on_node_health=self._node_health_changed,
            count=count,
        )
        self._client = client
        self._recorder = recorder
        self._forwarder = forwarder
        self._allocation = Allocation(pool, proxy.settings if proxy is not None else None, no_proxy)
        self._services: TypedInformer[Obj] = TypedInformer(client, SERVICES, balancers.read, managers=True)
        self._nodes = Informer(client, NODES)
        self._slices = TypedInformer(
            client, ENDPOINTSLICES, tolerant(parse_endpoint_slice), indexes={"service": service_of}
        )
        self._reconciler: Reconciler[Key] = Reconciler("load balancer", self._reconcile)
        self._programmed: dict[Key, Balancer] = {}  # what the data planes have confirmed
        self._guarded: set[Key] = set()  # whose finalizer is ours, though the class be somebody else's now
        self._hosts: dict[Key, list[str]] = {}  # the nodes that the last event named
        self._without_nodes: dict[Key, float] = {}  # since when, by the loop's clock; inf once it is reported
        self._ignored: dict[Key, str] = {}  # what was said of annotations
        self._unwell: set[str] = set()  # nodes with an event that says so

    async def run(self) -> None:
        """Control until cancelled. What is in the kernel stays there and goes on working."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._services.run())
            group.create_task(self._nodes.run())
            group.create_task(self._slices.run())
            group.create_task(self._recorder.run())
            await self._services.synced()
            await self._nodes.synced()
            await self._slices.synced()
            self._adopt()
            self._services.on_change(self._service_changed)
            self._nodes.on_change(self._node_changed)
            self._slices.on_index("service", self._endpoints_changed)
            group.create_task(self.steering.monitor.run())
            if not await self.steering.monitor.settled(_SETTLE_SECONDS):
                _log.warning("starting although some health checks have had no answer yet")
            self.steering.start()
            group.create_task(self._forwarder.run())
            if self.proxy is not None:
                group.create_task(self.proxy.run())
            group.create_task(self._reconciler.run())

    def checks(self) -> Iterator[Check]:
        """That its watches live, that it gets on with the Services, and that the data planes follow."""
        yield watches(self._services, self._nodes, self._slices)
        yield from self._reconciler.checks()
        yield from self._forwarder.checks()
        if self.proxy is not None:
            yield from self.proxy.checks()

    def _adopt(self) -> None:
        """Take over the VIPs that Services hold by their status; on a clash the older Service keeps it."""
        for obj in sorted(self._services, key=_age):
            service = key(obj)
            vips = self._allocation.claimed(obj, balancers.published_vips(obj), self._lost)
            if vips and balancers.is_wanted(obj):
                try:
                    request = self._allocation.request(obj)
                    balancer = Balancer(
                        request, tuple(each for each in vips if each.version in request.families)
                    )
                    self._allocation.check_ports(balancer, frozenset(vips))
                    self._note_endpoints(service)
                    self.steering.adopt(service, balancer)
                except (Unsupported, PortTaken) as error:
                    _log.warning("Service %s: %s", "/".join(service), error)

    def _service_changed(self, old: Obj | None, new: Obj | None) -> None:
        if (obj := new or old) is None:
            return
        service = key(obj)
        if old is not None and balancers.is_guarded(old):
            self._guarded.add(service)
        if new is None or FINALIZER not in (new["metadata"].get("finalizers") or ()):
            self._guarded.discard(service)
        self._reconciler.enqueue(service)

    def _node_changed(self, old: Obj | None, new: Obj | None) -> None:
        if (obj := new or old) is not None:
            self.steering.set_node(obj["metadata"]["name"], balanced_node(new) if new else None)

    def _endpoints_changed(self, service: Key) -> None:
        if service in self.steering.balancers:
            self._note_endpoints(service)

    def _note_endpoints(self, service: Key) -> None:
        self.steering.set_endpoints(service, endpoints(self._slices.by_index("service", service)))

    async def _reconcile(self, service: Key) -> float | None:
        obj = self._services.get(service[1], service[0])
        if obj is not None and balancers.is_wanted(obj):
            return await self._ensure(service, obj)
        if obj is None or balancers.needs_cleanup(obj) or service in {*self._programmed, *self._guarded}:
            await self._remove(service, obj)
        else:
            self._note_stranger(service, obj)
        return None

    async def _ensure(self, service: Key, obj: Obj) -> float | None:
        finalizers = obj["metadata"].get("finalizers") or []
        if FINALIZER not in finalizers:
            obj = await self._patch(obj, {"metadata": {"finalizers": [*finalizers, FINALIZER]}})
        # From here to `put` nothing waits, so that a VIP which changes hands does so in one step.
        before, held = self.steering.balancers.get(service), self.pool.held_by(service)
        try:
            request = self._allocation.request(obj)
            balancer = Balancer(request, self._allocation.vips(request, obj))
            if before != balancer:
                self._allocation.check_ports(balancer, held)
            if before is not None and before != balancer:  # an address is free, or a port of one
                self._retry_refused()
        except (Unsupported, VIPUnavailable, PortTaken) as error:
            self._refuse(service, obj, str(error))
            if not self.pool.held_by(service) and balancers.published_vips(obj):
                await self._patch(obj, {"status": {"loadBalancer": None}}, "status")
            return _PORT_RETRY_SECONDS if isinstance(error, PortTaken) else None
        self.refused.pop(service, None)
        self._warn_of_annotations(service, obj)
        if self._programmed.get(service) != balancer:
            if before != balancer:
                self._recorder.event(obj, "Normal", "EnsuringLoadBalancer", "Ensuring load balancer")
            self._note_endpoints(service)
            try:
                await self.steering.put(service, balancer)
            except PlaneError as error:
                self._report_failure(service, obj, str(error))
                raise
            self._programmed[service] = balancer
        published = balancers.publishes(obj, balancer.vips, request.ip_mode)
        if not published:
            obj = await self._patch(
                obj, {"status": balancers.status(balancer.vips, request.ip_mode)}, "status"
            )
        if before != balancer or not published:
            self._recorder.event(obj, "Normal", "EnsuredLoadBalancer", "Ensured load balancer")
        self._note_endpoints(service)
        return self._report_nodes(service, obj, request)

    async def _remove(self, service: Key, obj: Obj | None) -> None:
        """Take the load balancer away: first the packets' way, then the VIP, then the finalizer."""
        cleanup = obj is not None and (balancers.needs_cleanup(obj) or service in self._guarded)
        if obj is not None and cleanup and service in self._programmed:
            self._recorder.event(obj, "Normal", "DeletingLoadBalancer", "Deleting load balancer")
        self.refused.pop(service, None)
        await self.steering.drop(service)
        self._programmed.pop(service, None)
        self._hosts.pop(service, None)
        self._without_nodes.pop(service, None)
        self._ignored.pop(service, None)
        if vips := self.pool.release(service):
            _log.info("Service %s: free VIPs: %s", "/".join(service), ", ".join(map(str, vips)))
            self._retry_refused()
        if obj is None or not cleanup:
            return
        if not (is_deleting(obj) or balancers.is_anothers(obj)) and balancers.published_vips(obj):
            obj = await self._patch(obj, {"status": {"loadBalancer": None}}, "status")
        rest = [name for name in obj["metadata"]["finalizers"] if name != FINALIZER]
        await self._patch(obj, {"metadata": {"finalizers": rest or None}})
        self._recorder.event(obj, "Normal", "DeletedLoadBalancer", "Deleted load balancer")

    def _note_stranger(self, service: Key, obj: Obj) -> None:
        """A Service of another class may hold an address of our pool, as long as its status says so."""
        published = balancers.published_vips(obj)
        if self.pool.release(service, keep=published):
            self._retry_refused()
        for address in published:
            try:
                self.pool.claim(service, address)
            except VIPUnavailable as error:
                _log.debug("Service %s, not ours: %s", "/".join(service), error)

    def _lost(self, obj: Obj, reason: str) -> None:
        """It had an address by its status, and can't keep it."""
        if balancers.is_wanted(obj):
            message = f"The load balancer can't keep its address: {reason}"
            self._recorder.event(obj, "Warning", "LoadBalancerIPLost", message)
            _log.warning("Service %s can't keep its VIP: %s", "/".join(key(obj)), reason)

    def _warn_of_annotations(self, service: Key, obj: Obj) -> None:
        """Once, until they change."""
        ignored = balancers.without_effect(obj)
        if ignored and self._ignored.get(service) != ignored:
            self._recorder.event(obj, "Warning", "AnnotationWithoutEffect", ignored)
        if ignored:
            self._ignored[service] = ignored
        else:
            self._ignored.pop(service, None)

    def _refuse(self, service: Key, obj: Obj, reason: str) -> None:
        if self.refused.get(service) != reason:
            self._report_failure(service, obj, reason)
        self.refused[service] = reason

    def _report_failure(self, service: Key, obj: Obj, reason: str) -> None:
        message = f"Error syncing load balancer: failed to ensure load balancer: {reason}"
        self._recorder.event(obj, "Warning", "SyncLoadBalancerFailed", message)
        _log.warning("Service %s: %s", "/".join(service), reason)

    def _retry_refused(self) -> None:
        """A VIP is free: whoever waits for one is looked at again, the oldest first."""
        waiting = [obj for name in self.refused if (obj := self._services.get(name[1], name[0])) is not None]
        for obj in sorted(waiting, key=_age):
            self._reconciler.enqueue(key(obj))

    def _nodes_changed(self, service: Key) -> None:
        self._reconciler.enqueue(service)

    def _report_nodes(self, service: Key, obj: Obj, request: Request) -> float | None:
        """Tell by events which nodes a Service has. Returns seconds after which to look again."""
        if not request.uses_nodes:
            return None
        names = self.steering.eligible_names(request.check_port)
        now = asyncio.get_running_loop().time()
        if names:
            self._without_nodes.pop(service, None)
        elif (left := self._without_nodes.setdefault(service, now) + _WITHOUT_NODES_SECONDS - now) <= 0:
            self._without_nodes[service] = float("inf")
            message = "There are no available nodes for LoadBalancer"
            self._recorder.event(obj, "Warning", "UnAvailableLoadBalancer", message)
        elif left < float("inf"):
            return left
        # Policy Cluster: events about the nodes themselves tell, once for all Services.
        if request.local and names and self._hosts.get(service, names) != names:
            more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
            message = f"Updated load balancer with new hosts: {', '.join(names[:_MAX_NAMES])}{more}"
            self._recorder.event(obj, "Normal", "UpdatedLoadBalancer", message)
        self._hosts[service] = names
        return None

    def _node_health_changed(self, node: BalancedNode, state: State) -> None:
        obj = self._nodes.get(node.name)
        if obj is None:
            return
        if not state.passing:
            self._unwell.add(node.name)
            message = f"Gets no new load-balanced connections: health check failed: {state.detail}"
            self._recorder.event(obj, "Warning", "LoadBalancerHealthCheckFailed", message)
        elif node.name in self._unwell:
            self._unwell.discard(node.name)
            message = "Gets load-balanced connections again: health check passed"
            self._recorder.event(obj, "Normal", "LoadBalancerHealthCheckPassed", message)

    async def _patch(self, obj: Obj, body: Obj, subresource: str = "") -> Obj:
        metadata = obj["metadata"]
        # On another version of the Service we might decide otherwise: Conflict, and again.
        versioned = {"resourceVersion": metadata["resourceVersion"], **body.get("metadata", {})}
        return await self._client.patch(
            SERVICES,
            metadata["name"],
            {**body, "metadata": versioned},
            metadata["namespace"],
            subresource=subresource,
        )


def _age(service: Obj) -> tuple[str, Key]:
    return service["metadata"].get("creationTimestamp") or "", key(service)
