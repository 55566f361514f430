"""What the server counts, under kube-apiserver's metric names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from wellhead.api.limits import Limits
from wellhead.apiserver.info import RequestInfo
from wellhead.storage.cache import WatchCache

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (
    0.005,
    0.025,
    0.05,
    0.1,
    0.2,
    0.4,
    0.6,
    0.8,
    1,
    1.25,
    1.5,
    2,
    3,
    4,
    5,
    6,
    8,
    10,
    15,
    20,
    30,
    45,
    60,
)
_LABELS = ("verb", "group", "version", "resource", "subresource", "scope")
# Clients may call a method as they like; each name would be a time series of its own.
_VERBS = frozenset(
    {
        "create",
        "delete",
        "deletecollection",
        "get",
        "head",
        "list",
        "options",
        "patch",
        "post",
        "put",
        "update",
        "watch",
    }
)


class Metrics:
    """The metrics of one server."""

    def __init__(self, cache: WatchCache) -> None:
        self.registry = CollectorRegistry()
        """For what others count."""
        self._requests = Counter(
            "apiserver_request_total",
            "Requests by verb, resource and HTTP code.",
            (*_LABELS, "code"),
            registry=self.registry,
        )
        self._durations = Histogram(
            "apiserver_request_duration_seconds",
            "Time to answer a request that isn't a watch or a stream.",
            _LABELS,
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.inflight = Gauge(
            "apiserver_current_inflight_requests",
            "Requests that are being answered.",
            registry=self.registry,
        )
        self.defects = Counter(
            "apiserver_defects_total",
            "Requests that made the server fail in a way that nobody foresaw; the log has the traceback.",
            registry=self.registry,
        )
        self._refused = Counter(
            "apiserver_refused_requests_total",
            "Requests that were above one of the server's limits, by the limit.",
            ("limit",),
            registry=self.registry,
        )
        for field in fields(Limits):
            self._refused.labels(field.name.replace("_", "-"))
        self._of_cache = _CacheCollector(cache)
        self.registry.register(self._of_cache)
        self._count = lru_cache(maxsize=4096)(self._requests.labels)
        self._duration = lru_cache(maxsize=1024)(self._durations.labels)

    def observe(self, info: RequestInfo, code: int, seconds: float) -> None:
        """Count a request that was answered."""
        resource = info.resource
        verb = info.verb.upper() if info.verb in _VERBS else "OTHER"
        if resource is None:
            labels = (verb, "", "", "", "", "")
        else:
            scope = "resource" if info.name else "namespace" if info.namespace else "cluster"
            labels = (
                verb,
                resource.group,
                resource.version,
                resource.plural,
                info.subresource,
                scope,
            )
        self._count(*labels, code).inc()
        if not info.is_long_running:
            self._duration(*labels).observe(seconds)

    def forget(self, group: str, plural: str) -> None:
        """A custom kind is gone: its series go, or there would be no end of them."""
        for counted in (self._requests, self._durations):
            counted.remove_by_labels({"group": group, "resource": plural})
        for kept in (self._count, self._duration):
            kept.cache_clear()
        self._of_cache.gone.add(f"{group}/{plural}")

    def refused(self, limit: str) -> None:
        """Count a request that was above this limit."""
        self._refused.labels(limit).inc()

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)


class _CacheCollector(Collector):
    """Reads the watch cache's numbers when somebody asks for them."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self.gone: set[str] = set()
        """Custom kinds that were there, by their storage prefix; they may have come back."""

    def collect(self) -> Iterable[Metric]:
        objects = GaugeMetricFamily(
            "apiserver_storage_objects", "Objects that are stored.", labels=["resource"]
        )
        watchers = GaugeMetricFamily(
            "apiserver_longrunning_requests", "Watches that are open.", labels=["verb", "resource"]
        )
        collections = [
            (resource, collection)
            for resource, collection in self._cache.collections()
            if resource not in self.gone or len(collection) or collection.watchers
        ]
        for resource, collection in collections:
            objects.add_metric([resource], len(collection))
            watchers.add_metric(["WATCH", resource], collection.watchers)
        terminated = CounterMetricFamily(
            "apiserver_terminated_watchers",
            "Watches that were cut off, because their clients didn't read.",
            labels=["resource"],
        )
        for resource, collection in collections:
            terminated.add_metric([resource], collection.cut_off)
        revision = GaugeMetricFamily("apiserver_storage_revision", "The latest revision.")
        revision.add_metric([], self._cache.revision)
        return objects, watchers, terminated, revision
