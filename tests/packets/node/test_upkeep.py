"""What others change of a node's network is put back at once, and said."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.cluster.lab import Lab, eventually
from tests.packets.node.cluster_pods import container, create, shell, status, wait

RULES = "for family in ip ip6 arp; do nft -s list table $family wellhead-node; done"
NETWORK = (
    "ip -d -o link show type veth group 87; ip -o addr show | grep veth; ip neigh show nud permanent;"
    "cat /proc/sys/net/ipv4/conf/veth*/route_localnet;"
    "for owner in 87 static; do ip -4 route show proto $owner; ip -6 route show proto $owner; done"
)


@pytest.fixture(scope="module")
def pod(lab: Lab) -> Iterator[str]:
    """A pod with a host port; the node's end of its link."""
    server = shell("main", "echo hello > index.html; exec httpd -f -p 80")
    server["ports"] = [{"containerPort": 80, "hostPort": 8000}]
    server["volumeMounts"] = [{"name": "memory", "mountPath": "/memory"}]
    create(lab, "server", server, volumes=[{"name": "memory", "emptyDir": {"medium": "Memory"}}])
    wait(lab, "server")
    (link,) = re.findall(r"veth[0-9a-f]{8}", lab.on("node-1", "ip", "-o", "link", "show", "type", "veth"))
    yield link
    lab.kubectl("delete", "pod", "server")


def state(lab: Lab) -> str:
    """All that is to be put back, as ip and nft list it; what counts and changes by itself left out."""
    found = lab.on("node-1", "sh", "-c", f"{RULES}; {NETWORK}", check=False)
    return re.sub(r"qlen \d+|valid_lft.*|state \w+|qdisc \w+|mode \w+|<[^>]*>", "", found)


@pytest.mark.parametrize(
    "harm",
    [
        "nft flush ruleset",
        "nft delete table ip wellhead-node",
        "nft flush chain ip6 wellhead-node from-pod",
        "nft flush set ip wellhead-node pod-addresses",
        "nft delete table arp wellhead-node",
        "nft add rule ip wellhead-node prerouting drop",
        "ip route flush table main proto 87",
        "ip -6 route flush table main proto 87",
        "ip route del unreachable 10.244.1.0/24",
        "ip route flush dev {link}",
        "ip -6 route flush dev {link} proto static",
        "ip addr flush dev {link}",
        "ip addr del 10.244.1.1/32 dev {link}",
        "ip neigh flush dev {link} nud permanent",
        "ip link set {link} down",
        "ip link set {link} mtu 1400",
        "ip link set dev {link} group 0",
        "cp /proc/sys/net/ipv4/conf/lo/route_localnet /proc/sys/net/ipv4/conf/{link}/route_localnet",
    ],
)
def test_what_somebody_changes_is_put_back(lab: Lab, pod: str, harm: str) -> None:
    before = state(lab)
    assert pod in before
    lab.on("node-1", *harm.format(link=pod).split())
    eventually(lambda: state(lab), before)
    eventually(lambda: answers(lab), True)
    eventually(lambda: "node-1" in said_about(lab, "NetworkRestored"), True)


@pytest.mark.parametrize(
    "harm",
    [
        r"ip link del $(ip -o link show type veth group 87 | grep -o 'veth[0-9a-f]\{8\}')",
        "umount $(mount | grep -o '[^ ]*/pods/[^ ]*/ns/net')",
        "umount -l $(mount | grep -o '[^ ]*/pods/[^ ]*/shm' | head -n 1)",
    ],
)
@pytest.mark.usefixtures("pod")
def test_a_pod_that_has_lost_a_part_of_its_sandbox_gets_another(lab: Lab, harm: str) -> None:
    before = status(lab, "server")["podIP"]
    restarts = container(lab, "server")["restartCount"]
    lab.on("node-1", "sh", "-c", harm)
    eventually(lambda: container(lab, "server")["restartCount"], restarts + 1)
    wait(lab, "server")
    eventually(lambda: status(lab, "server")["podIP"] not in ("", before), True)
    eventually(lambda: answers(lab), True)
    eventually(lambda: "server" in said_about(lab, "SandboxChanged"), True)


@pytest.mark.usefixtures("pod")
def test_a_volume_that_is_unmounted_is_mounted_again(lab: Lab) -> None:
    lab.on("node-1", "sh", "-c", "umount -l $(mount | grep -o '[^ ]*/pods/[^ ]*/memory')")
    eventually(lambda: "/memory " in lab.on("node-1", "cat", "/proc/self/mounts"), True)
    eventually(lambda: "server" in said_about(lab, "VolumeUnmounted"), True)


def answers(lab: Lab) -> bool:
    """Whether the pod does, at its host port."""
    ask = ("curl", "-sS", "--max-time", "5", "http://10.240.0.11:8000")
    return "hello" in lab.on("node-1", *ask, check=False)


def said_about(lab: Lab, reason: str) -> set[str]:
    """The objects of which there are events with that reason."""
    events = json.loads(lab.kubectl("get", "events", "-o", "json"))["items"]
    return {each["involvedObject"]["name"] for each in events if each["reason"] == reason}
