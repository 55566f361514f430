"""What is read out of EndpointSlice objects, and how a Service's slices are joined."""

from __future__ import annotations

import itertools

from tests.unit.services.objects import DRAINING, endpoint, endpoint_slice, slice_object
from wellhead.ip import Family, Protocol
from wellhead.services.endpointslice import EndpointSlice, conditions, join_slices, parse_endpoint_slice


def joined(*slices: EndpointSlice, name: str = "", protocol: Protocol = Protocol.TCP) -> list[str]:
    return [str(address) for address in join_slices(slices, Family.IPV4, name, protocol)]


def test_unset_conditions_mean_ready_serving_not_terminating() -> None:
    [parsed] = endpoint_slice(endpoint("10.244.1.2")).endpoints
    assert (parsed.ready, parsed.serving, parsed.terminating) == (True, True, False)


def test_whoever_asks_reads_conditions_alike() -> None:
    for said in itertools.product((None, True, False), repeat=3):
        names = ("ready", "serving", "terminating")
        one = endpoint("10.244.1.2") | {"conditions": dict(zip(names, said, strict=True))}
        [parsed] = endpoint_slice(one).endpoints
        assert conditions(one) == (parsed.ready, parsed.serving, parsed.terminating)
    assert conditions({}) == conditions({"conditions": None}) == (True, True, False)


def test_a_slice_labelled_headless_is_ignored_whatever_the_value() -> None:
    for value in ("", "false"):
        assert parse_endpoint_slice(slice_object(labels={"service.kubernetes.io/headless": value})) is None


def test_slices_of_host_names_and_of_no_service_are_ignored() -> None:
    assert parse_endpoint_slice(slice_object(family="FQDN")) is None
    unowned = slice_object()
    del unowned["metadata"]["labels"]["kubernetes.io/service-name"]
    assert parse_endpoint_slice(unowned) is None


def test_the_first_of_an_endpoints_addresses_is_used() -> None:
    both = {"addresses": ["10.244.1.2", "10.244.1.3"]}
    assert joined(endpoint_slice(both)) == ["10.244.1.2:8080"]


def test_a_slice_without_ports_or_addresses_gives_no_endpoints() -> None:
    assert joined(endpoint_slice(endpoint("10.244.1.2"), ports=())) == []
    empty = slice_object()
    empty["endpoints"], empty["ports"] = None, None
    assert parse_endpoint_slice(empty) is not None


def test_ports_match_by_name_and_protocol() -> None:
    ports = (
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    )
    one = endpoint_slice(endpoint("10.244.1.2"), ports=ports)
    assert joined(one, name="dns", protocol=Protocol.UDP) == ["10.244.1.2:53"]
    assert joined(one, name="dns", protocol=Protocol.TCP) == []
    assert joined(one, name="dns-tcp") == ["10.244.1.2:53"]


def test_endpoints_are_ordered_by_address_as_numbers() -> None:
    one = endpoint_slice(endpoint("10.244.1.10"), endpoint("10.244.1.9"), name="a")
    other = endpoint_slice(endpoint("10.244.1.2"), name="b", ports=({"port": 9090},))
    assert joined(one, other) == ["10.244.1.2:9090", "10.244.1.9:8080", "10.244.1.10:8080"]


def test_an_address_seen_twice_counts_once_and_the_one_that_stays_wins() -> None:
    old = endpoint_slice(endpoint("10.244.1.2", **DRAINING), name="a")
    new = endpoint_slice(endpoint("10.244.1.2", ready=True), name="b")
    for slices in ((old, new), (new, old)):
        [found] = join_slices(slices, Family.IPV4, "", Protocol.TCP).values()
        assert found.ready


def test_ipv6_addresses_are_bracketed() -> None:
    six = endpoint_slice(endpoint("fd00::2"), family="IPv6")
    [address] = join_slices([six], Family.IPV6, "", Protocol.TCP)
    assert str(address) == "[fd00::2]:8080"
