"""Counters under the names that CoreDNS has for them, so that its dashboards and alerts work."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

BUCKETS = tuple(0.00025 * 2**each for each in range(16))
"""Upper bounds, in seconds: CoreDNS' own."""
_TYPES = frozenset(("A", "AAAA", "ANY", "CNAME", "HTTPS", "MX", "NS", "PTR", "SOA", "SRV", "SVCB", "TXT"))


class Metrics(Collector):
    """Plain numbers, which cost next to nothing to count, and become Prometheus' when somebody asks."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._requests: Counter[tuple[str, str, str, str]] = Counter()
        self._responses: Counter[tuple[str, str]] = Counter()
        self._durations: dict[str, list[int]] = {}
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._forward_durations: dict[tuple[str, str], list[int]] = {}
        self._forward_seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.rejected = 0
        """Forwarded queries that were given up at once, because too many were under way."""

    def answered(self, family: str, protocol: str, type: str, zone: str, rcode: str, seconds: float) -> None:
        """A query was answered: `family` "1" for IPv4 and "2" for IPv6, `protocol` "udp" or "tcp"."""
        self._requests[family, protocol, type if type in _TYPES else "other", zone] += 1
        self._responses[rcode, zone] += 1
        buckets = self._durations.get(zone)
        if buckets is None:
            buckets = self._durations[zone] = [0] * (len(BUCKETS) + 1)
        buckets[bisect_left(BUCKETS, seconds)] += 1
        self._seconds[zone] += seconds

    def forwarded(self, to: str, rcode: str, seconds: float) -> None:
        """Somebody else was asked; `rcode` is empty when no answer came."""
        buckets = self._forward_durations.setdefault((to, rcode), [0] * (len(BUCKETS) + 1))
        buckets[bisect_left(BUCKETS, seconds)] += 1
        self._forward_seconds[to, rcode] += seconds

    def text(self) -> bytes:
        """The exposition format."""
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "coredns_dns_requests",
            "DNS requests, by zone, protocol, family and type.",
            labels=("server", "zone", "view", "proto", "family", "type"),
        )
        for (family, protocol, type_, zone), count in self._requests.items():
            requests.add_metric((self._server, zone, "", protocol, family, type_), count)
        yield requests
        responses = CounterMetricFamily(
            "coredns_dns_responses",
            "DNS responses, by zone and code.",
            labels=("server", "zone", "view", "rcode", "plugin"),
        )
        for (rcode, zone), count in self._responses.items():
            plugin = "forward" if zone == "." else "kubernetes"
            responses.add_metric((self._server, zone, "", rcode, plugin), count)
        yield responses
        durations = HistogramMetricFamily(
            "coredns_dns_request_duration_seconds",
            "Seconds from reading a request to having its response.",
            labels=("server", "zone", "view"),
        )
        for zone, buckets in self._durations.items():
            durations.add_metric((self._server, zone, ""), _cumulative(buckets), self._seconds[zone])
        yield durations
        forwards = HistogramMetricFamily(
            "coredns_forward_request_duration_seconds",
            "Seconds that another resolver took; without a code when it said nothing.",
            labels=("to", "rcode"),
        )
        for (to, rcode), buckets in self._forward_durations.items():
            forwards.add_metric((to, rcode), _cumulative(buckets), self._forward_seconds[to, rcode])
        yield forwards
        rejects = CounterMetricFamily(
            "coredns_forward_max_concurrent_rejects",
            "Queries that weren't forwarded because too many were under way.",
        )
        rejects.add_metric((), self.rejected)
        yield rejects


def _cumulative(buckets: list[int]) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    total = 0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), buckets, strict=True):
        total += count
        found.append((bound, total))
    return found
