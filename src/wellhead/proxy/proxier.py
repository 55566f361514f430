"""One sync, from the view to the kernel, and what has to follow it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from wellhead.client.collector import lasting, settle
from wellhead.ip import Family
from wellhead.proxy import stale_flows
from wellhead.proxy.backends.base import Backend, BackendError
from wellhead.proxy.fallbacks import Fallbacks
from wellhead.proxy.health import ProxyHealth
from wellhead.proxy.health_ports import HealthCheckPorts
from wellhead.proxy.metrics import Metrics, family_label, of_family
from wellhead.proxy.modes import remove_others
from wellhead.proxy.sync import SyncFailed
from wellhead.proxy.watches import Watches
from wellhead.services.names import FrontendKind, PortKey
from wellhead.services.node_view import NodeView, ViewDiff
from wellhead.services.view import Action, PortView

log = logging.getLogger(__name__)


class Proxier:
    """Keeps the kernel, conntrack, the health-check ports and the metrics in step with a view."""

    def __init__(
        self,
        view: NodeView,
        backend: Backend,
        families: tuple[Family, ...],
        watches: Watches,
        health: ProxyHealth,
        ports: HealthCheckPorts,
        metrics: Metrics,
        node_ports_on_loopback: Callable[[], bool] | None,
        fallbacks: Fallbacks,
    ) -> None:
        self._view = view
        self._backend = backend
        self._families = families
        self._watches = watches
        self._health = health
        self._ports = ports
        self._metrics = metrics
        self._enable_loopback = node_ports_on_loopback
        self._fallbacks = fallbacks
        self._synced_before = False
        self.begun = asyncio.Event()
        """Set once the first sync is in force."""
        self._unsettled: dict[PortKey, tuple[PortView | None, PortView | None]] = {}
        self._without_local: dict[str, set[PortKey]] = {"internal": set(), "external": set()}

    async def sync(self) -> None:
        """Put everything that changed in force.

        Raises:
            SyncFailed: part of it is not; call again.
        """
        if self._synced_before:
            await self._sync()
            return
        started = time.perf_counter()
        with lasting():
            service_ports = await self._sync()
        self._synced_before = True
        seconds = time.perf_counter() - started
        told = {"service_ports": service_ports, "seconds": round(seconds, 6)}
        log.info("first sync: %d Service ports in %.3f s", service_ports, seconds, extra=told)
        await self._remove_leftovers()
        settle()
        self.begun.set()

    async def _sync(self) -> int:
        """Put everything that changed in force. Returns how many Service ports that was."""
        started = time.perf_counter()
        triggers = self._watches.take_triggers()
        diff = self._view.update()
        self._prepare(diff)
        self._fallbacks.update(diff)
        try:
            await self._backend.apply(diff)
        except BackendError as error:
            self._count_failure()
            raise SyncFailed(str(error)) from error
        finally:
            self._ports.update(diff.health_checks)
        await self._settle_flows()
        self._health.synced()
        self._measure(time.perf_counter() - started, triggers)
        return len(diff.ports)

    async def check(self) -> None:
        """Put back what others removed or changed.

        Raises:
            SyncFailed: it can't be; call again.
        """
        if not self._synced_before:
            return
        self._ports.refresh()
        try:
            if await self._backend.check():
                log.warning("rules had been changed by others: restored")
        except BackendError as error:
            self._count_failure()
            raise SyncFailed(str(error)) from error

    def _count_failure(self) -> None:
        for family in self._families if self._backend.mode == "nftables" else ():
            of_family(self._metrics.nftables_sync_failures, family).inc()

    def _prepare(self, diff: ViewDiff) -> None:
        for key, (before, after) in diff.ports.items():
            if stale_flows.may_be_to(before) or stale_flows.may_be_to(after):
                if key in self._unsettled:
                    before = self._unsettled[key][0]
                self._unsettled[key] = (before, after)
            self._count_without_local(key, after)
            if self._enable_loopback and after is not None and key.family is Family.IPV4:
                kinds = {each.kind for each in after.frontends}
                if FrontendKind.NODE_PORT in kinds:
                    self._enable_loopback()
                    self._enable_loopback = None  # once is enough

    async def _settle_flows(self) -> None:
        """Forget the flows that the changes since the last success have made stale."""
        for family in self._families:
            valid = stale_flows.valid_flows(family, self._unsettled.values())
            early = stale_flows.dialled_early(family, self._unsettled.values())
            if not valid and not early:
                continue
            with of_family(self._metrics.conntrack_duration, family).time():
                try:
                    deleted = await stale_flows.delete_stale_flows(family, valid)
                    deleted += await stale_flows.delete_early_flows(family, early)
                except OSError as error:
                    raise SyncFailed(f"stale flows can't be removed from conntrack: {error}") from error
            of_family(self._metrics.conntrack_deleted, family).inc(deleted)
            if deleted:
                log.info("forgot %d stale %s flows", deleted, family_label(family))
        self._unsettled.clear()

    async def _remove_leftovers(self) -> None:
        for what in (self._backend.remove_leftovers(), remove_others(self._backend.mode)):
            try:
                await what
            except (BackendError, OSError) as error:
                log.error("rules of an earlier proxy could not be removed: %s", error)
                for family in self._families if self._backend.mode == "nftables" else ():
                    of_family(self._metrics.nftables_cleanup_failures, family).inc()

    def _count_without_local(self, key: PortKey, view: PortView | None) -> None:
        for policy, ports in self._without_local.items():
            routing = None if view is None else view.internal if policy == "internal" else view.external
            if routing is not None and routing.others.action is Action.DROP:
                ports.add(key)
            elif ports:
                ports.discard(key)

    def _measure(self, seconds: float, triggers: list[float]) -> None:
        now = time.time()
        for family in self._families:
            of_family(self._metrics.sync_duration, family).observe(seconds)
            of_family(self._metrics.last_sync, family).set(now)
            for triggered in triggers:
                of_family(self._metrics.network_programming, family).observe(max(0.0, now - triggered))
            for policy, ports in self._without_local.items():
                count = sum(key.family is family for key in ports)
                self._metrics.no_local_endpoints.labels(
                    ip_family=family_label(family), traffic_policy=policy
                ).set(count)
