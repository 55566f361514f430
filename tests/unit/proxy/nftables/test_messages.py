"""What goes to the kernel."""

from __future__ import annotations

from ipaddress import ip_network

from wellhead.ip import Family
from wellhead.linux.netlink import parse, parse_list, string
from wellhead.linux.nftables.intervals import intervals
from wellhead.linux.nftables.messages import messages
from wellhead.linux.nftables.objects import Chain, Element, ElementKey, Transaction
from wellhead.linux.nftables.statements import Verdict
from wellhead.proxy.backends.nftables import layout
from wellhead.proxy.backends.nftables.skeleton import Surroundings, base_chains

NEWTABLE, DELTABLE, NEWCHAIN, NEWRULE, DELRULE, DELCHAIN = 0, 2, 3, 6, 8, 5
NEWSET, DELSET, NEWSETELEM, DELSETELEM = 9, 11, 12, 14


def types(transaction: Transaction) -> list[int]:
    found = [each.type for each in messages(transaction, layout.table(Family.IPV4))]
    return [each for index, each in enumerate(found) if index == 0 or each != found[index - 1]]


def test_everything_comes_after_what_it_refers_to() -> None:
    key = ElementKey("picks", layout.word(1))
    assert types(
        Transaction(
            rebuild=True,
            add_sets=list(layout.table(Family.IPV4).sets),
            add_chains=list(base_chains(Surroundings(Family.IPV4))),
            add_elements=[Element(key, Verdict("cluster"))],
        )
    ) == [DELTABLE, NEWTABLE, NEWSET, NEWCHAIN, NEWRULE, NEWSETELEM]
    assert types(
        Transaction(
            replace_rules=[Chain("services", base_chains(Surroundings(Family.IPV4))[0].rules)],
            delete_elements=[key],
            add_elements=[Element(key, Verdict("local"))],
            delete_chains=["a", "b"],
            delete_sets=["c"],
        )
    ) == [DELRULE, NEWRULE, DELSETELEM, NEWSETELEM, DELRULE, DELCHAIN, DELSET]


def test_many_elements_are_split_as_attributes_lengths_demand() -> None:
    elements = [
        Element(ElementKey("endpoint-counts", layout.port_id(number)), layout.port_id(number, 2), "n" * 100)
        for number in range(8, 3008)
    ]
    found = list(messages(Transaction(add_elements=elements), layout.table(Family.IPV4)))
    assert len(found) > 1
    count = 0
    for each in found:
        attributes = dict(parse_list(memoryview(each.payload)))
        assert string(attributes[2]) == "endpoint-counts"
        assert len(attributes[3]) < 65536
        count += sum(1 for _ in parse_list(attributes[3]))
    assert count == 3000


def test_intervals_are_first_and_one_past_the_last() -> None:
    networks = [ip_network(each) for each in ("10.0.0.0/16", "10.1.0.0/16", "255.255.255.0/24")]
    found = [(str(each.id.key.hex(".")), each.id.interval_end) for each in intervals("s", networks)]
    assert found == [("0a.00.00.00", False), ("0a.02.00.00", True), ("ff.ff.ff.00", False)]


def test_every_expression_has_a_name() -> None:
    for family in Family:
        for chain in base_chains(Surroundings(family)):
            for rule in chain.rules:
                for kind, expression in parse_list(memoryview(rule.encoded.expressions)):
                    assert kind == 1
                    assert string(parse(expression)[1])
