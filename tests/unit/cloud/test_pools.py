"""Pools in a file, whom they are for, and who may share an address."""

from __future__ import annotations

import random
from collections.abc import Iterable
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cloud.controller_world import World
from tests.unit.cloud.test_options import resolved
from tests.unit.services.objects import service_object
from wellhead.cloud.balancers import POOL_ANNOTATION, SHARE_ANNOTATION, tenancy
from wellhead.cloud.options import OptionError
from wellhead.cloud.pools import Asker, PoolError, read_pools
from wellhead.cloud.vips import Tenancy, VIPPool, VIPUnavailable

A, B, C = (("default", name) for name in "abc")


def pool(name: str = "one", addresses: Iterable[str] = ("203.0.113.0/30",), **spec: Any) -> str:
    fields = {"addresses": list(addresses), **spec}
    return (
        f"kind: IPAddressPool\napiVersion: metallb.io/v1beta1\nmetadata: {{name: {name}}}\nspec: {fields}\n"
    )


def pools(*documents: str) -> VIPPool:
    text = "---\n".join(documents).replace("True", "true").replace("False", "false")
    return VIPPool(read_pools(text), random.Random(1))


@given(st.integers(0, 1000), st.integers(0, 1000), st.booleans())
def test_a_pool_counts_what_it_can_give(first: int, more: int, avoids: bool) -> None:
    low, high = (IPv4Address(int(IPv4Address("203.0.112.0")) + each) for each in (first, first + more))
    [one] = read_pools(pool(addresses=[f"{low}-{high}"], avoidBuggyIPs=avoids).replace("True", "true"))
    assert one.size(4) == sum(one.holds(low + each) for each in range(more + 1))
    assert one.size(6) == 0


def test_each_pool_and_family_is_counted_by_itself() -> None:
    """A pool of IPv4 that is full isn't hidden by one of IPv6 that never is."""
    found = pools(pool(addresses=["203.0.113.0/32", "2001:db8::/64"]), pool("two", ["203.0.113.9/32"]))
    found.allocate(A, 4, asker=Asker("default", {}, pool="one"))
    counted = {(each.pool, each.version): (each.held, each.size) for each in found.usage()}
    assert counted == {("one", 4): (1, 1), ("one", 6): (0, 2**64), ("two", 4): (0, 1)}


def given_to(found: VIPPool, asker: Asker, version: int = 4) -> set[str]:
    """All that a Service like this can get."""
    addresses: set[str] = set()
    while True:
        try:
            addresses.add(str(found.allocate(("of", str(len(addresses))), version, asker=asker)))
        except VIPUnavailable:
            for number in range(len(addresses)):
                found.release(("of", str(number)))
            return addresses


ANY = Asker("default", {})


def test_networks_and_ranges_are_given_whole() -> None:
    found = pools(pool(addresses=["203.0.113.0/31", "203.0.113.7-203.0.113.8", "fd00::/127"]))
    assert given_to(found, ANY) == {"203.0.113.0", "203.0.113.1", "203.0.113.7", "203.0.113.8"}
    assert given_to(found, ANY, 6) == {"fd00::", "fd00::1"}
    assert found.size == 6


def test_addresses_that_old_routers_drop_are_avoided_if_asked() -> None:
    found = pools(pool(addresses=["203.0.113.254-203.0.114.1"], avoidBuggyIPs=True))
    assert given_to(found, ANY) == {"203.0.113.254", "203.0.114.1"}
    with pytest.raises(VIPUnavailable, match=r"ends in \.0 or \.255: pool one has avoidBuggyIPs"):
        found.claim(A, ip_address("203.0.113.255"))


@given(st.integers(0, 300), st.integers(0, 700))
def test_avoiding_them_loses_no_other(first: int, count: int) -> None:
    start = IPv4Address("203.0.112.0") + first
    found = pools(pool(addresses=[f"{start}-{start + count}"], avoidBuggyIPs=True))
    assert given_to(found, ANY) == {
        str(start + each) for each in range(count + 1) if int(start + each) & 0xFF not in (0, 0xFF)
    }


def test_a_pool_that_gives_nothing_by_itself_is_there_for_who_names_it() -> None:
    found = pools(pool(addresses=["203.0.113.1/32"], autoAssign=False))
    with pytest.raises(VIPUnavailable, match="no pool of load balancer addresses gives an IPv4 one"):
        found.allocate(A, 4, asker=ANY)
    named = Asker("default", {}, pool="one")
    assert found.allocate(A, 4, asker=named) == ip_address("203.0.113.1")
    found.release(A)
    found.claim(A, ip_address("203.0.113.1"), asker=ANY)


