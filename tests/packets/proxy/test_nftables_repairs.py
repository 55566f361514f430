"""Restarts of nftables mode, and what others do to its table."""

from __future__ import annotations

import asyncio
import re
import socket
import threading

import pytest

from tests.packets.proxy.backends import by_nftables
from tests.packets.proxy.nftables_world import ALL_IPV6, NftablesWorld, sticky
from tests.packets.proxy.test_source_ip import (
    CLUSTER_IP,
    VIP,
    at,
    web,
)
from tests.packets.proxy.world import (
    CLIENT,
    NODE,
    POD_A,
    POD_A6,
    POD_B,
    POD_FAR,
    SILENCE,
    Answer,
    dial,
    dial_in_vain,
)
from tests.patience import PATIENCE, until
from tests.unit.services.objects import endpoint, endpoint_slice, service
from wellhead.ip import Family
from wellhead.linux.nftables.socket import Socket
from wellhead.proxy.backends.nftables.backend import NftablesBackend

pytestmark = [pytest.mark.cluster, by_nftables]


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
        client.settimeout(PATIENCE)
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
            answers.append(dial(world.pod_b, CLUSTER_IP, 80))

    thread = threading.Thread(target=keep_dialling)
    thread.start()
    try:
        for turn in range(20):
            world.program([web()], states[turn % len(states)])
            if turn % 5 == 0:
                world.restart_proxy()
            so_many = len(answers)
            until(lambda so_many=so_many: len(answers) > so_many)  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()
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
    assert _without_times(world.saved()) == _without_times(before)
    assert world.await_(world.backend.check()) is False


def test_a_packet_that_finds_no_endpoint_is_not_passed_on_untranslated(world: NftablesWorld) -> None:
    """As may happen to one whose look-ups are on both sides of a change: the client tries again."""
    world.program([web()], at(POD_A))
    world.nft("flush map ip wellhead endpoints")
    assert dial_in_vain(world.pod_b, CLUSTER_IP, 80) == SILENCE
    assert dial_in_vain(world.outside, NODE, 30080) == SILENCE
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
    await asyncio.wait_for(backend.changed(), PATIENCE)
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


class _Watcher:
    """Counts transactions by the rules' generation."""

    def __init__(self, world: NftablesWorld) -> None:
        self._world = world
        self._before = self._generation()

    def _generation(self) -> int:
        def read() -> int:
            netlink = Socket()
            try:
                return netlink.generation()
            finally:
                netlink.close()

        return self._world.node.inside(read)

    def transactions(self) -> int:
        return self._generation() - self._before


def _without_times(listed: str) -> list[str]:
    return sorted(re.sub(r"expires \w+", "", listed).split())
