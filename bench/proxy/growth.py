"""How syncs and changes grow with the number of Services, in process, in both modes."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.proxy import sync
from bench.proxy.network import namespace
from bench.proxy.plot import Line, plot
from wellhead.proxy.mode import ProxyMode

Values = tuple[tuple[int, float], ...]
"""(Services, seconds), by Services."""

_SIZES: dict[ProxyMode, tuple[int, ...]] = {
    "nftables": (100, 1_000, 5_000, 10_000, 20_000, 50_000),
    "iptables": (100, 1_000, 5_000, 10_000),
}
# kube-proxy 1.36.2 on a machine of this kind, measured by hand: (Services, seconds).
_KUBE_PROXY_SYNC: Mapping[str, Values] = {
    "kube-proxy, nftables": ((5_000, 3.4), (10_000, 39.0)),
    "kube-proxy, iptables (legacy)": ((10_000, 1.6),),
}
_KUBE_PROXY_CHANGE: Mapping[str, Values] = {
    "kube-proxy, nftables": ((10_000, 4.2),),
    "kube-proxy, iptables (legacy)": ((10_000, 0.7),),
}


@dataclass(frozen=True)
class Point:
    """What was measured with one number of Services. Seconds."""

    mode: str
    services: int
    first_sync: float
    """Raw API objects to kernel."""
    change: float
    """Raw EndpointSlice to kernel; the median."""


def measure(doing: Callable[[str], None]) -> list[Point]:
    """One first sync for each size, and up to a hundred changes."""
    found: list[Point] = []
    for mode, sizes in _SIZES.items():
        if mode == "iptables" and shutil.which("iptables-legacy-restore") is None:
            continue
        name = "iptables (legacy)" if mode == "iptables" else mode
        for count in sizes:
            doing(f"growth: {name}, {count:,}")
            with namespace() as alone:
                took = sync.run(alone, count, mode, "legacy")
            found.append(Point(name, count, took.read + took.sync, statistics.median(took.changes)))
    return found


def write_plots(points: Sequence[Point], directory: Path) -> None:
    """Two plots: proxy-first-sync.svg and proxy-change.svg."""
    modes = dict.fromkeys(each.mode for each in points)

    def lines(value: Callable[[Point], float], others: Mapping[str, Values]) -> list[Line]:
        ours = {
            f"wellhead, {mode}": tuple((each.services, value(each)) for each in points if each.mode == mode)
            for mode in modes
        }
        return [Line(name, values) for name, values in {**ours, **others}.items()]

    syncs = lines(lambda each: each.first_sync, _KUBE_PROXY_SYNC)
    changes = lines(lambda each: each.change, _KUBE_PROXY_CHANGE)
    (directory / "proxy-first-sync.svg").write_text(plot("First sync, by number of Services", syncs))
    (directory / "proxy-change.svg").write_text(plot("One change, by number of Services", changes))
