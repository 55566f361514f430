"""The rows of the table, from what was measured with one number of Services."""

from __future__ import annotations

import statistics

from bench.measure import Result, median
from bench.proxy.connections import Connections
from bench.proxy.newcomers import Followed
from bench.proxy.sync import Sync

NAMES = ("one Service", "many", "directly")
"""Of the targets that connections are made to."""


def of_syncs(services: str, syncs: list[Sync]) -> list[Result]:
    changes = [1000 * each for sync in syncs for each in sync.changes]
    return [
        median(
            f"{services}: first sync",
            [each.sync for each in syncs],
            "s",
            "service map to kernel, in process",
        ),
        median(
            f"{services}: first sync, objects at hand",
            [each.read + each.sync for each in syncs],
            "s",
            "raw API objects to kernel, in process",
        ),
        median(f"{services}: one change", changes, "ms", "raw EndpointSlice to kernel, in process"),
        _p99(f"{services}: one change, p99", changes, "ms", "the same"),
    ]


def of_connections(services: str, found: dict[str, Connections]) -> list[Result]:
    one, many, directly = (found[name] for name in NAMES)
    rows = [
        median(f"{services}: new connections", many.rates, "1/s", "TCP, pod to ClusterIP, one at a time"),
        Result(
            f"{services}: new connections ÷ at 1 Service",
            many.ratio(one),
            "",
            "rounds in turn; median of ratios",
        ),
        Result(
            f"{services}: new connections ÷ directly to the pod",
            many.ratio(directly),
            "",
            "rounds in turn; median of ratios",
        ),
    ]
    for name, each in (
        (f"{services}: first packet", many),
        ("1 Service: first packet", one),
        ("directly: first packet", directly),
    ):
        rows += [
            Result(f"{name}, p{percent}", each.percentile(percent) * 1e6, "µs", "SYN to SYN/ACK, `connect`")
            for percent in (50, 99)
        ]
    return rows


def of_process(services: str, found: Followed, server: str) -> list[Result]:
    newcomers = [1000 * each for each in found.newcomers]
    how = f"API's answer to accepted connection; API server: {server}"
    return [
        Result(
            f"{services}: the process's first sync",
            found.first_sync.seconds,
            "s",
            f"as it logs it, {found.first_sync.service_ports} Service ports",
        ),
        Result(
            f"{services}: process start to first sync", found.from_start, "s", "Python, lists, reading, sync"
        ),
        median(f"{services}: one new Service", newcomers, "ms", how),
        _p99(f"{services}: one new Service, p99", newcomers, "ms", "the same"),
        Result(f"{services}: resident memory", found.resident, "MiB", "Rss of the process, after all that"),
    ]


def _p99(name: str, samples: list[float], unit: str, method: str) -> Result:
    value = statistics.quantiles(samples, n=100)[98] if len(samples) > 1 else samples[0]
    return Result(name, value, unit, method)
