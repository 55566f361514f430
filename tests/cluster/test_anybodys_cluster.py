"""A cluster without proxy, load balancer and policies: what the documents say to type, word for word.

These run as pods then, with the rights that deploy/ gives them. What is not there is kube-proxy: a DaemonSet
of its name and the ConfigMap that kubeadm makes stand in for it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.lab import NODES, Lab, Obj, eventually, kept_up
from tests.cluster.load import DOWNLOADS, SHORT, Crowd, crowd, server
from tests.cluster.typed import ROOT, Reader
from tests.kubectl.binaries import helm
from tests.patience import PATIENCE

pytestmark = [
    pytest.mark.skipif(
        "WELLHEAD_WALK" not in os.environ, reason="minutes, and images to build: `make test-walk`"
    ),
    pytest.mark.timeout(3600),  # ten minutes were over half-way, on a machine with ten times as much to do
]
BARE = ("--proxy", "none", "--cloud", "none", "--policy", "none")
PER_SECOND = 1000
"""Connections while everything changes; on a machine that is slow, fewer."""
KUBEADM = (Path(__file__).parent / "kubeadm_config.yaml").read_text()
# Of what iptables prints: comments and policies; its own tables, which stay when empty; and pods' links.
_OF_NOBODY = re.compile(r"^[#:*]|^COMMIT$|^table ip6? (filter|nat|mangle)$|veth")
KUBE_PROXY: Obj = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "kube-proxy", "namespace": "kube-system"},
    "spec": {
        "selector": {"matchLabels": {"k8s-app": "kube-proxy"}},
        "template": {
            "metadata": {"labels": {"k8s-app": "kube-proxy"}},
            "spec": {
                "hostNetwork": True,
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "main", "image": "busybox", "command": ["sleep", "infinity"]}],
            },
        },
    },
}


@pytest.fixture(
    scope="module", params=[(), ("--control-planes", "3", "--storage", "etcd")], ids=["one", "three-on-etcd"]
)
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    lab = Lab(f"test-{os.getpid()}-bare")
    with kept_up(lab, "--nodes", "3", *request.param, *BARE):
        yield lab


@pytest.fixture(scope="module")
def read(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Reader]:
    """Begins to read a document; all of them in the same directory."""
    directory = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "deploy", directory / "deploy", symlinks=True)
    return lambda document: Reader(lab, document, directory)


def state(lab: Lab, node: str) -> list[str]:
    """What there is on a node of rules, routes and links."""
    ask = (
        "nft list tables; iptables-save; ip6tables-save; ip rule; ip -6 rule;"
        " ip route show table all; ip -6 route show table all type unicast; ip -br link"
    )
    lines = lab.on(node, "sh", "-c", ask).splitlines()
    return sorted(each for each in lines if not _OF_NOBODY.search(each))


def mode(lab: Lab, node: str) -> str:
    return lab.on(node, "curl", "-s", "http://127.0.0.1:10249/proxyMode", check=False)


def walk(lab: Lab, mode: str) -> None:
    told = lab.wellhead("tutorial", "--proxy-mode", mode, "-o", "json", check=False, timeout=10 * PATIENCE)
    report = json.loads(told)
    wrong = [each for each in report["steps"] if not each["ok"]]
    assert (wrong, report["problem"]) == ([], "")
    assert len(report["steps"]) == 39


def test_the_documents_walked_from_a_bare_cluster_and_back(lab: Lab, read: Callable[[str], Reader]) -> None:
    before = {node: state(lab, node) for node in NODES}
    proxy, balancer, policy = map(read, ("replacing-kube-proxy.md", "load-balancer.md", "network-policy.md"))
    lab.apply(KUBE_PROXY)
    lab.kubectl("-n", "kube-system", "rollout", "status", "daemonset/kube-proxy")

    # Switch on.
    proxy.type("server=")
    lab.kubectl("-n", "kube-system", "patch", "configmap", "kube-proxy", "-p",
                json.dumps({"data": {"config.conf": KUBEADM}}))  # fmt: skip
    proxy.type("wellhead image build proxy")
    proxy.type_in_text("wellhead image load dist/images/wellhead-proxy.tar")
    proxy.type("kubectl -n kube-system patch daemonset kube-proxy --type merge")
    proxy.type("kubectl apply -k deploy/kube-proxy-replacement")
    assert "first sync" in proxy.run("kubectl -n kube-system logs daemonset/wellhead-proxy")
    assert {mode(lab, node) for node in NODES} == {"nftables"}
    balancer.type_in_text("wellhead exec edge -- ip route add 203.0.113.0/27 dev nodes")
    [build, *rest] = next(each for each in balancer.blocks() if "image build cloud" in each).splitlines()
    balancer.run(build)
    balancer.type_in_text("wellhead image load dist/images/wellhead-cloud.tar")
    balancer.run("\n".join(rest))
    [build, *rest] = next(each for each in policy.blocks() if "image build policy" in each).splitlines()
    policy.run(build)
    policy.type_in_text("wellhead image load dist/images/wellhead-policy.tar")
    policy.run("\n".join(rest))
    walk(lab, "nftables")

    # Change everything, under load: at a node port from outside, and at a ClusterIP.
    lab.apply({**DOWNLOADS, "metadata": {"name": "downloads", "namespace": "default"}})
    for node in NODES:
        lab.apply({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"on-{node}", "labels": {"app": "load"}},
            "spec": {**server(), "nodeName": node, "terminationGracePeriodSeconds": 0},
        })  # fmt: skip
    service = lab.expose("load", "load", "default", type="NodePort")
    lab.kubectl("wait", "pod", "-l", "app=load", "--for=condition=Ready", "--timeout=60s")
    outside = f"http://192.0.2.11:{service['spec']['ports'][0]['nodePort']}{SHORT}"
    inside = f"http://{service['spec']['clusterIP']}{SHORT}"
    with crowd(lab) as clients, crowd(lab, "node-2") as neighbours:
        for each, url in ((clients, outside), (neighbours, inside)):
            eventually(partial(_answered, each, url), True)
            each.ask(url, every=2 / PER_SECOND)
        lab.kubectl("-n", "kube-system", "rollout", "restart", "daemonset/wellhead-proxy")
        lab.kubectl("-n", "kube-system", "rollout", "status", "daemonset/wellhead-proxy")
        proxy.type("sed -i")
        assert {mode(lab, node) for node in NODES} == {"iptables"}
        lab.wellhead("up", "--nodes", "4")
        lab.kubectl("-n", "kube-system", "rollout", "status", "daemonset/wellhead-proxy")
        assert mode(lab, "node-4") == "iptables"
        lab.wellhead("up", "--nodes", "3")
        eventually(lambda: len(_images(lab)), 3)
        proxy.run("wellhead image load dist/images/wellhead-proxy.tar --name wellhead-proxy:0.1.1")
        proxy.type("kubectl -n kube-system set image")
        proxy.type("kubectl -n kube-system patch daemonset wellhead-proxy")
        taken_back = [("node-1", "0.1.1"), ("node-2", "0.1.0"), ("node-3", "0.1.1")]
        eventually(lambda: _images(lab), taken_back)
        for each in (clients, neighbours):
            asked = each.asked()
            print(f"{asked['count']} requests in {asked['seconds']:.0f} s, {asked['late']} late")
            assert asked["failures"] == []
    walk(lab, "iptables")
    proxy.type_in_text("kubectl apply -k deploy/kube-proxy-replacement")
    proxy.type("kubectl -n kube-system get configmap kube-proxy")
    assert {mode(lab, node) for node in NODES} == {"iptables"}

    # The way back.
    lab.kubectl("delete", "service/load")
    lab.kubectl("delete", "pod", "-l", "app=load")
    balancer.type("kubectl delete -k deploy/load-balancer")
    policy.type("kubectl delete -k deploy/network-policy")
    proxy.type("kubectl delete -k deploy/kube-proxy-replacement")
    lab.kubectl("-n", "kube-system", "rollout", "status", "daemonset/kube-proxy")
    proxy.type("kubectl apply -k deploy/cleanup/kube-proxy-replacement")
    for node in NODES:
        eventually(partial(state, lab, node), before[node])
    eventually(partial(_left, lab), [])

    # The same by the chart, with BGP.
    comes_and_goes_by_the_chart(lab, read, before)


def comes_and_goes_by_the_chart(
    lab: Lab, read: Callable[[str], Reader], before: dict[str, list[str]]
) -> None:
    chart, proxy = read("deploying.md"), read("replacing-kube-proxy.md")
    programs = chart.directory / "programs"
    programs.mkdir()
    (programs / "helm").symlink_to(helm())
    chart.programs = str(programs)
    chart.type("helm install wellhead deploy/chart --namespace kube-system --set bgp.enabled=true")
    for each in ("daemonset/wellhead-proxy", "daemonset/wellhead-bgp", "deployment/wellhead-cloud"):
        lab.kubectl("-n", "kube-system", "rollout", "status", each)
    assert {mode(lab, node) for node in NODES} == {"nftables"}
    lab.kubectl("create", "service", "loadbalancer", "by-bgp", "--tcp=80:80")
    vip = "jsonpath={.status.loadBalancer.ingress[0].ip}"
    lab.kubectl("wait", f"--for={vip}", "service/by-bgp", "--timeout=60s")
    announced = [lab.kubectl("get", "service", "by-bgp", "-o", vip)]
    for node in NODES:
        eventually(partial(_announced, lab, node), announced)
    lab.kubectl("delete", "service/by-bgp")
    chart.type_in_text("helm uninstall wellhead --namespace kube-system")
    proxy.type("kubectl apply -k deploy/cleanup/kube-proxy-replacement")
    chart.type_in_text("kubectl -n kube-system delete lease wellhead-cloud")
    for node in NODES:
        eventually(partial(state, lab, node), before[node])
    eventually(partial(_left, lab), [])


def _announced(lab: Lab, node: str) -> list[str]:
    """The VIPs that a node tells routers of."""
    told = lab.on(node, "curl", "-s", "http://127.0.0.1:10263/status", check=False)
    return list(json.loads(told or "{}").get("announced", ()))


def _left(lab: Lab) -> list[str]:
    """Objects of ours."""
    kinds = "all,cm,sa,leases,pdb,roles,rolebindings,clusterroles,clusterrolebindings"
    names = (f"{each['kind']} {each['metadata']['name']}" for each in _all(lab, kinds, "-A"))
    return [each for each in names if " wellhead-" in each]


def _answered(clients: Crowd, url: str) -> bool:
    return all(each.state in ("running", "complete") for each in clients.download(url, 5))


def _all(lab: Lab, *arguments: str) -> list[Obj]:
    items: list[Obj] = json.loads(lab.kubectl("get", *arguments, "-o", "json"))["items"]
    return items


def _images(lab: Lab) -> list[tuple[str, str]]:
    """The version of the proxy on each node where it is Ready."""
    pods = _all(lab, "pods", "-n", "kube-system", "-l", "k8s-app=wellhead-proxy")
    ready = [each for each in pods if _ready(each)]
    version = {
        each["spec"]["nodeName"]: each["spec"]["containers"][0]["image"].rpartition(":")[2] for each in ready
    }
    return sorted(version.items())


def _ready(pod: Obj) -> bool:
    conditions = pod["status"].get("conditions", ())
    leaving = "deletionTimestamp" in pod["metadata"]
    return not leaving and any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
