"""What nftables mode does beyond iptables mode, or in its own way."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from ipaddress import ip_network
from typing import Any

import pytest

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
)
from tests.packets.proxy_nftables.world import CONFIG, NftablesWorld
from tests.unit.services.objects import endpoint, endpoint_slice, service
from wellhead.proxy.backends.nftables.backend import NftablesBackend
from wellhead.proxy.backends.nftables.kernel import generation
from wellhead.proxy.backends.nftables.netlink import Socket
from wellhead.proxy.backends.nftables.ruleset import NftablesConfig
from wellhead.services.family import Family
from wellhead.services.node import FromBridge, FromInterfacePrefix, LocalNode

pytestmark = pytest.mark.cluster

ALL_IPV6 = (POD_A6, POD_B6, POD_FAR6)


def sticky(seconds: int = 10800, **spec: Any) -> Any:
    config = {"clientIP": {"timeoutSeconds": seconds}}
    return web(sessionAffinity="ClientIP", sessionAffinityConfig=config, **spec)


# ---- who may come in, and where to


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
    assert dial(world.pod_b, "10.0.7.7", 80, timeout=0.3) == SILENCE
    assert dial(world.pod_b, "fd00:10::77", 80, timeout=0.3) == SILENCE
    world.await_(world.backend.set_service_ranges((ip_network("10.0.4.0/24"),)))
    assert dial(world.pod_b, "10.0.4.7", 80, timeout=0.3) == SILENCE
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
        assert dial(world.pod_b, VIP, 80, timeout=0.3) == SILENCE
    finally:
        world.detect_by(THIS_NODE)
        world.program([], [])


def test_source_ranges_of_ipv6(world: NftablesWorld) -> None:
    world.program([web(loadBalancerSourceRanges=[f"{CLIENT6}/128", "fd00:10:244:1::2/127"])], at(POD_FAR6))
    assert dial(world.outside, VIP6, 80, source=CLIENT6) == Answer(POD_FAR6, NODE6)
    assert dial(world.pod_a, VIP6, 80) == Answer(POD_FAR6, NODE6)
    assert dial(world.node, VIP6, 80, timeout=0.3) == SILENCE
    assert dial(world.node, NODE6, 30080).server == POD_FAR6


def test_a_pod_on_the_hosts_network_is_reached_on_the_nodes_own_address(world: NftablesWorld) -> None:
    def listen() -> socket.socket:
        listener = socket.create_server((NODE, 9090))
        listener.settimeout(5)
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


# ---- affinity


@pytest.mark.parametrize("udp", [False, True])
def test_an_ipv6_client_returns_to_its_endpoint_whichever_address_it_dials(
    world: NftablesWorld, udp: bool
) -> None:
    world.program([], [])
    world.program([sticky()], at(*ALL_IPV6))
    first = dial(world.outside, VIP6, 80, source=CLIENT6, udp=udp).server
    for _ in range(8):
        assert dial(world.outside, VIP6, 80, source=CLIENT6, udp=udp).server == first
        assert dial(world.outside, NODE6, 30080, source=CLIENT6, udp=udp).server == first
    clients = {each[0]["elem"]["val"]["concat"][1] for each in world.elements("affinity", "ip6")}
    assert clients == {CLIENT6}


def test_ipv6_clients_are_told_apart(world: NftablesWorld) -> None:
    """nft 1.0.6 would compile the same rules to write the key's last word over."""
    sources = [f"2001:db8:51::79:{number:x}" for number in range(1, 25)]
    world.program([], [])
    world.program([sticky()], at(*ALL_IPV6))
    world.outside.ip(*(f"addr add {each}/128 dev lo nodad" for each in sources))
    try:
        first = {each: dial(world.outside, VIP6, 80, source=each).server for each in sources}
        assert set(first.values()) == set(ALL_IPV6)
        assert {each: dial(world.outside, VIP6, 80, source=each).server for each in sources} == first
    finally:
        world.outside.ip(*(f"addr del {each}/128 dev lo" for each in sources))


def test_another_ipv6_endpoint_moves_nobody_and_a_removed_one_is_left_at_once(world: NftablesWorld) -> None:
    world.program([], [])
    world.program([sticky()], at(POD_A6))
    assert dial(world.outside, VIP6, 80, source=CLIENT6).server == POD_A6
    world.program([sticky()], at(*ALL_IPV6))
    for _ in range(8):
        assert dial(world.outside, VIP6, 80, source=CLIENT6).server == POD_A6
    world.program([sticky()], at(POD_B6, POD_FAR6))
    second = dial(world.outside, VIP6, 80, source=CLIENT6).server
    assert second in (POD_B6, POD_FAR6)
    for _ in range(8):
        assert dial(world.outside, VIP6, 80, source=CLIENT6).server == second


