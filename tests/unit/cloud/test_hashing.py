"""Which node a flow goes to."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from wellhead.cloud.forwarder.hashing import BUCKETS, assign

NODES = st.sets(st.integers(0x0AF00001, 0x0AF000FE).map(IPv4Address), min_size=1, max_size=12)


@given(NODES, st.randoms())
def test_the_order_of_the_nodes_does_not_matter(nodes: set[IPv4Address], rng: object) -> None:
    assert assign(sorted(nodes)) == assign(sorted(nodes, reverse=True))


@given(NODES, st.data())
def test_a_node_that_leaves_moves_exactly_its_own_buckets(
    nodes: set[IPv4Address], data: st.DataObject
) -> None:
    leaving = data.draw(st.sampled_from(sorted(nodes)))
    rest = nodes - {leaving}
    before, after = assign(nodes), assign(rest)
    if not rest:
        assert after == []
        return
    for was, now in zip(before, after, strict=True):
        assert now != leaving
        assert was in (now, leaving)


@given(NODES, st.integers(0x0AF00001, 0x0AF000FE).map(IPv4Address))
def test_a_node_that_comes_takes_buckets_and_moves_none_between_others(
    nodes: set[IPv4Address], coming: IPv4Address
) -> None:
    for was, now in zip(assign(nodes), assign(nodes | {coming}), strict=True):
        assert now in (was, coming)


@given(NODES)
def test_every_node_gets_about_its_share(nodes: set[IPv4Address]) -> None:
    shares = Counter(assign(nodes))
    fair = BUCKETS / len(nodes)
    # Six standard deviations of a binomial distribution.
    slack = 6 * (fair * (1 - 1 / len(nodes))) ** 0.5
    assert all(abs(shares[node] - fair) <= slack for node in nodes)


def test_the_assignment_is_the_same_in_every_process_and_release() -> None:
    nodes = [IPv4Address(f"10.240.0.{host}") for host in (11, 12, 13)]
    assert [int(node) & 0xFF for node in assign(nodes)[:8]] == [13, 12, 11, 13, 11, 13, 11, 13]


def test_no_nodes_no_buckets() -> None:
    assert assign([]) == []
