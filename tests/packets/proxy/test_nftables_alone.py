"""What nftables mode does beyond iptables mode, or in its own way."""

from __future__ import annotations

import re
import socket
import threading
from ipaddress import ip_network
from typing import Any

import pytest

from tests.packets.proxy.backends import by_nftables
from tests.packets.proxy.nftables_world import ALL_IPV6, CONFIG, NftablesWorld, sticky
from tests.packets.proxy.test_source_ip import (
    CLUSTER_IP,
    CLUSTER_IP6,
    EXTERNAL,
    VIP,
    VIP6,
    at,
    web,
)
from tests.packets.proxy.world import (
    CLIENT,
    CLIENT6,
    GATEWAY,
    NODE,
    NODE6,
    POD_A,
    POD_A6,
    POD_B,
    POD_B6,
    POD_FAR,
    POD_FAR6,
    REFUSED,
    SILENCE,
    THIS_NODE,
    Answer,
    dial,
    dial_in_vain,
)
from tests.patience import PATIENCE
from tests.unit.services.objects import endpoint, endpoint_slice, service
from wellhead.ip import Family
from wellhead.proxy.backends.nftables.ruleset import NftablesConfig
from wellhead.services.node import FromBridge, FromInterfacePrefix, LocalNode

pytestmark = [pytest.mark.cluster, by_nftables]


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
@pytest.mark.parametrize(("address", "port"), [(VIP, 80), (EXTERNAL, 80), (NODE, 30080), (CLUSTER_IP, 80)])
def test_without_endpoints_every_frontend_refuses_at_once(
    world: NftablesWorld, address: str, port: int, policy: str
) -> None:
    world.program([web(externalTrafficPolicy=policy, internalTrafficPolicy=policy)], [])
    inside = (world.pod_a, world.node)
    for client in inside if address == CLUSTER_IP else (*inside, world.outside):
        assert dial(client, address, port) == REFUSED
        assert dial(client, address, port, udp=True) == REFUSED


def test_an_undefined_port_of_a_cluster_ip_is_refused(world: NftablesWorld) -> None:
    world.program([web()], at(POD_A, POD_A6))
    assert dial(world.pod_b, CLUSTER_IP, 81) == REFUSED
    assert dial(world.pod_b, CLUSTER_IP, 80, udp=True) == Answer(POD_A, POD_B)
    assert dial(world.node, CLUSTER_IP, 81, udp=True) == REFUSED
    assert dial(world.pod_b, CLUSTER_IP6, 81, udp=True) == REFUSED


def test_an_unallocated_service_address_is_dropped(world: NftablesWorld) -> None:
    world.program([web()], at(POD_A))
    assert dial_in_vain(world.pod_b, "10.0.7.7", 80) == SILENCE
    assert dial_in_vain(world.pod_b, "fd00:10::77", 80) == SILENCE
    world.await_(world.backend.set_service_ranges((ip_network("10.0.4.0/24"),)))
    assert dial_in_vain(world.pod_b, "10.0.4.7", 80) == SILENCE
    with pytest.raises(OSError, match="unreachable"):  # by a router further on
        dial(world.pod_b, "10.0.7.7", 80)
    world.await_(world.backend.set_service_ranges(CONFIG.service_ranges))


def test_node_ports_answer_on_the_primary_address_alone(world: NftablesWorld) -> None:
    world.program([web()], at(POD_A, POD_A6))
    world.node.ip("addr add 10.240.0.111/32 dev lo")
    world.outside.ip("route add 10.240.0.111 via 10.240.0.11")
    try:
        assert dial(world.outside, NODE, 30080).server == POD_A
        assert dial(world.outside, NODE6, 30080).server == POD_A6
        assert dial(world.outside, "10.240.0.111", 30080) == REFUSED
        assert dial(world.node, "127.0.0.1", 30080) == REFUSED
        world.restart_proxy(NftablesConfig(node_port_addresses=(ip_network("10.240.0.64/26"),)))
        assert dial(world.outside, "10.240.0.111", 30080).server == POD_A
        assert dial(world.outside, NODE, 30080) == REFUSED
        world.restart_proxy(NftablesConfig(node_port_addresses=()))
        assert dial(world.outside, "10.240.0.111", 30080).server == POD_A
        assert dial(world.outside, NODE, 30080).server == POD_A
        assert dial(world.node, "127.0.0.1", 30080) == REFUSED  # as before, by the node itself
    finally:
        world.outside.ip("route del 10.240.0.111 via 10.240.0.11")
        world.node.ip("addr del 10.240.0.111/32 dev lo")
        world.restart_proxy()


@pytest.mark.parametrize("detector", [FromBridge("poda"), FromInterfacePrefix("poda")])
def test_pods_are_known_by_their_interface(world: NftablesWorld, detector: Any) -> None:
    by_interface = LocalNode(
        "node-1", addresses=THIS_NODE.addresses, detectors=tuple((each, detector) for each in Family)
    )
    world.program([web()], at(POD_FAR, POD_FAR6))
    world.detect_by(by_interface)
    try:
        world.program([web(externalTrafficPolicy="Local")], at(POD_FAR, POD_FAR6))
        assert dial(world.pod_a, CLUSTER_IP, 80) == Answer(POD_FAR, POD_A)
        assert dial(world.pod_b, CLUSTER_IP, 80) == Answer(POD_FAR, NODE)
        assert dial(world.pod_a, VIP6, 80) == Answer(POD_FAR6, POD_A6)
        assert dial_in_vain(world.pod_b, VIP, 80) == SILENCE
    finally:
        world.detect_by(THIS_NODE)
        world.program([], [])


