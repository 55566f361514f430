"""What flow control counts, under upstream's names; read when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from wellhead.apiserver.flowcontrol.control import FlowControl
from wellhead.apiserver.flowcontrol.level import BUCKETS, Level, Statistics

_BOTH = ("priority_level", "flow_schema")


class FlowControlMetrics(Collector):
    """Of one server's flow control."""

    def __init__(self, control: FlowControl) -> None:
        self._control = control

    def collect(self) -> Iterable[Metric]:
        yield from self._of_levels()
        yield from self._of_schemas()

    def _of_levels(self) -> Iterator[Metric]:
        about: tuple[tuple[str, str, Callable[[Level], int]], ...] = (
            ("nominal_limit_seats", "Seats of each level by its shares.", lambda level: level.seats.nominal),
            ("lower_limit_seats", "Seats that a level keeps.", lambda level: level.seats.lower),
            ("upper_limit_seats", "Seats that a level may have.", lambda level: level.seats.upper),
            (
                "current_limit_seats",
                "Seats that a level has or may take now.",
                lambda level: max(level.seats.nominal, level.taken),
            ),
        )
        for name, text, value in about:
            family = GaugeMetricFamily(f"apiserver_flowcontrol_{name}", text, labels=["priority_level"])
            for level in self._control.levels.values():
                family.add_metric([level.name], value(level))
            yield family

    def _of_schemas(self) -> Iterator[Metric]:
        found = self._control.statistics.items()
        dispatched = CounterMetricFamily(
            "apiserver_flowcontrol_dispatched_requests", "Requests that were let in.", labels=_BOTH
        )
        rejected = CounterMetricFamily(
            "apiserver_flowcontrol_rejected_requests",
            "Requests that were turned away.",
            labels=[*_BOTH, "reason"],
        )
        for labels, each in found:
            dispatched.add_metric(labels, each.dispatched)
            for reason, count in each.rejected.items():
                rejected.add_metric([*labels, reason], count)
        yield dispatched
        yield rejected
        about: tuple[tuple[str, str, Callable[[Statistics], int]], ...] = (
            ("current_inqueue_requests", "Requests that wait.", lambda each: each.waiting),
            ("current_inqueue_seats", "Seats that are waited for.", lambda each: each.waiting_seats),
            ("current_executing_requests", "Requests that are worked on.", lambda each: each.executing),
            ("current_executing_seats", "Seats that they occupy.", lambda each: each.seats),
        )
        for name, text, value in about:
            family = GaugeMetricFamily(f"apiserver_flowcontrol_{name}", text, labels=_BOTH)
            for labels, each in found:
                family.add_metric(labels, value(each))
            yield family
        waits = HistogramMetricFamily(
            "apiserver_flowcontrol_request_wait_duration_seconds",
            "Time in a queue, of requests that had to wait.",
            labels=_BOTH,
        )
        durations = HistogramMetricFamily(
            "apiserver_flowcontrol_request_execution_seconds",
            "Time for which requests occupied their seats.",
            labels=_BOTH,
        )
        for labels, each in found:
            waits.add_metric(labels, _buckets(each.waits), each.waited)
            durations.add_metric(labels, _buckets(each.durations), each.seconds)
        yield waits
        yield durations


def _buckets(counts: list[int]) -> list[tuple[str, float]]:
    found, total = [], 0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
        total += count
        found.append((bound, float(total)))
    return found
