"""What the proxy has to reach, beside kube-proxy and what was measured."""

from __future__ import annotations

from dataclasses import dataclass

from bench import targets


@dataclass(frozen=True)
class Target(targets.Target):
    """One row of the comparison. kube-proxy is 1.36.2, measured by hand on a machine of this kind."""

    kube_proxy_nftables: str = "not measured"
    kube_proxy_iptables: str = "not measured"


_TEN, _FIFTY = "nftables, 10,000", "nftables, 50,000"
TARGETS = (
    Target("first sync, objects at hand", "first sync, objects at hand", _TEN, "39", "1.6", at_most=0.25),
    Target("the same, CPU time", "the same, CPU time", _TEN),
    Target("the same, as the process logs it", "the process's first sync", _TEN, "39", "1.6", at_most=0.25),
    Target("from the process's start", "process start to synced", _TEN, at_most=0.7),
    Target("one new Service, median", "one new Service", _TEN, "4800", "1700", at_most=10),
    Target("one new Service, p99", "one new Service, p99", _TEN, at_most=1.5),
    Target("resident memory", "resident memory", _TEN, "191", "215", at_most=100),
    Target("50,000: first sync, objects at hand", "first sync, objects at hand", _FIFTY, at_most=1.5),
    Target("50,000: the same, CPU time", "the same, CPU time", _FIFTY),
    Target("50,000: the same, as the process logs it", "the process's first sync", _FIFTY, at_most=1.5),
    Target("50,000: from the process's start", "process start to synced", _FIFTY, at_most=2.5),
    Target("50,000: one change, median", "one change", _FIFTY, at_most=15),
    Target("50,000: one change, p99", "one change, p99", _FIFTY, at_most=15),
    Target("50,000: one new Service, median", "one new Service", _FIFTY),
    Target("50,000: one new Service, p99", "one new Service, p99", _FIFTY, at_most=5),
    Target("50,000: resident memory", "resident memory", _FIFTY, at_most=250),
    *(
        row
        for name, case in (("", _TEN), ("50,000: ", _FIFTY))
        for row in (
            Target(f"{name}connections ÷ at 1 Service", "÷ the same at 1 Service", case, at_least=0.97),
            Target(
                f"{name}connections ÷ directly to the pod",
                "÷ the same directly to the pod",
                case,
                at_least=0.98,
            ),
            Target(f"{name}first packet, p50", "first packet, here, p50", case),
            Target(f"{name}first packet, p99", "first packet, here, p99", case),
        )
    ),
)
