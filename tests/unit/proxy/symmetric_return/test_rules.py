"""The rules' text and the routing rules of a plan."""

from __future__ import annotations

import re

from tests.unit.proxy.symmetric_return.nodes import SETTINGS, end, node, on_link
from tests.unit.proxy.symmetric_return.test_plan import INTERFACES, ME
from wellhead.ip import Family
from wellhead.proxy.marks import Marks
from wellhead.proxy.symmetric_return.nodes import make_plan, tunnel_of
from wellhead.proxy.symmetric_return.numbers import Numbers
from wellhead.proxy.symmetric_return.plan import Plan
from wellhead.proxy.symmetric_return.routing import routes, rules
from wellhead.proxy.symmetric_return.rules import comment, table

MARKS = Marks()


def of(count: int) -> Plan:
    others = [node(number, tunnel=end(number)) for number in range(2, 2 + count)]
    tunnel = tunnel_of(ME, INTERFACES, SETTINGS)
    return make_plan(ME, others, SETTINGS, MARKS, Numbers(4095, {}), (), on_link(2), tunnel)


def test_rules_change_no_bits_but_their_own() -> None:
    text = table(of(3))
    changes = re.findall(r"(?:meta|ct) mark set (?:meta|ct) mark & (\w+)(?: \| (\w+))?", text)
    assert len(changes) > 10
    for keep, bits in changes:
        assert int(keep, 0) | MARKS.mask == 0xFFFFFFFF
        if int(bits or "0", 0) == 0x4000:
            continue  # what it can't return, it has masqueraded
        assert int(bits or "0", 0) & ~MARKS.mask == 0
        assert int(keep, 0) & MARKS.preserve, "the ingress side's bit is cleared by the ingress side"


def test_no_chain_set_or_map_is_called_by_a_word_of_nfts() -> None:
    """What can stand where a name is expected, in the grammar of 1.1.7; each version adds some."""
    words = "chain comment counter ct flags flowtable last limit map quota secmark set synproxy table"
    names = re.findall(r"^\t(?:chain|set|map) ([\w-]+) \{", table(of(3)), re.MULTILINE)
    assert len(names) > 10
    assert not set(names) & {*words.split(), "tunnel"}


def test_a_packet_costs_the_same_however_many_peers_there_are() -> None:
    def hooked(plan: Plan) -> int:
        chains = re.findall(r"chain [\w-]+ \{\n((?:\t\t.*\n)*)", table(plan))
        return sum(chain.count("\n") for chain in chains if "hook" in chain)

    assert hooked(of(2)) == hooked(of(20))


def test_forwarded_packets_jump_past_the_rules_of_the_reverse_path_check() -> None:
    ours = sorted(each for each in rules(of(2)) if each.family is Family.IPV4)
    past, check, peer, last = (
        [each for each in ours if each.priority == priority] for priority in (87, 88, 89, 90)
    )
    assert {each.device for each in past} == {"eth0", "wellhead-vxlan"}
    assert {each.mark for each in past} == {each.mark for each in check}
    assert {each.goto for each in past} == {90} == {each.priority for each in last}
    assert {each.mark for each in peer} == {MARKS.of(1), MARKS.of(2)}
    assert {each.mask for each in ours if each.mask} == {MARKS.arrived | MARKS.index_mask}


def test_ipv6_has_no_reverse_path_check() -> None:
    assert {each.priority for each in rules(of(2)) if each.family is Family.IPV6} == {89}


def test_every_rule_has_its_routes() -> None:
    plan = of(3)
    assert {(each.family, each.table) for each in rules(plan) if each.table} == {
        (each.family, each.table) for each in routes(plan)
    }


def test_nothing_of_an_empty_plan() -> None:
    assert not rules(Plan(Marks()))
    assert not routes(Plan(Marks()))


def test_comments_fit_and_tell_nodes_apart() -> None:
    assert comment("node-1") == "node-1"
    long = "n" * 250
    assert len(comment(long + "a")) < 128
    assert comment(long + "a") != comment(long + "b")
