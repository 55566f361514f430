"""/metrics/probes: how the probes of the pods that are there went. Counts go with their pods.

Source: pkg/kubelet/prober/prober_manager.go of v1.36.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from wellhead.node.pods.state import PodState

_LABELS = ["probe_type", "result", "container", "pod", "namespace", "pod_uid"]


class ProbeMetrics(Collector):
    """Of these pods."""

    def __init__(self, states: Callable[[], Iterable[PodState]]) -> None:
        self._states = states

    def collect(self) -> Iterator[Metric]:
        """What has been counted so far."""
        family = CounterMetricFamily(
            "prober_probe",
            "Cumulative number of a liveness, readiness or startup probe for a container by result.",
            labels=_LABELS,
        )
        for state in self._states():
            metadata = state.pod["metadata"]
            for (container, kind, result), count in sorted(dict(state.probes).items()):
                names = [container, metadata["name"], metadata["namespace"], metadata["uid"]]
                family.add_metric([kind, result, *names], count)
        yield family
