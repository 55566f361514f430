"""The modes of `wellhead proxy`, and going from one to another."""

from __future__ import annotations

import signal

import pytest

from tests.packets.proxy.backends import by_any
from tests.packets.proxy.conftest import Start
from tests.packets.proxy.fake_api import FakeApi
from tests.packets.proxy.process import HEALTH_CHECK_PORT, VIP, at, eventually, get, serves
from tests.packets.proxy.world import (
    CLIENT,
    GATEWAY,
    NODE,
    POD_A,
    POD_B,
    SILENCE,
    Answer,
    World,
    dial,
    dial_in_vain,
)

pytestmark = [pytest.mark.cluster, by_any]

NFTABLES = ("--proxy-mode", "nftables")


def tables(world: World) -> str:
    return world.node.run("nft list tables")


def chains(world: World) -> list[str]:
    return [line for line in world.saved().splitlines() if "KUBE-" in line]


def test_nftables_mode_serves_what_the_api_says(world: World, api: FakeApi, start: Start) -> None:
    start(*NFTABLES)
    eventually(serves(world, POD_A))
    assert dial(world.outside, VIP, 80, source=CLIENT) == Answer(POD_A, CLIENT)
    assert get(world, "http://127.0.0.1:10249/proxyMode")[:2] == (200, "nftables")
    api.put("endpointslices", at(POD_A, POD_B))
    eventually(serves(world, POD_A, POD_B))
    api.remove("services", "web")
    eventually(serves(world, SILENCE.server))
    assert chains(world) == []


def test_in_nftables_mode_stray_addresses_of_the_service_ranges_are_dropped(
    world: World, api: FakeApi, start: Start
) -> None:
    proxy = start(*NFTABLES)
    eventually(serves(world, POD_A))
    eventually(proxy.has_synced)  # in the other family, too
    service_cidr = {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.0.0.0/16", "fd00:10::/112"]}}
    api.put("servicecidrs", service_cidr)

    def ranges() -> list[str]:
        return [world.node.run(f"nft list set {each} wellhead service-ranges") for each in ("ip", "ip6")]

    eventually(lambda: "10.0.0.0" in ranges()[0] and "fd00:10::" in ranges()[1])
    assert dial_in_vain(world.pod_b, "10.0.77.77", 80) == SILENCE
    api.put("servicecidrs", {**service_cidr, "spec": {"cidrs": ["10.0.0.0/24"]}})
    eventually(lambda: "fd00:10::" not in ranges()[1])
    api.remove("servicecidrs", "kubernetes", "")
    eventually(lambda: "10.0.0.0" not in ranges()[0])


def test_in_nftables_mode_health_checks_answer_where_node_ports_do(
    world: World, api: FakeApi, start: Start
) -> None:
    start(*NFTABLES)
    for address in (NODE, "127.0.0.1"):
        eventually(lambda a=address: get(world, f"http://{a}:{HEALTH_CHECK_PORT}/healthz")[0] == 200)  # type: ignore[misc]
    assert get(world, f"http://{GATEWAY}:{HEALTH_CHECK_PORT}/healthz")[0] == 0


def test_in_nftables_mode_what_others_remove_comes_back_without_waiting(
    world: World, api: FakeApi, start: Start
) -> None:
    start(*NFTABLES, "--iptables-sync-period", "1h")
    eventually(serves(world, POD_A))
    world.node.run("nft delete table ip wellhead")
    eventually(lambda: "table ip wellhead" in tables(world))
    eventually(serves(world, POD_A))
    world.node.run("nft flush table ip wellhead")
    eventually(serves(world, POD_A))


@pytest.mark.parametrize("modes", [("iptables", "nftables"), ("nftables", "iptables")])
def test_a_mode_takes_over_from_another_and_removes_its_rules(
    world: World, api: FakeApi, start: Start, modes: tuple[str, str]
) -> None:
    before, after = modes
    proxy = start("--proxy-mode", before)
    eventually(serves(world, POD_A))
    assert bool(chains(world)) == (before == "iptables")
    proxy.kill()
    again = start("--proxy-mode", after)
    eventually(again.has_synced)
    eventually(lambda: bool(chains(world)) == (after == "iptables"))
    now = {"nftables": ["wellhead"], "iptables": ["wellhead-claims"]}[after]
    eventually(
        lambda: {each.split()[-1] for each in tables(world).splitlines() if "wellhead" in each} == {*now}
    )
    assert dial(world.outside, VIP, 80, source=CLIENT) == Answer(POD_A, CLIENT)
    api.put("endpointslices", at(POD_B))
    eventually(serves(world, POD_B))


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_rules_that_kube_proxy_left_in_nftables_mode_are_removed(
    world: World, api: FakeApi, start: Start, mode: str
) -> None:
    world.node.run("nft add table ip kube-proxy")
    world.node.run("nft add table ip6 kube-proxy")
    start("--proxy-mode", mode)
    eventually(serves(world, POD_A))
    eventually(lambda: "kube-proxy" not in tables(world))


def test_cleanup_removes_every_modes_rules_and_nobody_elses(world: World, api: FakeApi, start: Start) -> None:
    world.node.run("nft add table ip mine")
    try:
        for mode in ("iptables", "nftables"):
            proxy = start("--proxy-mode", mode)
            eventually(proxy.has_synced)
            eventually(serves(world, POD_A))
            assert proxy.kill(signal.SIGTERM) == 0
        world.node.run("iptables-nft -w -t nat -N KUBE-SVC-ABCDEFGH23456767")
        world.node.run("nft add table ip6 kube-proxy")
        assert start("--cleanup", alone=True).wait() == 0
        assert chains(world) == []
        assert not [each for each in ("wellhead", "kube-proxy") if each in tables(world)]
        assert "table ip mine" in tables(world)
    finally:
        world.node.run("nft delete table ip mine")


def test_the_variant_is_the_kubelets(world: World, api: FakeApi, start: Start) -> None:
    world.node.run("iptables-legacy -w -t mangle -N KUBE-KUBELET-CANARY")
    try:
        start("--iptables-variant", "auto")
        eventually(lambda: "KUBE-SERVICES" in world.node.run("iptables-legacy-save"))
        eventually(serves(world, POD_A))
        assert chains(world) == []
    finally:
        world.node.run("iptables-legacy -w -t mangle -X KUBE-KUBELET-CANARY")