def test_pools_are_for_namespaces_labels_and_classes() -> None:
    found = pools(
        pool("rest", ["203.0.113.1/32"]),
        pool("shop", ["203.0.113.2/32"], serviceAllocation={"namespaces": ["shop"], "priority": 50}),
        pool(
            "web",
            ["203.0.113.3/32"],
            serviceAllocation={"serviceSelectors": [{"matchLabels": {"app": "web"}}]},
        ),
        pool("first", ["203.0.113.4/32"], serviceAllocation={"namespaces": ["shop"], "priority": 10}),
        pool("proxied", ["203.0.113.5/32"], loadBalancerClasses=["wellhead.dev/proxy"]),
    )
    assert str(found.allocate(A, 4, asker=Asker("shop", {}))) == "203.0.113.4"
    assert str(found.allocate(B, 4, asker=Asker("shop", {}))) == "203.0.113.2"
    assert str(found.allocate(C, 4, asker=Asker("shop", {}))) == "203.0.113.1"
    assert given_to(found, Asker("default", {"app": "web"})) == {"203.0.113.3"}
    assert given_to(found, Asker("default", {}, "wellhead.dev/proxy")) == {"203.0.113.5"}
    with pytest.raises(VIPUnavailable, match="pool shop, which is not for this Service"):
        found.claim(("x", "y"), ip_address("203.0.113.2"), asker=ANY)
    with pytest.raises(VIPUnavailable, match=r"there is no pool nowhere: there are first: 203\.0\.113\.4/32"):
        found.allocate(("x", "y"), 4, asker=Asker("default", {}, pool="nowhere"))


def test_who_names_another_pool_moves_there() -> None:
    found = pools(pool("one", ["203.0.113.1/32"]), pool("two", ["203.0.113.2/32"]))
    assert str(found.allocate(A, 4, asker=Asker("default", {}, pool="one"))) == "203.0.113.1"
    assert str(found.allocate(A, 4, asker=Asker("default", {}, pool="two"))) == "203.0.113.2"
    assert found.held_by(A) == {ip_address("203.0.113.2")}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there is no IPAddressPool"),
        ("a: [", "no YAML"),
        ("kind: ConfigMap\nmetadata: {name: a}\nspec: {addresses: []}", "kind ConfigMap: only IPAddressPool"),
        (pool(addresses=[]), "pool one: it has no addresses"),
        (pool(addresses=["203.0.113.1/24"]), "pool one: 203.0.113.1/24 has host bits set"),
        (pool(addresses=["203.0.113.9-203.0.113.1"]), "is no range"),
        (pool(addresses=["203.0.113.9-fd00::1"]), "is no range"),
        ("kind: L2Advertisement\nmetadata: {name: a}\nspec: {}", "kind L2Advertisement: only IPAddressPool"),
        (pool('""'), "metadata.name is empty"),
        (pool(addresses=["0.0.0.0/0"]), "has no machine's addresses"),
        (pool(addresses=["126.0.0.0-128.0.0.0"]), "has loopback addresses"),
        (pool(addresses=["fe80::1-fe80::9"]), "has link-local addresses"),
        (pool(addresses=["239.0.0.0/24"]), "has multicast addresses"),
        (pool(serviceAllocation={"priority": -1}), "priority -1"),
        (pool(serviceAllocation={"namespaces": ["A b"]}), "namespaces: 'A b' a lowercase RFC 1123 label"),
        (pool(addresses=["here"]), "'here' does not appear to be an IPv4 or IPv6 network"),
        (pool() + "---\n" + pool(), "pool one is there twice"),
        (pool() + "---\n" + pool("two", ["203.0.113.3-203.0.113.9"]), "203.0.113.3 is in both"),
        (pool(autoassign="true"), "unknown field `autoassign`"),
        (pool(loadBalancerClasses=["x"]), "x is no class of ours"),
        (pool(serviceAllocation={"namespaceSelectors": [{}]}), "name the namespaces"),
        (
            pool(serviceAllocation={"serviceSelectors": [{"matchExpressions": [{"operator": "x"}]}]}),
            "operator",
        ),
    ],
)
def test_a_pool_that_cannot_be_is_refused_with_its_name(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(PoolError, match=why):
        read_pools(text)
    file = tmp_path / "pools.yaml"
    file.write_text(text)
    with pytest.raises(OptionError, match=f"--pools {file}: "):
        resolved(vip_pool=(), pools=file)


def test_a_network_that_no_packet_reaches_is_no_pool() -> None:
    with pytest.raises(OptionError, match=r"--vip-pool: 127\.0\.0\.0/30 has loopback addresses"):
        resolved(vip_pool=(ip_network("127.0.0.0/30"),))


def test_a_file_of_pools_stands_alone(tmp_path: Path) -> None:
    file = tmp_path / "pools.yaml"
    file.write_text(pool(addresses=["203.0.113.1-203.0.113.2"]))
    assert resolved(vip_pool=(), pools=file).networks == (
        ip_network("203.0.113.1/32"),
        ip_network("203.0.113.2/32"),
    )
    assert resolved(vip_pool=()).networks == (ip_network("203.0.113.0/24"),)
    with pytest.raises(OptionError, match="--vip-pool"):
        resolved(pools=file)


# ---- sharing


def shares(key: str = "k", *ports: int, protocol: str = "TCP", **spec: Any) -> Tenancy:
    return tenancy(
        service_object(
            annotations={SHARE_ANNOTATION: key},
            type="LoadBalancer",
            ports=tuple({"port": each, "protocol": protocol} for each in ports or (80,)),
            **spec,
        )
    )


def test_services_with_one_key_and_other_ports_share_an_address() -> None:
    found = VIPPool.of([ip_network("203.0.113.0/28")])
    vip = found.allocate(A, 4, shares("k", 80))
    assert found.allocate(B, 4, shares("k", 443)) == vip
    assert found.allocate(C, 4, shares("k", 80, protocol="UDP")) == vip
    assert found.tenants(vip) == {A, B, C}
    other = ("default", "d")
    assert found.allocate(other, 4, shares("k", 80)) != vip, "the port is taken"
    with pytest.raises(VIPUnavailable, match="shared with Service default/a, which has port 80/tcp there"):
        found.claim(("default", "e"), vip, shares("k", 80, 81))
    with pytest.raises(VIPUnavailable, match="already in use by Service default/a"):
        found.claim(("default", "e"), vip, shares("other", 81))
    found.release(A)
    assert found.tenants(vip) == {B, C}
    found.claim(("default", "e"), vip, shares("k", 80))


def test_who_agrees_no_more_moves_out_and_keeps_what_it_has_if_there_is_nowhere() -> None:
    found = VIPPool.of([ip_network("203.0.113.0/31")])
    vip = found.allocate(A, 4, shares("k", 80))
    assert found.allocate(B, 4, shares("k", 443)) == vip
    assert found.allocate(B, 4) != vip
    with pytest.raises(VIPUnavailable, match="exhausted"):
        found.allocate(C, 4)


def test_under_policy_local_the_pods_must_be_the_same() -> None:
    local: dict[str, Any] = {"externalTrafficPolicy": "Local", "selector": {"app": "web"}}
    assert shares("k", 80, **local).gets_on_with(shares("k", 81, **local))
    assert not shares("k", 80, **local).gets_on_with(shares("k", 81))
    assert not shares("k", 80, **local).gets_on_with(shares("k", 81, **{**local, "selector": {"app": "x"}}))
    assert not shares("k", 80, loadBalancerClass="wellhead.dev/proxy").agreement


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["allocate", "claim", "release"]), st.integers(0, 5), st.integers(0, 7), st.data()
        )
    )
)
def test_tenants_of_an_address_always_get_on(steps: list[tuple[str, int, int, st.DataObject]]) -> None:
    found = VIPPool.of([ip_network("203.0.113.0/30")], random.Random(1))
    now: dict[Any, Tenancy] = {}
    for step, number, host, data in steps:
        service = ("default", str(number))
        ports = data.draw(st.sets(st.sampled_from([80, 81, 443]), min_size=1))
        mine = shares(data.draw(st.sampled_from(["", "k", "l"])), *ports)
        before = found.tenancies(service)
        try:
            if step == "allocate":
                found.allocate(service, 4, mine)
            elif step == "claim":
                found.claim(service, ip_address("203.0.113.0") + host, mine)
            else:
                found.release(service)
                now.pop(service, None)
                continue
            now[service] = mine
        except VIPUnavailable:
            assert found.tenancies(service) == before
    for address in {each for service in now for each in found.held_by(service)}:
        tenants = [now[each] for each in found.tenants(address)]
        assert len(tenants) == 1 or all(
            one.gets_on_with(other) for one in tenants for other in tenants if one is not other
        )
    assert len(found) == len({each for service in now for each in found.held_by(service)})


