"""The proxy's metrics, under kube-proxy's names and labels, so that dashboards and alerts carry over."""

from __future__ import annotations

from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from wellhead.services.family import Family

_M = TypeVar("_M", Counter, Gauge, Histogram)

_SYNC_BUCKETS = [0.001 * 2**each for each in range(15)]
_PROGRAMMING_BUCKETS = [0.25, 0.5, *range(1, 60), *range(60, 120, 5), *range(120, 301, 30)]
_FAMILY = ("ip_family",)


def of_family(metric: _M, family: Family) -> _M:
    """The child of a metric for one family, which kube-proxy labels `IPv4` or `IPv6`."""
    return metric.labels(ip_family=family_label(family))


def family_label(family: Family) -> str:
    """A family as metrics name it."""
    return f"IPv{family.value}"


class Metrics:
    """One proxy's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, labels: tuple[str, ...]) -> Counter:
            return Counter(f"kubeproxy_{name}", text, labels, registry=self.registry)

        def gauge(name: str, text: str, labels: tuple[str, ...]) -> Gauge:
            return Gauge(f"kubeproxy_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str, buckets: list[float]) -> Histogram:
            return Histogram(f"kubeproxy_{name}", text, _FAMILY, buckets=buckets, registry=self.registry)

        self.sync_duration = histogram(
            "sync_proxy_rules_duration_seconds", "How long a sync took, in seconds", _SYNC_BUCKETS
        )
        self.full_sync_duration = histogram(
            "sync_full_proxy_rules_duration_seconds",
            "How long a sync that compared all rules took, in seconds",
            _SYNC_BUCKETS,
        )
        self.partial_sync_duration = histogram(
            "sync_partial_proxy_rules_duration_seconds",
            "How long a sync of changes alone took, in seconds",
            _SYNC_BUCKETS,
        )
        self.network_programming = histogram(
            "network_programming_duration_seconds",
            "From a change of a pod or Service to its rules being in force, in seconds",
            _PROGRAMMING_BUCKETS,
        )
        self.last_sync = gauge(
            "sync_proxy_rules_last_timestamp_seconds", "When a sync last succeeded, in Unix seconds", _FAMILY
        )
        self.last_queued = gauge(
            "sync_proxy_rules_last_queued_timestamp_seconds",
            "When a sync was last asked for, in Unix seconds",
            _FAMILY,
        )
        self.endpoint_changes = counter(
            "sync_proxy_rules_endpoint_changes", "EndpointSlice changes since the start", _FAMILY
        )
        self.endpoint_changes_pending = gauge(
            "sync_proxy_rules_endpoint_changes_pending",
            "EndpointSlice changes that are not in force yet",
            _FAMILY,
        )
        self.service_changes = counter(
            "sync_proxy_rules_service_changes", "Service changes since the start", _FAMILY
        )
        self.service_changes_pending = gauge(
            "sync_proxy_rules_service_changes_pending", "Service changes that are not in force yet", _FAMILY
        )
        self.no_local_endpoints = gauge(
            "sync_proxy_rules_no_local_endpoints_total",
            "Service ports whose Local traffic policy finds endpoints on other nodes only",
            ("ip_family", "traffic_policy"),
        )
        self.iptables_rules = gauge(
            "sync_proxy_rules_iptables_total", "Rules in our chains", ("ip_family", "table")
        )
        self.iptables_rules_written = gauge(
            "sync_proxy_rules_iptables_last", "Rules written by the last sync", ("ip_family", "table")
        )
        self.restore_failures = counter(
            "sync_proxy_rules_iptables_restore_failures", "Times that iptables-restore failed", _FAMILY
        )
        self.conntrack_duration = histogram(
            "conntrack_reconciler_sync_duration_seconds",
            "How long it took to find and delete outdated conntrack entries, in seconds",
            _SYNC_BUCKETS,
        )
        self.conntrack_deleted = counter(
            "conntrack_reconciler_deleted_entries", "Conntrack entries deleted because outdated", _FAMILY
        )
        self.healthz = counter("proxy_healthz", "Answers of /healthz, by HTTP status code", ("code",))
        self.livez = counter("proxy_livez", "Answers of /livez, by HTTP status code", ("code",))

    def render(self) -> bytes:
        """All metrics, in Prometheus' text format."""
        return generate_latest(self.registry)
