"""The kernel's news and its listing say the same."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import TypeVar

import pytest

from wellhead.linux import facts, namespaces
from wellhead.linux.facts import Key, Reader, Value

T = TypeVar("T")

STEPS = [
    "ip link set lo up",
    "ip link add va type veth peer name vb",
    "ip link set va up",
    "ip link set vb up",
    "ip addr add 10.0.0.1/24 dev va",
    "ip addr add fd00::1/64 dev va nodad",
    "ip route add 10.1.0.0/16 via 10.0.0.2 proto 87",
    "ip -6 route add fd01::/64 via fd00::2 proto 87",
    "ip route add unreachable 10.2.0.0/16",
    "ip neigh add 10.0.0.5 lladdr 02:00:00:00:00:01 dev va nud permanent",
    "ip neigh del 10.0.0.5 dev va",
    "ip rule del priority 32766",
    "ip -6 rule add priority 100 from fd00::/64 lookup 100",
    "sysctl -q -w net.ipv4.ip_forward=1",
    "sysctl -q -w net.ipv6.conf.all.forwarding=1",
    "sysctl -q -w net.ipv4.conf.va.rp_filter=1",
    "ip link set va mtu 1400",
    "ip link set dev va group 87",
    "ip link add vd type veth peer name ve",
    "ip link del vd",
    "ip addr del fd00::1/64 dev va",
    "ip route del 10.1.0.0/16",
]


def elsewhere(work: Callable[[], T]) -> T:
    """Do it in a network namespace of its own."""

    def run() -> T:
        namespaces.unshare(namespaces.CLONE_NEWNET)
        return work()

    return namespaces.in_new_thread(run)


@pytest.mark.cluster
def test_the_news_of_every_change_add_up_to_the_listing() -> None:
    def work() -> tuple[dict[Key, Value], dict[Key, Value]]:
        reader, told = Reader(), {}
        with facts.news_socket() as news:
            told = {key: value for key, value in reader.everything() if value is not None}
            for step in STEPS:
                subprocess.run(step.split(), check=True)
            heard: list[facts.Fact] = []
            assert not news.waiting(lambda message: heard.extend(reader.facts(message)))
            for key, value in heard:
                told.pop(key, None)
                if value is not None:
                    told[key] = value
        return told, {key: value for key, value in Reader().everything() if value is not None}

    told, listed = elsewhere(work)

    # The kernel makes link-local addresses in its own time, and doesn't list what is for groups.
    def compared(all_facts: dict[Key, Value]) -> dict[Key, Value]:
        return {
            key: value
            for key, value in all_facts.items()
            if not any(str(part).startswith(("fe80:", "ff0")) for part in key)
        }

    different = compared(told).items() ^ compared(listed).items()
    assert not {each for each in different if each[0][0] != "neighbour"}
    assert told["link", "va", "group"] == 87
    assert told["setting", 4, "va", "rp_filter"] == 1
