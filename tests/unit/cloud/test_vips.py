"""Who holds which VIP."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv4Network, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.cloud.vips import VIPPool, VIPUnavailable

SMALL = IPv4Network("203.0.113.8/30")  # two usable addresses
A, B, C = (("default", name) for name in "abc")


def test_network_and_broadcast_addresses_are_never_given() -> None:
    pool = VIPPool.of([SMALL])
    assert {pool.allocate(A, 4), pool.allocate(B, 4)} == {
        IPv4Address("203.0.113.9"),
        IPv4Address("203.0.113.10"),
    }


def test_an_exhausted_pool_says_so_and_gives_again_after_a_release() -> None:
    pool = VIPPool.of([SMALL])
    freed = pool.allocate(A, 4)
    pool.allocate(B, 4)
    with pytest.raises(VIPUnavailable, match=r"203.0.113.8/30\) is exhausted"):
        pool.allocate(C, 4)
    assert pool.release(A) == {freed}
    assert pool.allocate(C, 4) == freed


def test_a_service_keeps_its_vip() -> None:
    pool = VIPPool.of([IPv4Network("203.0.113.0/24")])
    vip = pool.allocate(A, 4)
    assert pool.allocate(A, 4) == vip
    assert len(pool) == 1


def test_a_taken_vip_names_its_holder_and_the_asker_keeps_what_it_has() -> None:
    pool = VIPPool.of([IPv4Network("203.0.113.0/24")])
    taken = IPv4Address("203.0.113.140")
    pool.claim(A, taken)
    vip = pool.allocate(B, 4)
    with pytest.raises(VIPUnavailable, match=r"203\.0\.113\.140 is already in use by Service default/a"):
        pool.claim(B, taken)
    assert pool.held_by(B) == {vip}


def test_a_vip_from_elsewhere_is_refused() -> None:
    pool = VIPPool.of([IPv4Network("203.0.113.0/24")])
    for address in ("192.0.2.1", "203.0.113.0", "203.0.113.255"):
        with pytest.raises(VIPUnavailable, match=f"{address} is not in the pool"):
            pool.claim(A, IPv4Address(address))


def test_claiming_another_vip_frees_the_first() -> None:
    pool = VIPPool.of([SMALL])
    first = pool.allocate(A, 4)
    (second,) = {IPv4Address("203.0.113.9"), IPv4Address("203.0.113.10")} - {first}
    pool.claim(A, second)
    assert pool.allocate(B, 4) == first


def test_a_family_without_a_pool_is_said_to_have_none() -> None:
    with pytest.raises(VIPUnavailable, match="no IPv6 network"):
        VIPPool.of([SMALL]).allocate(A, 6)


def test_a_second_network_is_used_when_the_first_is_full() -> None:
    pool = VIPPool.of([IPv4Network("203.0.113.8/32"), IPv4Network("203.0.113.16/32")])
    assert pool.size == 2
    assert {str(pool.allocate(A, 4)), str(pool.allocate(B, 4))} == {"203.0.113.8", "203.0.113.16"}


def test_a_service_may_hold_one_vip_of_each_family() -> None:
    pool = VIPPool.of([SMALL, IPv6Network("2001:db8:113::/64")])
    both = {pool.allocate(A, 6), pool.allocate(A, 4)}
    assert pool.held_by(A) == both
    (v4,) = (vip for vip in both if vip.version == 4)
    assert pool.release(A, keep=[v4]) == both - {v4}
    assert pool.held_by(A) == {v4}


def test_a_huge_pool_is_not_enumerated() -> None:
    pool = VIPPool.of([IPv6Network("2001:db8:113::/64")])
    assert len({pool.allocate(("default", str(number)), 6) for number in range(100)}) == 100


@given(
    st.lists(
        st.tuples(st.sampled_from(["allocate", "claim", "release"]), st.integers(0, 5), st.integers(0, 15))
    )
)
def test_no_vip_ever_has_two_holders(steps: list[tuple[str, int, int]]) -> None:
    network = IPv4Network("203.0.113.0/29")
    pool = VIPPool.of([network], random.Random(1))
    services = [("default", str(number)) for number in range(6)]
    for step, service, host in steps:
        try:
            if step == "allocate":
                pool.allocate(services[service], 4)
            elif step == "claim":
                pool.claim(services[service], network.network_address + host)
            else:
                pool.release(services[service])
        except VIPUnavailable:
            pass
        held = [vip for name in services for vip in pool.held_by(name)]
        assert len(held) == len(set(held)) == len(pool)
