"""The API server restarts, lags, forgets, refuses: forwarding goes on, and only differences are applied."""

from __future__ import annotations

import re

import pytest

from tests.packets.proxy.backends import by_any
from tests.packets.proxy.conftest import Start
from tests.packets.proxy.fake_api import FakeApi
from tests.packets.proxy.process import VIP, at, eventually, get, serves
from tests.packets.proxy.world import CLIENT, NODE, POD_A, POD_B, POD_FAR, Answer, World, connect, dial
from tests.unit.services.objects import endpoint, service_object, slice_object

pytestmark = [pytest.mark.cluster, by_any]
both_modes = pytest.mark.parametrize("mode", ["iptables", "nftables"])

BYSTANDERS = 20


def add_bystanders(api: FakeApi) -> None:
    for number in range(BYSTANDERS):
        name = f"bystander-{number}"
        api.put("services", service_object(name, cluster_ips=(f"10.0.1.{number}",)))
        api.put("endpointslices", slice_object(endpoint(POD_A, "node-1"), name=f"{name}-x", of=name))


def written(said: str) -> int:
    """How many chains or elements a proxy says that it has written."""
    return sum(
        int(each)
        for each in re.findall(r"restoring (\d+) chains|(\d+) changes", said)
        for each in each
        if each
    )


@both_modes
def test_after_a_compaction_it_lists_again_and_applies_differences(
    world: World, api: FakeApi, start: Start, mode: str
) -> None:
    add_bystanders(api)
    proxy = start("--proxy-mode", mode)
    eventually(serves(world, POD_A))
    eventually(proxy.has_synced)
    everything = written(proxy.said)
    api.stop()
    before = len(proxy.said)
    api.put("endpointslices", at(POD_B))
    api.remove("services", "other")
    api.put("services", service_object("new", cluster_ips=("10.0.0.12",)))
    api.compact()
    api.start()
    eventually(serves(world, POD_B))
    assert "is gone, listing again" in proxy.said
    eventually(lambda: written(proxy.said[before:]) > 0)
    assert written(proxy.said[before:]) < everything / 3
    for number in range(BYSTANDERS):
        assert dial(world.pod_b, f"10.0.1.{number}", 80).server == POD_A


@both_modes
def test_while_the_server_is_away_nothing_changes(
    world: World, api: FakeApi, start: Start, mode: str
) -> None:
    proxy = start("--proxy-mode", mode)
    eventually(serves(world, POD_A))
    eventually(lambda: get(world, f"http://{NODE}:10256/healthz")[0] == 200)
    eventually(proxy.has_synced)  # in the other family, too
    api.stop()
    before = len(proxy.said)
    for asked in range(1, 4):
        eventually(lambda asked=asked: proxy.said[before:].count(" services: ") >= asked)  # type: ignore[misc]
        assert dial(world.outside, VIP, 80, source=CLIENT) == Answer(POD_A, CLIENT)
        assert get(world, f"http://{NODE}:10256/healthz")[0] == 200
    assert written(proxy.said[before:]) == 0
    assert "/healthz" not in proxy.said


@both_modes
def test_a_server_that_refuses_for_a_while_is_asked_again(
    world: World, api: FakeApi, start: Start, mode: str
) -> None:
    api.refusing = True
    proxy = start("--proxy-mode", mode)
    eventually(lambda: "ServiceUnavailable" in proxy.said or "503" in proxy.said)
    assert not proxy.has_synced(), "rules made of nothing would cut everything off"
    api.refusing = False
    eventually(serves(world, POD_A))


@both_modes
def test_what_a_lagging_server_tells_late_is_applied_in_the_end(
    world: World, api: FakeApi, start: Start, mode: str
) -> None:
    start("--proxy-mode", mode)
    eventually(serves(world, POD_A))
    api.hold()
    for addresses in ((POD_A, POD_B), (POD_FAR,), (POD_B,), (POD_A,)) * 10:
        api.put("endpointslices", at(*addresses))
    api.put("endpointslices", at(POD_B))
    assert dial(world.outside, VIP, 80, source=CLIENT) == Answer(POD_A, CLIENT)
    api.release()
    eventually(serves(world, POD_B))


@both_modes
def test_a_connection_outlives_a_proxy_that_is_killed_and_a_server_that_forgot(
    world: World, api: FakeApi, start: Start, mode: str
) -> None:
    proxy = start("--proxy-mode", mode)
    eventually(serves(world, POD_A))
    api.put(
        "services",
        service_object("dns", ports=({"port": 53, "protocol": "UDP"},), cluster_ips=("10.0.0.53",)),
    )
    api.put(
        "endpointslices",
        slice_object(
            endpoint(POD_A, "node-1"),
            name="dns-x",
            of="dns",
            ports=({"name": "", "port": 8080, "protocol": "UDP"},),
        ),
    )

    def asked() -> bool:
        # Nobody repeats a datagram that came too early.
        with connect(world.pod_b, "10.0.0.53", 53, udp=True, timeout=1.0) as early:
            return early.ask().server == POD_A

    eventually(asked)
    with connect(world.pod_b, "10.0.0.53", 53, udp=True) as flow:
        assert flow.ask().server == POD_A
        proxy.kill()
        api.stop()
        api.compact()
        assert flow.ask().server == POD_A
        api.start()
        again = start("--proxy-mode", mode)
        eventually(again.has_synced)
        assert flow.ask().server == POD_A
        assert written(again.said) == 0, "it rewrote what was right"


def test_refusals_are_counted_as_requests(world: World, api: FakeApi, start: Start) -> None:
    start()
    eventually(serves(world, POD_A))
    metrics = get(world, "http://127.0.0.1:10249/metrics")[1]
    assert 'rest_client_requests_total{code="200",host="127.0.0.1:8001",method="GET"}' in metrics
    api.stop()
    eventually(
        lambda: 'rest_client_requests_total{code="<error>"' in get(world, "http://127.0.0.1:10249/metrics")[1]
    )
