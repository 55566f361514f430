"""Which endpoints are used: readiness, the fallback to draining ones, topology hints."""

from __future__ import annotations

from typing import Any

from tests.unit.services.objects import DRAINING, STOPPING, endpoint, endpoint_slice, node
from wellhead.ip import Family, Protocol
from wellhead.services.endpointslice import join_slices
from wellhead.services.traffic import candidates


def chosen(*endpoints: Any, zone: str = "") -> tuple[list[str], list[str]]:
    joined = join_slices([endpoint_slice(*endpoints)], Family.IPV4, "", Protocol.TCP)
    found = candidates(joined, node(zone=zone))
    return [str(each.ip) for each in found.cluster], [str(each.ip) for each in found.local]


def test_the_local_view_holds_the_endpoints_of_this_node() -> None:
    assert chosen(endpoint("10.0.0.1", "node-1"), endpoint("10.0.0.2", "node-2")) == (
        ["10.0.0.1", "10.0.0.2"],
        ["10.0.0.1"],
    )


def test_an_endpoint_without_a_node_is_local_to_none() -> None:
    assert chosen(endpoint("10.0.0.1", None)) == (["10.0.0.1"], [])


def test_endpoints_that_are_not_ready_are_not_used() -> None:
    assert chosen(endpoint("10.0.0.1", ready=False), endpoint("10.0.0.2")) == (["10.0.0.2"], ["10.0.0.2"])


def test_draining_endpoints_are_used_when_none_is_ready() -> None:
    draining, gone = endpoint("10.0.0.1", **DRAINING), endpoint("10.0.0.2", **STOPPING)
    assert chosen(draining, gone) == (["10.0.0.1"], ["10.0.0.1"])


def test_the_two_views_fall_back_independently() -> None:
    here, there = endpoint("10.0.0.1", "node-1", **DRAINING), endpoint("10.0.0.2", "node-2")
    assert chosen(here, there) == (["10.0.0.2"], ["10.0.0.1"])


def test_a_not_ready_endpoint_that_stays_is_no_fallback() -> None:
    assert chosen(endpoint("10.0.0.1", ready=False, serving=True)) == ([], [])


def test_node_hints_come_before_zone_hints() -> None:
    here = endpoint("10.0.0.1", for_nodes=("node-1",), for_zones=("a",))
    there = endpoint("10.0.0.2", "node-2", for_nodes=("node-2",), for_zones=("a",))
    assert chosen(here, there, zone="a")[0] == ["10.0.0.1"]


def test_zone_hints_apply_when_no_node_hint_names_this_node() -> None:
    near = endpoint("10.0.0.1", "node-3", for_nodes=("node-3",), for_zones=("a",))
    far = endpoint("10.0.0.2", "node-2", for_nodes=("node-2",), for_zones=("b",))
    assert chosen(near, far, zone="a")[0] == ["10.0.0.1"]


def test_one_ready_endpoint_without_hint_turns_hints_off() -> None:
    hinted, plain = endpoint("10.0.0.1", for_zones=("a",)), endpoint("10.0.0.2")
    assert chosen(hinted, plain, zone="a")[0] == ["10.0.0.1", "10.0.0.2"]


def test_hints_of_endpoints_that_are_not_ready_do_not_count() -> None:
    hinted, unready = endpoint("10.0.0.1", for_zones=("a",)), endpoint("10.0.0.2", ready=False)
    other = endpoint("10.0.0.3", for_zones=("b",))
    assert chosen(hinted, unready, other, zone="a")[0] == ["10.0.0.1"]


def test_zone_hints_need_this_nodes_zone() -> None:
    one, other = endpoint("10.0.0.1", for_zones=("a",)), endpoint("10.0.0.2", for_zones=("b",))
    assert chosen(one, other, zone="")[0] == ["10.0.0.1", "10.0.0.2"]
    assert chosen(one, other, zone="c")[0] == ["10.0.0.1", "10.0.0.2"]


def test_hints_do_not_narrow_the_local_view() -> None:
    here = endpoint("10.0.0.1", "node-1", for_zones=("b",))
    there = endpoint("10.0.0.2", "node-2", for_zones=("a",))
    assert chosen(here, there, zone="a") == (["10.0.0.2"], ["10.0.0.1"])
