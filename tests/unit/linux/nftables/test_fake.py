"""The fake table refuses what the kernel would, and mistakes, and is then as it was."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from wellhead.ip import Family
from wellhead.linux.netlink import NetlinkError
from wellhead.linux.nftables.expressions import DADDR, L4PROTO, TH_DPORT, Lookup, concat
from wellhead.linux.nftables.fake import FakeTable, references
from wellhead.linux.nftables.objects import Chain, Element, ElementKey, Set, Transaction, rule
from wellhead.linux.nftables.statements import Dnat, DynamicOperation, InSet, Remember, Verdict, VerdictMap
from wellhead.linux.nftables.types import INET_SERVICE, IPV4_ADDR

DESTINATION = DADDR[Family.IPV4]
ADDRESSES = Set("addresses", (IPV4_ADDR,))
WAYS = Set("ways", (IPV4_ADDR,), "verdict")
PORTS = Set("ports", (IPV4_ADDR,), (INET_SERVICE,))
A, B = ElementKey("addresses", bytes(4)), ElementKey("ways", bytes(4))


def chain(name: str, *statements: object) -> Chain:
    return Chain(name, (rule(*statements),) if statements else ())  # type: ignore[arg-type]


def made() -> Transaction:
    """What makes the table that everything here happens to."""
    return Transaction(
        add_table=True,
        add_sets=[ADDRESSES, WAYS, PORTS],
        add_chains=[chain("end"), chain("start", InSet(DESTINATION, "addresses"), Verdict("end"))],
        add_elements=[Element(A), Element(B, Verdict("end"))],
    )


@pytest.fixture
def table() -> FakeTable:
    found = FakeTable()
    found.commit(made())
    return found


REFUSED: list[tuple[int, Transaction]] = [
    (errno.ENOENT, Transaction(add_elements=[Element(ElementKey("others", bytes(4)))])),
    (errno.ENOENT, Transaction(delete_elements=[ElementKey("addresses", b"\1\0\0\0")])),
    (errno.ENOENT, Transaction(replace_rules=[chain("new")])),
    (errno.ENOENT, Transaction(delete_chains=["new"])),
    (errno.ENOENT, Transaction(delete_sets=["others"])),
    (errno.ENOENT, Transaction(add_chains=[chain("new", InSet(DESTINATION, "others"))])),
    (errno.ENOENT, Transaction(add_chains=[chain("new", Verdict("nowhere"))])),
    (errno.ENOENT, Transaction(add_chains=[chain("new", VerdictMap(DESTINATION, "others"))])),
    (errno.EINVAL, Transaction(add_elements=[Element(ElementKey("ports", bytes(4)))])),
    (errno.EINVAL, Transaction(add_elements=[Element(ElementKey("ports", bytes(4)), Verdict("end"))])),
    (errno.EBUSY, Transaction(add_elements=[Element(ElementKey("ways", b"\1\0\0\0"), Verdict("no"))])),
    (errno.EBUSY, Transaction(delete_chains=["end"])),
    (errno.ENOENT, Transaction(delete_sets=["addresses"])),
]
MISTAKES: list[tuple[int, Transaction]] = [
    (errno.EEXIST, Transaction(add_table=True)),
    (errno.EEXIST, Transaction(add_sets=[ADDRESSES])),
    (errno.EEXIST, Transaction(add_chains=[chain("end")])),
    (errno.EEXIST, Transaction(add_elements=[Element(A)])),
    (errno.EINVAL, Transaction(add_elements=[Element(ElementKey("addresses", bytes(5)))])),
    (errno.EINVAL, Transaction(add_elements=[Element(ElementKey("ports", bytes(4)), bytes(3))])),
]
"""What the kernel would let pass."""


@pytest.mark.parametrize(("number", "change"), REFUSED + MISTAKES)
def test_what_is_refused_changes_nothing(table: FakeTable, number: int, change: Transaction) -> None:
    before = table.content()
    change = replace(change, add_sets=[*change.add_sets, Set("more", (IPV4_ADDR,))])
    with pytest.raises(NetlinkError) as refused:
        table.commit(change)
    assert refused.value.errno == number
    assert table.content() == before


def test_a_table_that_is_not_there_takes_nothing() -> None:
    for change in (Transaction(add_sets=[ADDRESSES]), Transaction(rebuild=True)):
        with pytest.raises(NetlinkError):
            FakeTable().commit(change)


def test_a_rebuilt_table_has_nothing_of_the_one_before(table: FakeTable) -> None:
    table.commit(Transaction(rebuild=True, add_sets=[PORTS]))
    found = table.content()
    assert (list(found.sets), found.chains, found.elements) == (["ports"], {}, {})


def test_references_are_found_in_what_the_kernel_gets() -> None:
    frontend = concat(DESTINATION, L4PROTO, TH_DPORT)
    found = rule(
        InSet(DESTINATION, "a"),
        Remember(DynamicOperation.UPDATE, "b", DESTINATION, DESTINATION),
        Dnat(Family.IPV4, Lookup(frontend, "c", (IPV4_ADDR, INET_SERVICE))),
        VerdictMap(DESTINATION, "d"),
        Verdict("e", returns=True),
    )
    names = [("set", "a"), ("set", "b"), ("set", "c"), ("set", "d"), ("chain", "e")]
    assert list(references(found.encoded.expressions)) == names


def test_a_rule_reads_as_nft_writes_it() -> None:
    frontend = concat(DESTINATION, L4PROTO, TH_DPORT)
    assert str(rule(VerdictMap(frontend, "services"))) == (
        "ip daddr . meta l4proto . th dport vmap @services"
    )
