"""When 200 Services have come, changed and gone, no machine keeps a trace of any."""

from __future__ import annotations

import difflib
import re

import pytest

from tests.cluster.churn import churn
from tests.cluster.lab import NODES, Lab, eventually

MACHINES = ("client", "edge", "control-plane", "cloud", *NODES)
_LOOK = """
nft -s list ruleset 2>&1
for each in iptables-legacy-save ip6tables-legacy-save iptables-nft-save ip6tables-nft-save; do $each; done 2>&1
for family in -4 -6; do ip $family rule; ip $family route show table all; done
ip nexthop
ss -Hltnu
cat /run/wellhead/proxy/haproxy.cfg 2>&1
ls /proc/net/xt_recent 2>&1
"""
_VARIES = re.compile(r"\[\d+:\d+\]|^#.*|expires \w+|timeout \w+|users:.*|pref medium|\s+$", re.MULTILINE)


@pytest.fixture(scope="module")
def lab(lab_of_each_mode: Lab) -> Lab:
    return lab_of_each_mode


def everything(lab: Lab) -> dict[str, list[str]]:
    """Rules, routes and listeners, by machine."""
    return {each: sorted(_VARIES.sub("", lab.on(each, "sh", "-c", _LOOK)).splitlines()) for each in MACHINES}


def difference(before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    return [
        f"{machine}: {line}"
        for machine in MACHINES
        for line in difflib.unified_diff(before[machine], after[machine], n=0, lineterm="")
        if not line.startswith(("@@", "---", "+++"))
    ]


async def test_of_200_services_that_were_churned_nothing_is_left(lab: Lab, namespace: str) -> None:
    for node in NODES[:2]:
        lab.run_pod(node, node, namespace)
        lab.kubectl("label", "pod", node, "-n", namespace, "--overwrite", "app=churned")
    before = everything(lab)
    import time
    t=time.time()
    done = await churn(lab, namespace, "churned", services=200, changes=3, seed=1)
    print(time.time()-t, done)
    eventually(lambda: lab.get("services", "-n", namespace)["items"], [], seconds=30)
    print(time.time()-t)
    eventually(lambda: difference(before, everything(lab)), [], seconds=20)
