"""Whatever becomes of the proxy, connections go on, and new ones are made."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.packets.proxy.backends import by_any
from tests.packets.proxy.conftest import Start
from tests.packets.proxy.fake_api import FakeApi
from tests.packets.proxy.process import VIP, Proxy, at, eventually, serves, web
from tests.packets.proxy.traffic import Dialling, Downloads, dialling
from tests.packets.proxy.world import NODE, POD_A, POD_B, POD_FAR, World
from tests.unit.services.objects import endpoint, service_object, slice_object

pytestmark = [pytest.mark.cluster, by_any]
both_modes = pytest.mark.parametrize("mode", ["iptables", "nftables"])

STREAM, WEB = "10.0.0.70", "10.0.0.10"
SERVERS = {POD_A, POD_B, POD_FAR}
_LISTING = {"iptables": "iptables-nft-save", "nftables": "nft list table ip wellhead"}
_DAMAGE = {
    "iptables": "iptables-nft -w -F KUBE-FORWARD",
    "nftables": "nft flush chain ip wellhead filter-forward",
}


@pytest.fixture
def downloads(world: World, api: FakeApi) -> Iterator[Downloads]:
    """Behind a Service, whose server is one pod; the Service `web` has three, for new connections."""
    api.put("services", web(externalTrafficPolicy="Cluster"))
    api.put("endpointslices", at(POD_A, POD_B, POD_FAR))
    ports = ({"port": 80, "nodePort": 30070},)
    api.put("services", service_object("stream", cluster_ips=(STREAM,), ports=ports, type="NodePort"))
    served = ({"name": "", "port": 7777, "protocol": "TCP"},)
    api.put("endpointslices", slice_object(endpoint(POD_A), of="stream", name="stream-1", ports=served))
    found = Downloads(world.pod_a, POD_A, 7777)
    yield found
    found.finish()


def begin(world: World, start: Start, downloads: Downloads, mode: str) -> Proxy:
    """The proxy, and two downloads through it: from a pod and from outside, where it masquerades, too."""
    proxy = start("--proxy-mode", mode)
    eventually(serves(world, *SERVERS))
    downloads.start(world.pod_b, STREAM, 80)
    downloads.start(world.outside, NODE, 30070)
    return proxy


def assert_nothing_was_lost(dialled: Dialling) -> None:
    """A first packet that was dropped, and repeated by its sender after a second, is late, not lost."""
    print(f"{len(dialled.answers)} connections, {dialled.late} by a repeated SYN")
    assert [each for each in dialled.answers if each[1].server not in SERVERS] == []


@both_modes
def test_a_killed_proxy_loses_no_connection_and_its_successor_neither(
    world: World, api: FakeApi, start: Start, downloads: Downloads, mode: str
) -> None:
    proxy = begin(world, start, downloads, mode)
    with dialling(world.pod_b, (WEB, 80), (VIP, 80), (NODE, 30080)) as dialled:
        for turn in range(2):
            for number in range(5):  # it is killed at work
                api.put("services", service_object(f"s{number}", cluster_ips=(f"10.0.2.{turn}{number}",)))
            proxy.kill()
            api.put("endpointslices", at(POD_B, POD_FAR) if turn == 0 else at(*SERVERS))
            proxy = start("--proxy-mode", mode)
            eventually(proxy.has_synced)
        eventually(serves(world, *SERVERS))
    assert_nothing_was_lost(dialled)


def another_pod_network(api: FakeApi, network: str) -> None:
    """The Node says that its pods have other addresses: all that tells local pods from others changes."""
    status = {"addresses": [{"type": "InternalIP", "address": NODE}]}
    api.put("nodes", {"metadata": {"name": "node-1"}, "spec": {"podCIDRs": [network]}, "status": status})


@both_modes
def test_a_resync_of_everything_loses_no_connection(
    world: World, api: FakeApi, start: Start, downloads: Downloads, mode: str
) -> None:
    proxy = begin(world, start, downloads, mode)
    with dialling(world.pod_b, (WEB, 80), (VIP, 80), (NODE, 30080)) as dialled:
        for network in ("10.244.8.0/24", "10.244.1.0/24"):
            another_pod_network(api, network)
            eventually(lambda n=network: n in world.node.run(_LISTING[mode]))  # type: ignore[misc]
        # Somebody removes a rule that no connection needs: all is compared.
        world.node.run(_DAMAGE[mode])
        eventually(lambda: "invalid" in world.node.run(_LISTING[mode]).lower())
        # The API server is another one, and has forgotten what was: all is listed again.
        api.stop()
        api.compact()
        api.put("endpointslices", at(POD_B, POD_FAR))
        api.start()
        eventually(lambda: "listing again" in proxy.said)
        eventually(serves(world, POD_B, POD_FAR))
    assert_nothing_was_lost(dialled)


@both_modes
def test_a_change_of_mode_keeps_connections(
    world: World, api: FakeApi, start: Start, downloads: Downloads, mode: str
) -> None:
    other = {"iptables": "nftables", "nftables": "iptables"}[mode]
    begin(world, start, downloads, mode).kill()
    with dialling(world.pod_b, (WEB, 80), (VIP, 80), (NODE, 30080)) as dialled:
        proxy = start("--proxy-mode", other)
        eventually(proxy.has_synced)
        eventually(lambda: "wellhead\n" not in world.node.run("nft list tables") or other == "nftables")
        eventually(lambda: "KUBE-SVC" not in world.saved() or other == "iptables")
        seen = downloads.received()
        eventually(lambda: all(now > before for now, before in zip(downloads.received(), seen, strict=True)))
        before = len(dialled.answers)
        eventually(lambda: len(dialled.answers) > before + 5)
    assert_nothing_was_lost(dialled)
