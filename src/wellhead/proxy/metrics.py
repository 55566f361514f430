"""The proxy's metrics, under kube-proxy's names and labels, so that dashboards and alerts carry over.

Source: the metrics reference of Kubernetes 1.37. kube-proxy's two that count packets by nfacct have no
counterpart here.
"""

from __future__ import annotations

import platform
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

import wellhead
from wellhead.ip import Family
from wellhead.proxy.mode import MODES, ProxyMode

_M = TypeVar("_M", Counter, Gauge, Histogram)

_SYNC_BUCKETS = [0.001 * 2**each for each in range(15)]
_PROGRAMMING_BUCKETS = [0.25, 0.5, *range(1, 60), *range(60, 120, 5), *range(120, 301, 30)]
_REQUEST_BUCKETS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60]
_FAMILY = ("ip_family",)
_GO_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def of_family(metric: _M, family: Family) -> _M:
    """The child of a metric for one family, which kube-proxy labels `IPv4` or `IPv6`."""
    return metric.labels(ip_family=family_label(family))


def family_label(family: Family) -> str:
    """A family as metrics name it."""
    return f"IPv{family.value}"


class Metrics:
    """One proxy's metrics, in a registry of their own. Those of the other mode are not shown, as upstream."""

    def __init__(self, mode: ProxyMode = "iptables") -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # kube-proxy has no …_created series beside every counter
        self.registry = CollectorRegistry()
        hidden = CollectorRegistry()
        of_iptables, of_nftables = (self.registry if each == mode else hidden for each in MODES)

        def counter(
            name: str, text: str, labels: tuple[str, ...], registry: CollectorRegistry | None = None
        ) -> Counter:
            return Counter(f"kubeproxy_{name}", text, labels, registry=registry or self.registry)

        def gauge(
            name: str, text: str, labels: tuple[str, ...], registry: CollectorRegistry | None = None
        ) -> Gauge:
            return Gauge(f"kubeproxy_{name}", text, labels, registry=registry or self.registry)

        def histogram(
            name: str, text: str, buckets: list[float], registry: CollectorRegistry | None = None
        ) -> Histogram:
            return Histogram(
                f"kubeproxy_{name}", text, _FAMILY, buckets=buckets, registry=registry or self.registry
            )

        self.sync_duration = histogram(
            "sync_proxy_rules_duration_seconds", "How long a sync took, in seconds", _SYNC_BUCKETS
        )
        self.full_sync_duration = histogram(
            "sync_full_proxy_rules_duration_seconds",
            "How long a sync that compared all rules took, in seconds",
            _SYNC_BUCKETS,
            of_iptables,
        )
        self.partial_sync_duration = histogram(
            "sync_partial_proxy_rules_duration_seconds",
            "How long a sync of changes alone took, in seconds",
            _SYNC_BUCKETS,
            of_iptables,
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
            "sync_proxy_rules_endpoint_changes", "EndpointSlice changes since the start", ()
        )
        self.endpoint_changes_pending = gauge(
            "sync_proxy_rules_endpoint_changes_pending", "EndpointSlice changes that are not in force yet", ()
        )
        self.service_changes = counter(
            "sync_proxy_rules_service_changes", "Service changes since the start", ()
        )
        self.service_changes_pending = gauge(
            "sync_proxy_rules_service_changes_pending", "Service changes that are not in force yet", ()
        )
        self.no_local_endpoints = gauge(
            "sync_proxy_rules_no_local_endpoints_total",
            "Service ports whose Local traffic policy finds endpoints on other nodes only",
            ("ip_family", "traffic_policy"),
        )
        self.iptables_rules = gauge(
            "sync_proxy_rules_iptables_total", "Rules in our chains", ("ip_family", "table"), of_iptables
        )
        self.iptables_rules_written = gauge(
            "sync_proxy_rules_iptables_last",
            "Rules written by the last sync",
            ("ip_family", "table"),
            of_iptables,
        )
        self.restore_failures = counter(
            "sync_proxy_rules_iptables_restore_failures",
            "Times that iptables-restore failed",
            _FAMILY,
            of_iptables,
        )
        self.partial_restore_failures = counter(
            "sync_proxy_rules_iptables_partial_restore_failures",
            "Times that iptables-restore failed on changes alone, after which all rules are compared",
            _FAMILY,
            of_iptables,
        )
        self.nftables_sync_failures = counter(
            "sync_proxy_rules_nftables_sync_failures",
            "Times that a sync failed, in either family",
            _FAMILY,
            of_nftables,
        )
        self.nftables_cleanup_failures = counter(
            "sync_proxy_rules_nftables_cleanup_failures",
            "Times that leftovers could not be removed",
            _FAMILY,
            of_nftables,
        )
        self.conntrack_duration = histogram(
            "conntrack_reconciler_sync_duration_seconds",
            "How long it took to find and delete outdated conntrack entries, in seconds",
            _SYNC_BUCKETS,
        )
        self.conntrack_deleted = counter(
            "conntrack_reconciler_deleted_entries", "Conntrack entries deleted because outdated", _FAMILY
        )
        self.foreign_masquerades = Gauge(
            "wellhead_proxy_foreign_masquerades",
            "Others' rules that would replace the source of connections that the proxy leaves alone;"
            " outcome: kept (the proxy claims the source first) or hidden",
            ("ip_family", "outcome"),
            registry=self.registry,
        )
        self.healthz = counter("proxy_healthz", "Answers of /healthz, by HTTP status code", ("code",))
        self.livez = counter("proxy_livez", "Answers of /livez, by HTTP status code", ("code",))
        self.requests = Counter(
            "rest_client_requests",
            "Requests to the API server",
            ("code", "host", "method"),
            registry=self.registry,
        )
        self.request_duration = Histogram(
            "rest_client_request_duration_seconds",
            "How long the API server took to answer, in seconds; to a watch, to begin",
            ("host", "verb"),
            buckets=_REQUEST_BUCKETS,
            registry=self.registry,
        )
        _add_build_info(self.registry)
        ProcessCollector(registry=self.registry)

    def begin(self, family: Family) -> None:
        """Show failures from the start, as 0: of a series that begins with 1, Prometheus sees no increase."""
        for each in (
            self.restore_failures,
            self.partial_restore_failures,
            self.nftables_sync_failures,
            self.nftables_cleanup_failures,
        ):
            of_family(each, family)

    def render(self) -> bytes:
        """All metrics, in Prometheus' text format."""
        return generate_latest(self.registry)


def _add_build_info(registry: CollectorRegistry) -> None:
    """kubernetes_build_info: of wellhead, which is what runs here; with Python in place of Go."""
    major, minor, *_ = wellhead.__version__.split(".")
    values = {
        "major": major,
        "minor": minor,
        "git_version": f"v{wellhead.__version__}+wellhead",
        "git_commit": "",
        "git_tree_state": "",
        "build_date": "",
        "go_version": "",
        "compiler": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"linux/{_GO_MACHINES.get(platform.machine(), platform.machine())}",
    }
    info = Gauge("kubernetes_build_info", "What runs here", tuple(values), registry=registry)
    info.labels(**values).set(1)