def test_source_ranges_of_ipv6(world: NftablesWorld) -> None:
    world.program([web(loadBalancerSourceRanges=[f"{CLIENT6}/128", "fd00:10:244:1::2/127"])], at(POD_FAR6))
    assert dial(world.outside, VIP6, 80, source=CLIENT6) == Answer(POD_FAR6, NODE6)
    assert dial(world.pod_a, VIP6, 80) == Answer(POD_FAR6, NODE6)
    assert dial_in_vain(world.node, VIP6, 80) == SILENCE
    assert dial(world.node, NODE6, 30080).server == POD_FAR6


def test_a_pod_on_the_hosts_network_is_reached_on_the_nodes_own_address(world: NftablesWorld) -> None:
    def listen() -> socket.socket:
        listener = socket.create_server((NODE, 9090))
        listener.settimeout(PATIENCE)
        return listener

    host = endpoint_slice(endpoint(NODE), of="host", name="host", ports=({"port": 9090},))
    world.program([service("host", cluster_ips=("10.0.0.20",))], [host])
    with world.node.inside(listen) as listener:

        def serve() -> None:
            for _ in range(2):
                connection, peer = listener.accept()
                connection.sendall(f"{NODE} {peer[0]}".encode())
                connection.close()

        server = threading.Thread(target=serve)
        server.start()
        assert dial(world.pod_a, "10.0.0.20", 80) == Answer(NODE, POD_A)
        assert dial(world.node, "10.0.0.20", 80).server == NODE
        server.join()


def test_service_ranges_may_become_any_others(world: NftablesWorld) -> None:
    world.program([], [])
    texts = [
        "10.0.0.0/16",
        "10.0.0.0/15",
        "10.1.0.0/16",
        "10.0.0.0/16 10.1.0.0/16",
        "10.0.0.0/24 10.0.2.0/24",
        "10.0.1.0/24",
        "0.0.0.0/0",
        "10.0.0.0/16 255.255.0.0/16",
        "",
        "10.0.0.0/16",
    ]
    for text in [*texts, *reversed(texts)]:
        ranges = tuple(ip_network(each) for each in text.split())
        world.await_(world.backend.set_service_ranges(ranges))
    assert "elements = { 10.0.0.0/16 }" in world.nft("list set ip wellhead service-ranges")
    world.await_(world.backend.set_service_ranges(CONFIG.service_ranges))


def test_rules_do_not_grow_with_services(world: NftablesWorld) -> None:
    def rules(family: str) -> int:
        listed = world.nft(f"-t list table {family} wellhead")
        return len(listed[listed.index("chain") :].splitlines())

    def cluster(count: int) -> tuple[list[Any], list[Any]]:
        names = [f"s{number}" for number in range(count)]
        services = [service(each, cluster_ips=(f"10.0.1.{i}",)) for i, each in enumerate(names)]
        return services, [endpoint_slice(endpoint(POD_A), of=each, name=each) for each in names]

    world.program(*cluster(1))
    few = rules("ip")
    world.program(*cluster(200))
    assert rules("ip") == few
    assert dial(world.pod_b, "10.0.1.199", 80) == Answer(POD_A, POD_B)


def test_a_person_finds_a_service_in_the_listing(world: NftablesWorld) -> None:
    world.program([web()], at(POD_A, POD_B6))
    listed = world.saved()
    assert re.search(r'10\.0\.0\.10 \. tcp \. 80 comment "default/web:tcp cluster IP"', listed)
    assert re.search(r'tcp \. 30080 comment "default/web:tcp node port"', listed)
    assert re.search(r'comment "default/web:tcp" : 10\.244\.1\.2 \. 8080', listed)


def test_nft_can_read_its_own_listing_of_our_table(world: NftablesWorld) -> None:
    """So that tools which save and restore all rules are not tripped up."""
    services = [sticky(externalTrafficPolicy="Local", loadBalancerSourceRanges=[f"{CLIENT}/32", "::1/128"])]
    world.program(services, at(POD_A, POD_FAR, *ALL_IPV6))
    listed = world.nft("list ruleset")
    world.node.run("nft -c -f -", "flush ruleset\n" + listed)


def test_no_mark_and_no_priority_stay_on_packets(world: NftablesWorld) -> None:
    world.program([web()], at(POD_FAR, POD_FAR6))
    world.node.run(
        "nft -f -",
        """
        table inet witness {
            counter seen { }
            chain out {
                type filter hook postrouting priority 300;
                tcp flags syn / syn,ack meta mark != 0 counter name seen
                tcp flags syn / syn,ack meta priority > 0:f counter name seen
            }
        }
        """,
    )
    try:
        assert dial(world.outside, VIP, 80) == Answer(POD_FAR, NODE)
        assert dial(world.outside, VIP6, 80) == Answer(POD_FAR6, NODE6)
        assert dial(world.node, CLUSTER_IP, 80) == Answer(POD_FAR, NODE)
        assert dial(world.node, CLUSTER_IP6, 80) == Answer(POD_FAR6, NODE6)
        assert "packets 0 bytes 0" in world.nft("list counters table inet witness")
    finally:
        world.nft("delete table inet witness")


def test_other_bits_of_a_mark_are_left_alone(world: NftablesWorld) -> None:
    world.program([web()], at(POD_A))
    world.node.run(
        "nft -f -",
        """
        table inet witness {
            counter seen { }
            chain in { type filter hook prerouting priority -150; meta mark set 0xabcd0001; }
            chain out {
                type filter hook postrouting priority 300;
                tcp flags syn / syn,ack meta mark 0xabcd0001 counter name seen
            }
        }
        """,
    )
    try:
        assert dial(world.outside, VIP, 80) == Answer(POD_A, GATEWAY)
        assert "packets 0 bytes" not in world.nft("list counters table inet witness")
    finally:
        world.nft("delete table inet witness")