async def test_a_shared_address_is_told_to_both_and_goes_with_the_last(world: World) -> None:
    async with world.running():
        share = {"annotations": {SHARE_ANNOTATION: "k"}}
        world.put_service("web", metadata=share)
        vip = await world.vip()
        world.put_service("dns", metadata=share, ports=[{"port": 53, "protocol": "UDP"}])
        assert await world.vip("dns") == vip
        world.put_service("clash", metadata=share)
        assert await world.vip("clash") != vip
        world.api.delete("web")
        await world.until(lambda: ("default", "web") not in world.api.objects["services"])
        assert world.forwarder.nodes_of(vip, 53, "udp")
        world.api.delete("dns")
        await world.until(lambda: ("default", "dns") not in world.api.objects["services"])
        assert not [each for each in world.forwarder.targets if str(each.vip) == vip]


async def test_a_service_that_asks_for_a_pool_that_is_not_there_is_told(world: World) -> None:
    async with world.running():
        world.put_service(metadata={"annotations": {POOL_ANNOTATION: "gold"}})
        await world.until(lambda: "SyncLoadBalancerFailed" in world.api.reasons())
        assert "there is no pool gold" in world.api.message("SyncLoadBalancerFailed")
        world.api.change(metadata={"annotations": {POOL_ANNOTATION: None}})
        await world.vip()


async def test_who_shares_still_does_after_a_restart(world: World) -> None:
    share = {"annotations": {SHARE_ANNOTATION: "k"}}
    async with world.running():
        world.put_service("web", metadata=share)
        world.put_service("dns", metadata=share, ports=[{"port": 53, "protocol": "UDP"}])
        vip = await world.vip()
        assert await world.vip("dns") == vip
    world.controller = world.new_controller()
    async with world.running():
        await world.until(
            lambda: world.controller.pool.tenants(ip_address(vip)) == {("default", "web"), ("default", "dns")}
        )
