"""Nodes that drain, die and return while 200 downloads go through each kind of load balancer, more in IPv6.

The servers are on node-1. Under policy Cluster they see by which node each connection came in.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.family import IPV4, IPV6, url
from tests.cluster.lab import NODES, Lab, eventually
from tests.cluster.load import DOWNLOADS, ENDLESS, KINDS, SHORT, Crowd, Download, balanced, crowd, server
from tests.patience import until
from wellhead.lab import processes

WAYS = {f"{kind}-{family}": (kind, family) for kind in KINDS for family in (IPV4, IPV6)}
COUNT = {4: 200, 6: 50}
NODE_OF = {address: node for family in (IPV4, IPV6) for node in NODES for address in family.addresses[node]}


@pytest.fixture(scope="module")
def urls(lab: Lab, namespace: str) -> Iterator[dict[str, str]]:
    """The VIP of a Service for each way, all for the same server."""
    lab.apply({**DOWNLOADS, "metadata": {"name": "downloads", "namespace": namespace}})
    lab.run_pod("server", "node-1", namespace, **server())
    yield {
        way: url(balanced(lab, namespace, way, kind, "server", ipFamilies=[f"IPv{family.version}"])).rstrip(
            "/"
        )
        for way, (kind, family) in WAYS.items()
    }
    lab.kubectl("delete", "service", *WAYS, "-n", namespace)


def by_all(but: str = "") -> dict[str, set[str]]:
    """Each way by all nodes, but perhaps one."""
    return {way: set(NODES) - {but} for way in WAYS}


@pytest.fixture
def clients(lab: Lab, urls: dict[str, str]) -> Iterator[Crowd]:
    """Clients who download in each way, by all nodes."""
    with crowd(lab) as found:
        eventually(lambda: nodes_of_new_ones(found, urls), by_all())
        for way, (_, family) in WAYS.items():
            begun = found.download(urls[way] + ENDLESS, COUNT[family.version])
            assert Counter(each.state for each in begun) == {"running": COUNT[family.version]}
            assert {node_of(each) for each in begun} == set(NODES)
        yield found


def node_of(download: Download) -> str:
    return NODE_OF.get(download.seen, "")


def nodes_of_new_ones(clients: Crowd, urls: dict[str, str]) -> dict[str, set[str]]:
    """The nodes by which new connections come in, by way; "" for those that fail."""
    return {way: {node_of(each) for each in clients.download(urls[way] + SHORT, 24)} for way in WAYS}


def downloads(clients: Crowd) -> list[Download]:
    return [each for each in clients.report() if each.url.endswith(ENDLESS)]


def going_on(clients: Crowd) -> list[bool]:
    """Of each download, whether anything comes while most others get four pieces more."""
    before = downloads(clients)

    def progress() -> list[int]:
        return [now.received - then.received for now, then in zip(downloads(clients), before, strict=True)]

    eventually(lambda: sorted(progress())[-len(before) // 4] >= 1024, True)
    return [each > 0 for each in progress()]


def broken(clients: Crowd) -> Counter[str]:
    """By which nodes and kinds downloads came in that don't go on, and how many each."""
    return Counter(
        f"{node_of(each)} {each.url}"
        for each, goes_on in zip(downloads(clients), going_on(clients), strict=True)
        if not goes_on
    )


@pytest.mark.parametrize(
    ("drain", "undrain"),
    [
        pytest.param(
            ("label", "node", "node-2", "node.kubernetes.io/exclude-from-external-load-balancers="),
            ("label", "node", "node-2", "node.kubernetes.io/exclude-from-external-load-balancers-"),
            id="excluded-by-label",
        ),
        pytest.param(
            ("taint", "node", "node-2", "ToBeDeletedByClusterAutoscaler=:NoSchedule"),
            ("taint", "node", "node-2", "ToBeDeletedByClusterAutoscaler-"),
            id="to-be-deleted",
        ),
    ],
)
def test_a_drained_node_breaks_none_gets_no_new_ones_and_gets_them_again_when_it_returns(
    lab: Lab, urls: dict[str, str], clients: Crowd, drain: tuple[str, ...], undrain: tuple[str, ...]
) -> None:
    lab.kubectl(*drain)
    try:
        others = by_all(but="node-2")
        eventually(lambda: nodes_of_new_ones(clients, urls), others)
        eventually(lambda: broken(clients), Counter())
    finally:
        lab.kubectl(*undrain)
    eventually(lambda: nodes_of_new_ones(clients, urls), by_all())
    eventually(lambda: broken(clients), Counter())


def kill(lab: Lab) -> None:
    """Kill the first process of node-2, and so all of it; the supervisor switches it on again."""
    (init,) = (each for each in processes.find(lab.name) if each.machine == "node-2" and each.is_init)
    os.kill(init.pid, signal.SIGKILL)


_CUT = """table netdev cut {
    chain in { type filter hook ingress device node-2 priority 0; policy drop; }
    chain out { type filter hook egress device node-2 priority 0; policy drop; }
}"""


def cut(lab: Lab) -> None:
    """Not by setting the link down: that would be put back."""
    lab.on("edge", "nft", _CUT)


def mend(lab: Lab) -> None:
    lab.on("edge", "nft", "delete table netdev cut")


@pytest.mark.parametrize(
    ("harm", "repair"),
    [pytest.param(kill, None, id="killed"), pytest.param(cut, mend, id="cut-off")],
)
def test_a_dead_node_breaks_exactly_its_own_and_gets_new_ones_when_it_returns(
    lab: Lab,
    urls: dict[str, str],
    clients: Crowd,
    harm: Callable[[Lab], None],
    repair: Callable[[Lab], None] | None,
) -> None:
    its_own = Counter(
        f"{node_of(each)} {each.url}" for each in downloads(clients) if node_of(each) == "node-2"
    )
    harm(lab)
    try:
        eventually(lambda: broken(clients), its_own)
        if repair:
            others = by_all(but="node-2")
            eventually(lambda: nodes_of_new_ones(clients, urls), others)
    finally:
        if repair:
            repair(lab)
    eventually(lambda: nodes_of_new_ones(clients, urls), by_all())
    # A node that was cut off has lost nothing: what it had may go on where nobody ended it yet.
    until(lambda: broken(clients), lambda found: found <= its_own)