def test_affinity_never_leads_local_traffic_off_the_node(world: NftablesWorld) -> None:
    world.program([], [])
    local = sticky(externalTrafficPolicy="Local")
    world.program([local], at(POD_FAR))
    assert dial(world.pod_a, VIP, 80).server == POD_FAR  # the short circuit; remembered
    both = at(POD_B, POD_FAR)
    world.program([sticky(internalTrafficPolicy="Local", externalTrafficPolicy="Local")], both)
    assert dial(world.pod_a, CLUSTER_IP, 80).server == POD_B
    assert dial(world.pod_a, VIP, 80).server == POD_B  # the same memory


def test_a_client_is_forgotten_when_it_stays_away(world: NftablesWorld) -> None:
    world.program([], [])
    world.program([sticky(1)], at(POD_A, POD_B, POD_FAR))
    world.nft("flush map ip wellhead affinity")
    world.program([sticky(1)], at(POD_A, POD_B, POD_FAR))
    dial(world.outside, VIP, 80, source=CLIENT)
    (remembered,) = (each[0]["elem"] for each in world.elements("affinity"))
    assert remembered["timeout"] == 1
    for _ in range(100):
        if not world.elements("affinity"):
            return
        threading.Event().wait(0.05)
    pytest.fail("still remembered")


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


def test_the_timeout_counts_from_the_last_new_connection(world: NftablesWorld) -> None:
    def left() -> int:
        (remembered,) = (each[0]["elem"] for each in world.elements("affinity", "ip6"))
        seconds: int = remembered["expires"]
        return seconds

    world.program([], [])
    world.program([sticky(100)], at(*ALL_IPV6))
    world.nft("flush map ip6 wellhead affinity")
    world.await_(world.backend.check())
    first = dial(world.outside, VIP6, 80, source=CLIENT6).server
    while left() > 97:
        threading.Event().wait(0.1)
    assert dial(world.outside, VIP6, 80, source=CLIENT6).server == first
    assert left() >= 99


# ---- restarts, and what others do


def test_a_restart_changes_nothing_and_drops_nothing(world: NftablesWorld) -> None:
    services = [sticky(externalTrafficPolicy="Local", loadBalancerSourceRanges=[f"{CLIENT}/32"])]
    services.append(service("empty", cluster_ips=("10.0.0.12", "fd00:10::12"), externalIPs=["198.18.0.7"]))
    pods = (POD_A, POD_B, POD_FAR, *ALL_IPV6)
    world.program([], [])
    world.program(services, at(*pods, POD_A))
    world.program(services, at(*pods[1:]))  # so that endpoints have moved
    world.restart_proxy()  # removes the chains that earlier tests needed
    first = dial(world.outside, VIP, 80, source=CLIENT).server
    before = [world.saved(each) for each in Family]
    watcher = _Watcher(world)
    world.restart_proxy()
    assert watcher.transactions() == 0
    assert [_without_times(world.saved(each)) for each in Family] == [_without_times(each) for each in before]
    assert dial(world.outside, VIP, 80, source=CLIENT).server == first


def test_a_restart_applies_what_happened_meanwhile(world: NftablesWorld) -> None:
    world.program([web()], at(POD_A))
    world.stop_proxy()
    other = service("other", cluster_ips=("10.0.0.30",))
    far = endpoint_slice(endpoint(POD_FAR, "node-2"), of="other", name="other")
    world._now = (
        {each.key: each for each in (web(), other)},
        {each.name: each for each in (*at(POD_B), far)},
    )
    world.restart_proxy()
    assert dial(world.pod_a, CLUSTER_IP, 80).server == POD_B
    assert dial(world.pod_a, "10.0.0.30", 80).server == POD_FAR


def test_held_connections_survive_a_restart_and_a_flush(world: NftablesWorld) -> None:
    echo = endpoint_slice(endpoint(POD_A), of="echo", name="echo", ports=({"port": 7777},))
    world.program([service("echo", cluster_ips=("10.0.0.40",))], [echo])

    def listen() -> socket.socket:
        return socket.create_server((POD_A, 7777))

    with world.pod_a.inside(listen) as listener, world.pod_b.inside(socket.socket) as client:
        client.settimeout(5)
        client.connect(("10.0.0.40", 80))
        connection, _ = listener.accept()
        with connection:

            def say(word: bytes) -> None:
                client.sendall(word)
                assert connection.recv(100) == word
                connection.sendall(word[::-1])
                assert client.recv(100) == word[::-1]

            say(b"before")
            world.restart_proxy()
            say(b"after a restart")
            world.nft("flush ruleset")
            assert world.await_(_noticed(world.backend))
            say(b"after a flush")


