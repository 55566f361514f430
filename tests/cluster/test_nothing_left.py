"""When many Services have come, changed and gone, no machine keeps a trace of any.

`make test-faults` does it with 200.
"""

from __future__ import annotations

import os
import re
from collections import Counter

import pytest

from tests.cluster.churn import churn
from tests.cluster.lab import NODES, Lab, eventually, kill
from tests.patience import PATIENCE

SERVICES = int(os.environ.get("WELLHEAD_CHURNED_SERVICES", "30"))
MACHINES = ("client", "edge", "control-plane", "cloud", *NODES)
_LOOK = """
nft -s list ruleset 2>&1
for each in iptables ip6tables; do $each-legacy-save; $each-nft-save; done 2>&1
for family in -4 -6; do ip $family rule; ip $family route show table all; done | grep -v fe80
ip nexthop
ss -Hltnu | grep -v 127.0.0.1:10262  # HAProxy's own: it stays once it has been needed
grep -s ^listen /run/wellhead/proxy/haproxy.cfg
ls /proc/net/xt_recent 2>/dev/null
true
"""
_VARIES = re.compile(
    r"\[\d+:\d+\]|^#.*"
    # Whom affinity remembers is forgotten in time: the proxy doesn't read what packets have written.
    r"|.*\btimeout 3h : .*",
    re.MULTILINE,
)


@pytest.fixture(scope="module")
def lab(lab_of_each_mode: Lab) -> Lab:
    return lab_of_each_mode


def everything(lab: Lab) -> Counter[str]:
    """Rules, routes and listeners of every machine, by line, and sets and maps by element."""
    return Counter(
        f"{machine}: {each.strip()}"
        for machine in MACHINES
        for each in re.split(r"[\n,{}]+", _VARIES.sub("", lab.on(machine, "sh", "-c", _LOOK)))
    )


async def test_of_services_that_were_churned_nothing_is_left(lab: Lab, namespace: str) -> None:
    for node in NODES[:2]:
        lab.run_pod(node, node, namespace)
        lab.kubectl("label", "pod", node, "-n", namespace, "--overwrite", "app=churned")
    before = everything(lab)

    def halfway() -> None:
        for machine, component in (("node-1", "proxy"), ("cloud", "cloud")):
            kill(lab, machine, component)

    done = await churn(lab, namespace, "churned", services=SERVICES, changes=1, seed=1, halfway=halfway)
    assert done == dict.fromkeys(("create", "change", "delete"), SERVICES)
    eventually(lambda: lab.get("services", namespace=namespace)["items"], [])
    # Chains that a kind of Service needs stay for the next of that kind, in nftables mode and at the edge.
    # They are few; and whoever starts sweeps, but for what connections still need: those of earlier tests.
    for node in NODES:
        lab.on(node, "conntrack", "-F")
    for machine, component in (("cloud", "cloud"), *((node, "proxy") for node in NODES)):
        kill(lab, machine, component)
    eventually(lambda: everything(lab) - before, Counter(), 3 * PATIENCE)
