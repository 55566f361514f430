"""What a node does, from what the nodes are and say."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from tests.unit.proxy.symmetric_return.nodes import SETTINGS, end, mac, node, on_link
from wellhead.ip import IPAddress
from wellhead.linux.numbers import TUNNEL_DEVICE
from wellhead.linux.routes import Interface
from wellhead.proxy.marks import Marks
from wellhead.proxy.symmetric_return.announcement import ANNOTATION, TunnelEnd, encode
from wellhead.proxy.symmetric_return.nodes import (
    NodeFacts,
    OnLink,
    facts,
    hardware_address_for,
    inside,
    make_plan,
    needs_tunnel,
    tunnel_of,
)
from wellhead.proxy.symmetric_return.numbers import Numbers
from wellhead.proxy.symmetric_return.plan import Plan, Sender, Tunnel
from wellhead.proxy.symmetric_return.settings import ReturnSettings

ME = node(1)
INTERFACES = {each: Interface("eth0", mac(1), 1600) for each in ME.addresses}


def plan(
    *others: NodeFacts,
    reached: OnLink = on_link(2, 3),  # noqa: B008 - a constant
    tunnel: Tunnel | None = None,
    settings: ReturnSettings = SETTINGS,
) -> Plan:
    return make_plan(ME, others, settings, Marks(), Numbers(4095, {}), (), reached, tunnel)


def test_peers_on_the_link_are_recognised_by_what_they_announce() -> None:
    made = plan(node(2), node(3))
    assert [each.name for each in made.peers] == ["node-2", "node-3"]
    assert made.peers[0].senders == (Sender("eth0", mac(2)),)
    assert [str(each.address) for each in made.peers[0].ways] == ["10.240.0.12", "fd00:10:240::12"]
    assert made.link_devices == ("eth0",)
    assert made.tunnelled == ()


def test_silent_node_is_no_peer() -> None:
    assert plan(node(2, silent=True)).peers == ()


def test_node_off_the_link_is_no_peer_without_a_tunnel() -> None:
    assert plan(node(2, tunnel=end(2)), reached=on_link()).peers == ()
    tunnel = tunnel_of(ME, INTERFACES, SETTINGS)
    assert plan(node(2), reached=on_link(), tunnel=tunnel).peers == (), "the other has none"


def test_tunnel_leads_to_peers_off_the_link() -> None:
    made = plan(
        node(2, tunnel=end(2)), node(3), reached=on_link(3), tunnel=tunnel_of(ME, INTERFACES, SETTINGS)
    )
    two, three = made.peers
    assert {each.device for each in two.ways} == {TUNNEL_DEVICE}
    assert {each.device for each in three.ways} == {"eth0"}
    assert made.tunnel is not None
    [far] = made.tunnel.peers
    assert (str(far.end), far.hardware_address) == (
        "10.240.0.12",
        hardware_address_for(ip_address("10.240.0.12")),
    )
    four, six = far.addresses
    assert str(four) == "10.240.0.12"
    assert six.is_link_local, "the kernel refuses a gateway that a route has on another interface"


def test_peer_with_both_ways_is_recognised_on_both() -> None:
    """It may find the link unfit where we don't."""
    made = plan(node(2, tunnel=end(2)), tunnel=tunnel_of(ME, INTERFACES, SETTINGS))
    [two] = made.peers
    assert not two.tunnelled
    assert [each.device for each in two.senders] == ["eth0", TUNNEL_DEVICE]


def test_peer_that_wants_the_tunnel_alone_gets_it() -> None:
    other = node(2, links=False, tunnel=end(2))
    assert needs_tunnel([other], SETTINGS, on_link(2))
    [two] = plan(other, tunnel=tunnel_of(ME, INTERFACES, SETTINGS)).peers
    assert two.tunnelled


@pytest.mark.parametrize("other", [end(2, vni=1), end(2, port=1), end(3)])
def test_tunnel_that_does_not_fit_is_none(other: TunnelEnd) -> None:
    assert (
        plan(node(2, tunnel=other), reached=on_link(), tunnel=tunnel_of(ME, INTERFACES, SETTINGS)).peers == ()
    )


@pytest.mark.parametrize(
    ("path", "reached", "expected"),
    [
        ("auto", on_link(2), False),
        ("auto", on_link(), True),
        ("link", on_link(), False),
        ("tunnel", on_link(2), True),
    ],
)
def test_tunnel_is_made_when_needed(path: str, reached: OnLink, expected: bool) -> None:
    settings = ReturnSettings(path=path)  # type: ignore[arg-type]
    assert needs_tunnel([node(2)], settings, reached) is expected
    assert needs_tunnel([node(2, silent=True)], settings, reached) is (path == "tunnel")


def test_tunnel_leaves_room_for_its_header() -> None:
    found = tunnel_of(ME, INTERFACES, SETTINGS)
    assert found is not None
    assert found.mtu == 1550
    six: dict[IPAddress, Interface] = {each: it for each, it in INTERFACES.items() if each.version == 6}
    found = tunnel_of(ME, six, SETTINGS)
    assert found is not None
    assert found.mtu == 1530
    assert tunnel_of(ME, {}, SETTINGS) is None


def test_everything_of_the_nodes_is_inside() -> None:
    assert inside([ME, node(2, silent=True)], [ip_network("10.0.0.0/16")]) == tuple(
        map(
            ip_network,
            [
                "10.0.0.0/16",
                "10.240.0.11/32",
                "10.240.0.12/32",
                "10.244.1.0/24",
                "10.244.2.0/24",
                "fd00:10:240::11/128",
                "fd00:10:240::12/128",
                "fd00:10:244:1::/64",
                "fd00:10:244:2::/64",
            ],
        )
    )


def test_node_object_is_read() -> None:
    said = node(2, tunnel=end(2)).announced
    assert said is not None
    found = facts(
        {
            "metadata": {"name": "node-2", "annotations": {ANNOTATION: encode(said)}},
            "spec": {"podCIDRs": ["10.244.2.0/24"]},
            "status": {
                "addresses": [
                    {"type": "Hostname", "address": "node-2"},
                    {"type": "InternalIP", "address": "10.240.0.12"},
                    {"type": "ExternalIP", "address": "192.0.2.12"},
                ]
            },
        }
    )
    assert found.announced == said
    assert [str(each) for each in found.addresses] == ["10.240.0.12"]
    assert [str(each) for each in found.other_addresses] == ["192.0.2.12"]
    assert ip_network("192.0.2.12/32") in inside([found], [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "no JSON",
        '{"version":2}',
        '{"version":1,"links":{"x":"02:00:00:00:00:01"}}',
        '{"version":1,"links":{"10.0.0.1":"\\"; flush ruleset"}}',
        '{"version":1,"tunnel":{"address":"10.0.0.1"}}',
    ],
)
def test_announcement_that_makes_no_sense_is_silence(text: str) -> None:
    node_object = {"metadata": {"name": "node-2", "annotations": {ANNOTATION: text}}}
    assert facts(node_object).announced is None


def test_announcement_may_have_more_to_say() -> None:
    text = '{"version":1,"links":{"10.0.0.1":"02:00:00:00:00:01"},"weather":"fine"}'
    assert facts({"metadata": {"name": "node-2", "annotations": {ANNOTATION: text}}}).announced is not None
