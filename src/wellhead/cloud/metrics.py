"""What can be scraped. Names of what upstream's service controller has too are upstream's."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily

from wellhead.cloud.controller import Controller
from wellhead.cloud.health import Outcome
from wellhead.health import Health
from wellhead.health_server import Results

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counts as things happen; the rest is looked up in the controller when somebody asks."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._state = _State()
        self._registry.register(self._state)
        self._checks = Counter(
            "wellhead_cloud_health_checks",
            "Health checks done, by result.",
            ["result"],
            registry=self._registry,
        )
        self._changes = Counter(
            "wellhead_cloud_forwarder_changes",
            "Transactions of the forwarder, by result.",
            ["result"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "wellhead_cloud_forwarder_change_duration_seconds",
            "How long the forwarder's transactions took.",
            buckets=_SECONDS,
            registry=self._registry,
        )

        self._proxy_changes = Counter(
            "wellhead_cloud_proxy_changes",
            "Changes of the terminating proxy, by kind (start, reload, commands) and result.",
            ["kind", "result"],
            registry=self._registry,
        )
        self._proxy_seconds = Histogram(
            "wellhead_cloud_proxy_change_duration_seconds",
            "How long the terminating proxy's changes took, by kind.",
            ["kind"],
            buckets=_SECONDS,
            registry=self._registry,
        )

    def tell(self, health: Health) -> None:
        """Add each health check's result."""
        self._registry.register(Results(health))

    def count_check(self, outcome: Outcome) -> None:
        self._checks.labels(outcome.value).inc()

    def observe_change(self, seconds: float, succeeded: bool) -> None:
        self._changes.labels("success" if succeeded else "error").inc()
        self._seconds.observe(seconds)

    def observe_proxy_change(self, kind: str, seconds: float, succeeded: bool) -> None:
        self._proxy_changes.labels(kind, "success" if succeeded else "error").inc()
        self._proxy_seconds.labels(kind).observe(seconds)

    def follow(self, controller: Controller | None) -> None:
        """Add what this controller knows; None while another process controls."""
        self._state.controller = controller

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)


class _State:
    """A collector: prometheus-client calls it at every scrape."""

    def __init__(self) -> None:
        self.controller: Controller | None = None

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        yield GaugeMetricFamily(
            "wellhead_cloud_leader", "Whether this process controls.", float(self.controller is not None)
        )
        if self.controller is None:
            return
        controller, steering = self.controller, self.controller.steering
        labels = ["pool", "ip_family"]
        vips = GaugeMetricFamily("wellhead_cloud_vips", "VIPs to be given.", labels=labels)
        in_use = GaugeMetricFamily("wellhead_cloud_vips_in_use", "VIPs held by Services.", labels=labels)
        for each in controller.pool.usage():
            whose = [each.pool, f"IPv{each.version}"]
            vips.add_metric(whose, each.size)
            in_use.add_metric(whose, each.held)
        yield vips
        yield in_use
        yield GaugeMetricFamily(
            "wellhead_cloud_load_balancers", "Load balancers that exist.", len(steering.balancers)
        )
        yield GaugeMetricFamily(
            "wellhead_cloud_load_balancers_refused",
            "Services whose load balancer can't be had now.",
            len(controller.refused),
        )
        if controller.proxy is not None:
            yield GaugeMetricFamily(
                "wellhead_cloud_proxy_up",
                "Whether the terminating proxy's HAProxy runs; it is started for the first Service.",
                float(controller.proxy.haproxy.pid is not None),
            )
            yield GaugeMetricFamily(
                "wellhead_cloud_proxy_sockets_kept",
                "Whether new connections would wait, and not be refused, if HAProxy ended now.",
                float(controller.proxy.kept),
            )
        passing = GaugeMetricFamily(
            "wellhead_cloud_health_check_passing",
            "Whether a node passes a health check.",
            labels=["node", "port"],
        )
        for check, state in steering.monitor.states().items():
            if state.passing is not None:
                passing.add_metric([str(check.node), str(check.port)], float(state.passing))
        yield passing
