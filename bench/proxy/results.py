"""The rows of the table, from what was measured with one number of Services."""

from __future__ import annotations

import statistics

from bench.measure import Result, median
from bench.proxy.connections import Connections
from bench.proxy.newcomers import Followed
from bench.proxy.sync import Sync

ONE, MANY, DIRECTLY = "at 1 Service", "here", "directly to the pod"
"""Where connections are made to."""


def of_syncs(syncs: list[Sync]) -> list[Result]:
    changes = [1000 * each for sync in syncs for each in sync.changes]
    at_hand = [each.read + each.sync for each in syncs]
    return [
        median("first sync", [each.sync for each in syncs], "s", "service map to kernel, in process"),
        median("first sync, objects at hand", at_hand, "s", "objects as JSON to kernel, in process"),
        median("the same, CPU time", [each.cpu for each in syncs], "s", "what other load delays least"),
        median("one change", changes, "ms", "EndpointSlice as JSON to kernel, in process"),
        _p99("one change, p99", changes, "ms"),
    ]


def of_connections(found: dict[str, Connections]) -> list[Result]:
    rates = found[MANY].rates
    rows = [median("new connections", rates, "1/s", "TCP, pod to ClusterIP, one at a time")]
    for other in (ONE, DIRECTLY):
        ratio = found[MANY].ratio(found[other])
        rows.append(Result(f"÷ the same {other}", ratio, "", "rounds in turn; median of ratios"))
    for where, each in found.items():
        rows += [
            Result(f"first packet, {where}, p{p}", each.percentile(p) * 1e6, "µs", "SYN to SYN/ACK: connect")
            for p in (50, 99)
        ]
    return rows


def of_process(found: Followed, server: str) -> list[Result]:
    newcomers = [1000 * each for each in found.newcomers]
    return [
        Result("the process's first sync", found.first_sync.seconds, "s", "as it logs it"),
        Result("process start to synced", found.from_start, "s", "Python, lists, reading, sync"),
        median("one new Service", newcomers, "ms", f"API's answer to accepted connection; {server}"),
        _p99("one new Service, p99", newcomers, "ms"),
        Result("resident memory", found.resident, "MB", "of the process, after all that (VmRSS)"),
        Result("resident memory, peak", found.peak, "MB", "of the process, since its start (VmHWM)"),
    ]


def _p99(name: str, samples: list[float], unit: str) -> Result:
    value = statistics.quantiles(samples, n=100)[98] if len(samples) > 1 else samples[0]
    return Result(name, value, unit, f"of {len(samples)}")