def test_new_connections_never_fail_across_changes_and_restarts(world: NftablesWorld) -> None:
    states = [at(POD_A), at(POD_A, POD_B), at(POD_B), at(POD_A, POD_B, POD_FAR)]
    world.program([web()], states[0])
    stop = threading.Event()
    answers: list[Answer] = []

    def keep_dialling() -> None:
        while not stop.is_set():
            # A first packet that meets a change half-way is dropped rather than sent where nobody decided:
            # its sender repeats it after a second, and then must get through.
            answers.append(dial(world.pod_b, CLUSTER_IP, 80, timeout=2.5))

    thread = threading.Thread(target=keep_dialling)
    thread.start()
    try:
        for turn in range(20):
            world.program([web()], states[turn % len(states)])
            if turn % 5 == 0:
                world.restart_proxy()
    finally:
        stop.set()
        thread.join()
    assert len(answers) > 20
    assert {each.server for each in answers} <= {POD_A, POD_B, POD_FAR}


@pytest.mark.parametrize(
    "damage",
    [
        "flush ruleset",
        "delete table ip wellhead",
        "flush map ip wellhead services",
        "flush chain ip wellhead services",
        "delete element ip wellhead cluster-ips { 10.0.0.10 }",
        "insert rule ip wellhead nat-prerouting tcp dport 80 drop",
        "add element ip wellhead services { 10.0.0.10 . tcp . 81 : 4:0 }",
        "insert rule ip wellhead services tcp dport { 80, 81 } drop",
        "add chain ip wellhead intruder",
        "add set ip wellhead intruders { type ipv4_addr; }",
    ],
)
def test_what_others_change_is_noticed_and_put_back(world: NftablesWorld, damage: str) -> None:
    world.program([web()], at(POD_A))
    before = world.saved()
    world.nft(damage)
    assert world.await_(_noticed(world.backend))
    assert dial(world.pod_b, CLUSTER_IP, 80) == Answer(POD_A, POD_B)
    assert sorted(world.saved().split()) == sorted(before.split())
    assert world.await_(world.backend.check()) is False


def test_a_packet_that_finds_no_endpoint_is_not_passed_on_untranslated(world: NftablesWorld) -> None:
    """As may happen to one whose look-ups are on both sides of a change: the client tries again."""
    world.program([web()], at(POD_A))
    world.nft("flush map ip wellhead endpoints")
    assert dial(world.pod_b, CLUSTER_IP, 80, timeout=0.3) == SILENCE
    assert dial(world.outside, NODE, 30080, timeout=0.3) == SILENCE
    assert world.await_(_noticed(world.backend))
    assert dial(world.pod_b, CLUSTER_IP, 80).server == POD_A


def test_a_change_after_unnoticed_damage_still_gets_through(world: NftablesWorld) -> None:
    world.program([web()], at(POD_A, POD_B))
    world.nft("delete table ip wellhead")
    world.program([web()], at(POD_FAR))
    assert dial(world.pod_b, CLUSTER_IP, 80).server == POD_FAR


def test_our_own_changes_are_not_taken_for_others(world: NftablesWorld) -> None:
    world.program([web()], at(POD_A))
    world.await_(world.backend.check())
    world.program([web()], at(POD_A, POD_B))
    world.nft("add table ip somebody")
    world.nft("delete table ip somebody")
    assert world.await_(world.backend.check()) is False


async def _noticed(backend: NftablesBackend) -> bool:
    await asyncio.wait_for(backend.changed(), 5)
    return await backend.check()


def test_cleaning_up_leaves_nothing_of_ours_and_all_of_others(world: NftablesWorld) -> None:
    world.nft("add table ip somebody")
    world.program([web()], at(POD_A, POD_A6))
    world.await_(world.backend.cleanup())
    assert world.nft("list ruleset") == "table ip somebody {\n}\n"
    world.nft("delete table ip somebody")
    world.await_(world.backend.cleanup())
    world.program([web()], at(POD_B))
    assert dial(world.pod_a, CLUSTER_IP, 80).server == POD_B


# ---- what the rules are like


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


class _Watcher:
    """Counts transactions by the rules' generation."""

    def __init__(self, world: NftablesWorld) -> None:
        self._world = world
        self._before = self._generation()

    def _generation(self) -> int:
        def read() -> int:
            netlink = Socket()
            try:
                return generation(netlink)
            finally:
                netlink.close()

        return self._world.node.inside(read)

    def transactions(self) -> int:
        return self._generation() - self._before


def _without_times(listed: str) -> list[str]:
    return sorted(re.sub(r"expires \w+", "", listed).split())
