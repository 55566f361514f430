"""One server behind every kind of frontend, and clients that ask all of them all the time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

from tests.cluster.lab import EXTERNAL_IP, Lab, eventually
from tests.cluster.load import DOWNLOADS, SHORT, Crowd, balanced, crowd, server
from tests.patience import until

OUTSIDE, INSIDE = "client", "node-2"
"""Where the clients are. No server is on INSIDE."""
_SERVERS = ("node-1", "node-3")


@dataclass(frozen=True)
class Frontends:
    """URLs by the kind of frontend; those outside are asked by the client, those inside by node-2."""

    outside: dict[str, str]
    inside: dict[str, str]


@dataclass
class Asked:
    """What came of asking, by kind of frontend; filled in when it is over."""

    crowds: list[Crowd] = field(default_factory=list)
    count: Counter[str] = field(default_factory=Counter)
    late: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    words: list[str] = field(default_factory=list)


def until_more(asked: Asked, connections: int) -> None:
    """Wait until so many more connections have ended, well or not."""

    def count() -> int:
        return sum(each.count() for each in asked.crowds)

    before = count()
    until(count, lambda now: now >= before + connections)


@contextmanager
def frontends(lab: Lab, namespace: str) -> Iterator[Frontends]:
    """Two servers on two nodes, and Services of every kind for them; all answer."""
    lab.apply({**DOWNLOADS, "metadata": {"name": "downloads", "namespace": namespace}})
    for node in _SERVERS:
        pod = lab.run_pod(f"server-{node}", node, namespace, **server())
        lab.kubectl("label", "pod", f"server-{node}", "-n", namespace, "app=all", "--overwrite")
    node_port = {}
    for policy in ("Cluster", "Local"):
        name = f"node-port-{policy.lower()}"
        service = lab.expose(name, "all", namespace, type="NodePort", externalTrafficPolicy=policy)
        node_port[policy] = f"{EXTERNAL_IP['node-1']}:{service['spec']['ports'][0]['nodePort']}"
    vip = {
        (kind, policy): balanced(
            lab, namespace, f"{kind}-{policy.lower()}", kind, "all", externalTrafficPolicy=policy
        )
        for kind in ("forwarder", "proxy")
        for policy in ("Cluster", "Local")
    }
    cluster_ip = lab.expose("cluster-ip", "all", namespace)["spec"]["clusterIP"]
    found = Frontends(
        outside={
            "node port, Cluster": f"http://{node_port['Cluster']}{SHORT}",
            "node port, Local": f"http://{node_port['Local']}{SHORT}",
            "VIP, forwarder, Cluster": f"http://{vip['forwarder', 'Cluster']}{SHORT}",
            "VIP, forwarder, Local": f"http://{vip['forwarder', 'Local']}{SHORT}",
            "VIP, terminating, Cluster": f"http://{vip['proxy', 'Cluster']}{SHORT}",
            "VIP, terminating, Local": f"http://{vip['proxy', 'Local']}{SHORT}",
        },
        inside={
            "ClusterIP": f"http://{cluster_ip}{SHORT}",
            "pod": f"http://{pod['status']['podIP']}:8080{SHORT}",
        },
    )
    wait_until_all_answer(lab, found)
    yield found
    services = lab.get("services", namespace=namespace)["items"]
    lab.kubectl("delete", "service", *(each["metadata"]["name"] for each in services), "-n", namespace)
    lab.kubectl("delete", "pod", *(f"server-{node}" for node in _SERVERS), "-n", namespace)


def wait_until_all_answer(lab: Lab, found: Frontends, seconds: float = 60) -> None:
    for host, urls in ((OUTSIDE, found.outside), (INSIDE, found.inside)):
        for url in urls.values():
            eventually(partial(_answers, lab, host, url), True, seconds=seconds)


def _answers(lab: Lab, host: str, url: str) -> bool:
    return "here" in lab.on(host, "curl", "-sS", "--max-time", "2", url, check=False)


@contextmanager
def asking(lab: Lab, found: Frontends, rate: float, without: str = "") -> Iterator[Asked]:
    """Ask for all of them meanwhile, `rate` connections a second in all; the counts are there afterwards.

    `without`: no clients on this machine, since it will be killed.
    """
    hosts = {OUTSIDE: found.outside, INSIDE: found.inside}
    hosts.pop(without, None)
    every = sum(map(len, hosts.values())) / rate
    with ExitStack() as stack:
        crowds = {host: stack.enter_context(crowd(lab, host)) for host in hosts}
        for host, urls in hosts.items():
            crowds[host].ask(*urls.values(), every=every)
        asked = Asked(list(crowds.values()))
        yield asked
        for host, urls in hosts.items():
            _add(asked, urls, crowds[host])


def _add(asked: Asked, urls: dict[str, str], clients: Crowd) -> None:
    told = clients.asked()
    asked.words += told["failures"]
    for kind, url in urls.items():
        counts = told["by_url"][url]
        asked.count[kind] += counts["count"]
        asked.late[kind] += counts["late"]
        asked.lost[kind] += counts["failed"]
