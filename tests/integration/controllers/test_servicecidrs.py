"""ServiceCIDRs stay while a ClusterIP would be left without a range, and no longer."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.controllers.world import World, service
from wellhead.api.errors import InternalError, NotFound
from wellhead.api.kinds.ipaddress import ip_address_of
from wellhead.api.meta import Obj, condition, is_deleting
from wellhead.api.ranges import is_usable
from wellhead.api.resources import SERVICECIDRS, SERVICES
from wellhead.controllers.servicecidr.protection import may_go

FINALIZER = "networking.k8s.io/service-cidr-finalizer"


def servicecidr(name: str, *cidrs: str, deleting: bool = False) -> Obj:
    metadata: Obj = {"name": name}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": metadata,
        "spec": {"cidrs": list(cidrs)},
    }


def used(*addresses: str) -> list[Obj]:
    return [ip_address_of(ip_address(each), ("default", "a")) for each in addresses]


@pytest.mark.parametrize(
    ("others", "addresses", "free"),
    [
        ([], [], True),
        ([], ["10.1.0.7"], False),
        ([], ["10.2.0.7"], True),
        (["10.0.0.0/8"], ["10.1.0.7"], True),
        (["10.1.0.0/16"], ["10.1.0.7"], True),
        (["10.1.0.0/25"], ["10.1.0.7"], True),
        (["10.1.0.0/25"], ["10.1.0.7", "10.1.0.200"], False),
        # A network's own address is none of its.
        (["10.1.0.7/32"], ["10.1.0.7"], False),
        (["fd00::/64"], ["10.1.0.7"], False),
    ],
)
def test_a_range_may_go_when_others_have_its_addresses(
    others: list[str], addresses: list[str], free: bool
) -> None:
    rest = [servicecidr(f"other-{index}", cidr) for index, cidr in enumerate(others)]
    assert may_go(servicecidr("a", "10.1.0.0/16"), rest, used(*addresses)) is free


def test_two_that_go_at_once_do_not_count_on_each_other() -> None:
    going = servicecidr("b", "10.1.0.0/16", deleting=True)
    assert not may_go(servicecidr("a", "10.1.0.0/16"), [going], used("10.1.0.7"))


def test_an_address_that_is_no_cluster_ip_holds_nothing() -> None:
    [theirs] = used("10.1.0.7")
    theirs["metadata"]["labels"] = {}
    assert may_go(servicecidr("a", "10.1.0.0/16"), [], [theirs])


CIDRS = st.sampled_from(
    ["10.0.0.0/29", "10.0.0.0/30", "10.0.0.4/30", "10.0.0.0/28", "fd00::/125", "fd00::/124"]
)
ADDRESSES = st.sampled_from([f"10.0.0.{i}" for i in range(16)] + [f"fd00::{i:x}" for i in range(16)])


@given(st.lists(CIDRS, min_size=1, max_size=4), st.sets(ADDRESSES, max_size=8))
def test_no_address_loses_its_last_range(cidrs: list[str], addresses: set[str]) -> None:
    def has_range(text: str, among: list[str]) -> bool:
        return any(is_usable(ip_address(text), ip_network(cidr)) for cidr in among)

    first, *rest = cidrs
    others = [servicecidr(f"other-{index}", cidr) for index, cidr in enumerate(rest)]
    lost = [text for text in addresses if has_range(text, [first]) and not has_range(text, rest)]
    assert may_go(servicecidr("a", first), others, used(*addresses)) is (not lost)


async def found(world: World, name: str) -> Obj | None:
    try:
        return await world.client.get(SERVICECIDRS, name)
    except NotFound:
        return None


async def test_the_default_one_is_ready_and_protected(world: World) -> None:
    default = await world.until(
        lambda: world.client.get(SERVICECIDRS, "kubernetes"),
        lambda each: FINALIZER in each["metadata"].get("finalizers", ()),
    )
    assert default["spec"]["cidrs"] == ["10.0.0.0/16", "fd00:10::/112"]
    ready = condition(default, "Ready")
    assert ready is not None
    assert (ready["status"], ready["message"]) == ("True", "Kubernetes default Service CIDR is ready")


async def test_a_range_in_use_goes_when_its_last_service_goes(world: World) -> None:
    await world.client.create(SERVICECIDRS, servicecidr("extra", "192.168.7.0/29"))
    await world.until(
        lambda: found(world, "extra"),
        lambda each: each and FINALIZER in each["metadata"].get("finalizers", ()),
    )
    await world.client.create(SERVICES, service("a", clusterIP="192.168.7.3"))
    await world.client.delete(SERVICECIDRS, "extra")
    blocked = await world.until(
        lambda: found(world, "extra"),
        lambda each: each and (condition(each, "Ready") or {}).get("status") == "False",
    )
    assert blocked is not None
    assert is_deleting(blocked)
    assert (condition(blocked, "Ready") or {})["reason"] == "Terminating"
    with pytest.raises(Exception, match="does not match the current range"):
        await world.client.create(SERVICES, service("b", clusterIP="192.168.7.4"))
    await world.client.delete(SERVICES, "a", "default")
    await world.until(lambda: found(world, "extra"), lambda each: each is None)


async def test_a_range_in_use_goes_when_another_one_covers_it(world: World) -> None:
    first = await world.until(
        lambda: found(world, "kubernetes"),
        lambda each: each and FINALIZER in each["metadata"].get("finalizers", ()),
    )
    assert first is not None
    await world.client.delete(SERVICECIDRS, "kubernetes")
    await world.until(
        lambda: found(world, "kubernetes"),
        lambda each: each and (condition(each, "Ready") or {}).get("status") == "False",
    )
    # Meanwhile nothing is given from it.
    with pytest.raises(InternalError, match="range is full"):
        await world.client.create(SERVICES, service("a"))
    await world.client.create(SERVICECIDRS, servicecidr("wider", "10.0.0.0/15"))
    # The server makes its own range anew.
    await world.until(
        lambda: found(world, "kubernetes"),
        lambda each: each and each["metadata"]["uid"] != first["metadata"]["uid"],
    )
    assert (await world.client.create(SERVICES, service("a")))["spec"]["clusterIP"].startswith("10.")
