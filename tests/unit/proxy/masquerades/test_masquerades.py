"""Which of others' rules hide whom."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from wellhead.ip import Family
from wellhead.proxy.masquerades import iptables, nft
from wellhead.proxy.masquerades.rules import BaseChain, Flows, Rule, judge

PODS = Flows((ip_network("10.244.1.0/24"),), (ip_network("10.244.2.0/24"),))
OUTSIDE = Flows((ip_network("198.51.100.0/24"),), (ip_network("10.244.1.0/24"),))


def chain(text: str, priority: int = 100) -> BaseChain:
    return BaseChain(Family.IPV4, "iptables-nft", priority, "POSTROUTING", iptables.read(text))


def takes(text: str, flows: Flows) -> str | None:
    """The first."""
    found = chain(text).takes(flows)
    return found[0].text if found else None


EVERYTHING = "-A POSTROUTING -j MASQUERADE"
FLANNEL = """\
-P POSTROUTING ACCEPT
-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s 10.244.1.0/24 -d 10.244.0.0/16 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s 10.244.0.0/16 -d 10.244.1.0/24 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.1.0/24 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully
-A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.0.0/16 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully
"""  # noqa: E501 - as they are
CALICO = """\
-A POSTROUTING -m comment --comment "cali:O3lYWMrLQYEMJtB5" -j cali-POSTROUTING
-A cali-POSTROUTING -m comment --comment "cali:Z-c7XtVd2Bq7s_hA" -j cali-nat-outgoing
-A cali-nat-outgoing -m set --match-set cali40masq-ipam-pools src -m set ! --match-set cali40all-ipam-pools dst -j MASQUERADE
"""  # noqa: E501 - as they are
IP_MASQ_AGENT = """\
-A POSTROUTING -m addrtype ! --dst-type LOCAL -j IP-MASQ-AGENT
-A IP-MASQ-AGENT -d 169.254.0.0/16 -j RETURN
-A IP-MASQ-AGENT -d {} -j RETURN
-A IP-MASQ-AGENT -j MASQUERADE
"""


@pytest.mark.parametrize("flows", [PODS, OUTSIDE])
def test_a_stray_rule_takes_everything(flows: Flows) -> None:
    assert takes(EVERYTHING, flows) == EVERYTHING


def test_flannel_as_it_should_be_takes_nothing_of_ours() -> None:
    assert takes(FLANNEL, PODS) is None
    assert takes(FLANNEL, OUTSIDE) is None


def test_ip_masq_agent_takes_what_is_not_on_its_list() -> None:
    assert takes(IP_MASQ_AGENT.format("10.244.0.0/16"), PODS) is None
    assert takes(IP_MASQ_AGENT.format("10.0.0.0/9"), PODS) == "-A IP-MASQ-AGENT -j MASQUERADE"
    assert takes(IP_MASQ_AGENT.format("10.244.2.0/25"), PODS) == "-A IP-MASQ-AGENT -j MASQUERADE"


def test_what_cannot_be_told_may_be_so() -> None:
    assert (takes(CALICO, PODS) or "").startswith("-A cali-nat-outgoing")


@pytest.mark.parametrize(
    "rule",
    [
        "-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE",
        "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
        "-A POSTROUTING -m addrtype --dst-type LOCAL -j MASQUERADE",
        "-A POSTROUTING -j ACCEPT\n-A POSTROUTING -j MASQUERADE",
    ],
)
def test_what_is_for_others_is_none_of_ours(rule: str) -> None:
    assert takes(rule, PODS) is None


def test_every_rule_is_named_up_to_one_that_certainly_decides() -> None:
    perhaps = "-A POSTROUTING -o eth0 -j MASQUERADE"
    text = "\n".join((perhaps, EVERYTHING, "-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE"))
    assert [each.text for each in chain(text).takes(PODS)] == [perhaps, EVERYTHING]


def test_chains_that_lead_in_a_circle_end() -> None:
    assert takes("-A POSTROUTING -j A\n-A A -j B\n-A B -j A\n" + EVERYTHING, PODS) == EVERYTHING


def test_a_chain_before_the_claims_decides_first() -> None:
    flows = {(Family.IPV4, "pods"): (PODS, True)}
    kept = {
        priority: [each.kept for each in judge([chain(EVERYTHING, priority)], flows, 99)]
        for priority in (98, 99, 100)
    }
    assert kept == {98: [False], 99: [False], 100: [True]}
    [found] = judge([chain(EVERYTHING)], {(Family.IPV4, "pods"): (PODS, False)}, 99)
    assert not found.kept


TEXT = """\
table ip cni {
	chain out {
		type nat hook postrouting priority srcnat; policy accept;
		ip daddr 10.244.2.0/24 return
		ip saddr 10.244.1.0/24 masquerade
	}
}
"""


def nft_rule(field: str, network: str, verdict: str) -> dict[str, Any]:
    address, _, length = network.partition("/")
    right = {"prefix": {"addr": address, "len": int(length)}}
    left = {"payload": {"protocol": "ip", "field": field}}
    match = {"match": {"op": "==", "left": left, "right": right}}
    return {"rule": {"chain": "out", "expr": [match, {verdict: None}]}}


def test_nfts_rules_are_read_with_their_words() -> None:
    returning = nft_rule("daddr", "10.244.2.0/24", "return")
    masquerading = nft_rule("saddr", "10.244.1.0/24", "masquerade")
    objects = [{"chain": {"name": "out"}}, returning, masquerading]
    chains: dict[str, tuple[Rule, ...]] = nft.read(objects, TEXT, Family.IPV4)
    found = BaseChain(Family.IPV4, "nft", 100, "out", chains)
    assert found.takes(PODS) == ()
    [other] = found.takes(Flows(PODS.source, (ip_network("10.244.3.0/24"),)))
    assert other.text == "ip saddr 10.244.1.0/24 masquerade"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"payload": {"protocol": "ip", "field": "saddr"}}, "@pods"),
        ({"payload": {"protocol": "ip", "field": "protocol"}}, "tcp"),
        ({"meta": {"key": "nfproto"}}, "ipv4"),
        ({"meta": {"key": "protocol"}}, "ip"),
    ],
)
def test_in_a_table_of_both_families_a_rule_for_one_takes_nothing_of_the_other(left: Any, right: str) -> None:
    match = {"match": {"op": "==", "left": left, "right": right}}
    rule = {"rule": {"chain": "out", "expr": [match, {"masquerade": None}]}}
    objects: list[dict[str, Any]] = [{"chain": {"name": "out"}}, rule]
    taken = {}
    for family in Family:
        chain = BaseChain(family, "nft", 100, "out", nft.read(objects, "", family))
        taken[family] = len(chain.takes(Flows((), ())))
    assert taken == {Family.IPV4: 1, Family.IPV6: 0}
