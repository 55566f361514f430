"""Which of others' rules hide whom."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from wellhead.ip import Family
from wellhead.proxy.masquerades import iptables, nft
from wellhead.proxy.masquerades.addresses import Addresses, everything
from wellhead.proxy.masquerades.rules import BaseChain, Flows, Found, Kind, Rule, judge


def of(*networks: str) -> Addresses:
    return Addresses.within(Family.IPV4, map(ip_network, networks))


OWN, FAR = of("10.244.1.0/24"), of("10.244.2.0/24")
PODS = Flows(OWN, FAR, frozenset({"eth0"}))
OUTSIDE = Flows(
    everything(Family.IPV4) - of("10.240.0.0/24", "10.244.0.0/16"), OWN, frozenset({"cali1", "cali2"})
)


def chain(text: str, priority: int = 100, sets: iptables.Sets | None = None) -> BaseChain:
    chains = iptables.read(text, Family.IPV4, sets)
    return BaseChain(Family.IPV4, "iptables-nft", priority, "POSTROUTING", chains)


def takes(text: str, flows: Flows, sets: iptables.Sets | None = None) -> str | None:
    """The first."""
    found = chain(text, sets=sets).takes(flows)
    return found[0].text if found else None


def judged(chains: list[BaseChain], flows: Flows = PODS, *, claimed: bool = True) -> list[Found]:
    return list(judge(chains, [Kind("pods", "that dial", flows, claimed)], 99))


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


def test_sets_whose_content_is_not_known_may_hold_anything() -> None:
    assert (takes(CALICO, PODS) or "").startswith("-A cali-nat-outgoing")
    [found] = judged([chain(CALICO)])
    assert not found.sure


def test_sets_are_looked_up() -> None:
    pools, clients = of("10.244.0.0/16"), of("10.244.0.0/16", "198.51.100.0/24")
    right = {"cali40masq-ipam-pools": pools, "cali40all-ipam-pools": pools}
    assert iptables.sets_of(CALICO) == right.keys()
    assert takes(CALICO, PODS, right) is None
    assert takes(CALICO, OUTSIDE, right) is None
    wrong = {"cali40masq-ipam-pools": clients, "cali40all-ipam-pools": of("10.99.0.0/16")}
    for flows, words in ((PODS, "pods that dial"), (OUTSIDE, "pods in 198.51.100.0/24 that dial")):
        [found] = judged([chain(CALICO, sets=wrong)], flows)
        assert (found.sure, found.hides) == (True, words)


@pytest.mark.parametrize(
    "rule",
    [
        "-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE",
        "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
        "-A POSTROUTING -m addrtype --dst-type LOCAL -j MASQUERADE",
        "-A POSTROUTING -m addrtype --src-type LOCAL -j MASQUERADE",
        "-A POSTROUTING -j ACCEPT\n-A POSTROUTING -j MASQUERADE",
        "-A POSTROUTING -j A\n-A A -d 10.244.0.0/16 -j ACCEPT\n-A POSTROUTING -j MASQUERADE",
        "-A POSTROUTING -d 10.244.2.0/25 -j RETURN\n-A POSTROUTING -d 10.244.2.128/25 -j RETURN\n"
        "-A POSTROUTING -j MASQUERADE",
        "-A POSTROUTING -g A\n-A POSTROUTING -j MASQUERADE\n-A A -d 10.9.0.0/16 -j MASQUERADE",
        "-A POSTROUTING -o eth1 -j MASQUERADE",
        "-A POSTROUTING ! -o eth+ -j MASQUERADE",
        "-A POSTROUTING -p icmp -j MASQUERADE",
        "-A POSTROUTING -m mark ! --mark 0x0/0x4000 -j MASQUERADE",
        "-A POSTROUTING -m conntrack --ctstate RELATED,ESTABLISHED -j MASQUERADE",
        "-A POSTROUTING -m owner --uid-owner 1000 -j MASQUERADE",
        "-A POSTROUTING -m iprange --src-range 10.244.3.0-10.244.9.9 -j MASQUERADE",
        '-A POSTROUTING -s 10.9.0.0/16 -m comment --comment "! -s 10.9.0.0/16" -j MASQUERADE',
    ],
)
def test_what_is_for_others_is_none_of_ours(rule: str) -> None:
    assert takes(rule, PODS) is None


@pytest.mark.parametrize(
    "rule",
    [
        "-A POSTROUTING -o eth+ -j MASQUERADE",
        "-A POSTROUTING -m mark --mark 0x0/0x4000 -j MASQUERADE",
        "-A POSTROUTING -m mark ! --mark 0x2000/0x2000 -j MASQUERADE",
        "-A POSTROUTING -m conntrack --ctstate NEW -j MASQUERADE",
        "-A POSTROUTING -m conntrack --ctstate DNAT -j MASQUERADE",
        "-A POSTROUTING -m addrtype ! --dst-type LOCAL -j MASQUERADE",
        "-A POSTROUTING -m policy --dir out --pol none -j MASQUERADE",
        "-A POSTROUTING ! -p icmp -j MASQUERADE",
        "-A POSTROUTING -m iprange --dst-range 10.244.2.0-10.244.2.255 -j MASQUERADE",
        "-A POSTROUTING -j A\n-A A -d 10.9.0.0/16 -j RETURN\n-A A -g B\n-A B -j MASQUERADE",
        '-A POSTROUTING -m comment --comment "-s 10.9.0.0/16" -j MASQUERADE --random-fully',
    ],
)
def test_what_takes_ours_certainly_is_told_as_certain(rule: str) -> None:
    [found] = judged([chain(rule)])
    assert found.sure


@pytest.mark.parametrize(
    "rule",
    [
        "-A POSTROUTING -s 10.0.0.2/255.0.0.255 -j MASQUERADE",
        "-A POSTROUTING -p tcp -m tcp --dport 25 -j MASQUERADE",
        "-A POSTROUTING -m connmark --mark 0x1 -j MASQUERADE",
        "-A POSTROUTING -m statistic --mode random --probability 0.5 -j RETURN\n-A POSTROUTING -j MASQUERADE",
    ],
)
def test_what_depends_on_more_is_told_as_possible(rule: str) -> None:
    [found] = judged([chain(rule)])
    assert not found.sure


def test_the_new_source_is_named() -> None:
    def seen(rule: str) -> str:
        [found] = judged([chain(f"-A POSTROUTING {rule}")])
        return found.seen

    assert seen("-j MASQUERADE --to-ports 1024-65535") == "this node's address"
    assert seen("-j SNAT --to-source 192.0.2.1-192.0.2.9 --persistent") == "192.0.2.1-192.0.2.9"
    assert seen("-j NETMAP --to 10.99.1.0/24") == "10.99.1.0/24"


def test_clients_that_a_rule_is_for_are_named() -> None:
    docker = "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE"
    [found] = judged([chain(docker)], OUTSIDE)
    assert found.hides == "pods in 172.17.0.0/16 that dial"
    [found] = judged([chain("-A POSTROUTING ! -s 192.168.0.0/16 -j MASQUERADE")], OUTSIDE)
    assert found.hides == "some pods that dial"
    assert not judged([chain("-A POSTROUTING ! -o cali+ -j MASQUERADE")], OUTSIDE)


def test_each_interface_goes_its_own_way() -> None:
    spared = ["-A POSTROUTING -o cali1 -j RETURN", "-A POSTROUTING -o cali2 -j ACCEPT"]
    assert takes("\n".join((*spared, EVERYTHING)), OUTSIDE) is None
    [found] = judged([chain("\n".join((spared[0], EVERYTHING)))], OUTSIDE)
    assert found.sure


def test_rules_without_number_end() -> None:
    rules = [f"-A POSTROUTING -s 10.244.1.{each}/32 -d 10.244.2.{each}/32 -j RETURN" for each in range(200)]
    [found] = judged([chain("\n".join((*rules, EVERYTHING)))])
    assert not found.sure


def test_every_rule_is_named_up_to_one_that_certainly_decides() -> None:
    perhaps = "-A POSTROUTING -p tcp -j MASQUERADE"
    text = "\n".join((perhaps, EVERYTHING, "-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE"))
    assert [each.text for each in chain(text).takes(PODS)] == [perhaps, EVERYTHING]


def test_chains_that_lead_in_a_circle_end() -> None:
    assert takes("-A POSTROUTING -j A\n-A A -j B\n-A B -j A\n" + EVERYTHING, PODS) == EVERYTHING


def test_a_chain_before_the_claims_decides_first() -> None:
    for priority, kept, sure in ((98, False, True), (99, False, False), (100, True, True)):
        [found] = judged([chain(EVERYTHING, priority)])
        assert (found.kept, found.sure) == (kept, sure)
    [found] = judged([chain(EVERYTHING)], claimed=False)
    assert not found.kept


def test_of_several_chains_the_first_that_decides_is_told() -> None:
    late = BaseChain(Family.IPV4, "late", 101, "POSTROUTING", iptables.read(EVERYTHING))
    [found] = judged([late, chain(EVERYTHING)])
    assert found.owner == "iptables-nft"
    assert [each.owner for each in judged([late, chain("-A POSTROUTING -j ACCEPT")])] == ["late"]
    twin = BaseChain(Family.IPV4, "twin", 100, "POSTROUTING", iptables.read(EVERYTHING))
    assert {each.owner for each in judged([late, twin, chain(EVERYTHING)])} == {"twin", "iptables-nft"}


TEXT = """\
table ip cni { # handle 1
	set pods { # handle 2
		type ipv4_addr
	}

	chain out { # handle 3
		type nat hook postrouting priority srcnat; policy accept;
		ip daddr 10.244.2.0/24 return # handle 4
		ip saddr 10.244.1.0/24 masquerade # handle 9
	}
}
"""


def match(left: Any, right: Any, operator: str = "==") -> Any:
    return {"match": {"op": operator, "left": left, "right": right}}


def network(text: str) -> Any:
    address, _, length = text.partition("/")
    return {"prefix": {"addr": address, "len": int(length)}}


def nft_rule(*expressions: Any, chain: str = "out", handle: int = 0) -> dict[str, Any]:
    return {"rule": {"chain": chain, "handle": handle, "expr": list(expressions)}}


def read(*objects: Any, text: str = "", family: Family = Family.IPV4) -> BaseChain:
    found: dict[str, tuple[Rule, ...]] = nft.read([{"chain": {"name": "out"}}, *objects], text, family)
    return BaseChain(family, "nft", 100, "out", found)


SADDR, DADDR = ({"payload": {"protocol": "ip", "field": each}} for each in ("saddr", "daddr"))
MASQUERADE: dict[str, Any] = {"masquerade": None}


def test_nfts_rules_are_read_with_their_words() -> None:
    returning = nft_rule(match(DADDR, network("10.244.2.0/24")), {"return": None}, handle=4)
    masquerading = nft_rule(match(SADDR, network("10.244.1.0/24")), MASQUERADE, handle=9)
    found = read(returning, masquerading, text=TEXT)
    assert found.takes(PODS) == ()
    [other] = found.takes(Flows(PODS.source, of("10.244.3.0/24")))
    assert other.text == "ip saddr 10.244.1.0/24 masquerade"


PODS_SET = {"set": {"name": "pods", "elem": [{"range": ["10.244.0.0", "10.244.9.255"]}]}}
HERE_SET = {"set": {"name": "pods", "elem": {"elem": {"val": network("10.244.1.0/24"), "timeout": 60}}}}
OUT = {"meta": {"key": "oifname"}}
FIB_DADDR = {"fib": {"result": "type", "flags": ["daddr"]}}
STATUS = {"ct": {"key": "status"}}
PAIR = {"concat": ["10.9.0.1", "10.9.0.2"]}
JUMP, RETURN = {"jump": {"target": "more"}}, {"return": None}


def verdicts(*pairs: Any) -> Any:
    return {"vmap": {"key": SADDR, "data": {"set": list(pairs)}}}


def by_map(*pairs: Any) -> Any:
    return {"snat": {"addr": {"map": {"key": SADDR, "data": {"set": list(pairs)}}}}}


def xt(kind: str, name: str) -> Any:
    return {"xt": {"type": kind, "name": name}}


MORE = nft_rule(MASQUERADE, chain="more")


@pytest.mark.parametrize(
    ("objects", "sure"),
    [
        ([PODS_SET, nft_rule(match(SADDR, "@pods"), match(DADDR, "@pods", "!="), MASQUERADE)], None),
        ([HERE_SET, nft_rule(match(SADDR, "@pods"), match(DADDR, "@pods", "!="), MASQUERADE)], True),
        ([{"set": {"name": "pods"}}, nft_rule(match(SADDR, "@pods"), MASQUERADE)], None),
        ([nft_rule(match(SADDR, "@gone"), MASQUERADE)], False),
        ([nft_rule(verdicts([network("10.244.0.0/16"), JUMP])), MORE], True),
        ([nft_rule(verdicts(["10.9.0.1", JUMP])), MORE], None),
        (
            [
                {"map": {"name": "by", "elem": [["eth0", RETURN], [{"elem": {"val": "lo"}}, JUMP]]}},
                nft_rule({"vmap": {"key": OUT, "data": "@by"}}),
                nft_rule(MASQUERADE),
                MORE,
            ],
            None,
        ),
        ([nft_rule(match(OUT, {"set": ["eth*", "cali*"]}), MASQUERADE)], True),
        ([nft_rule(match(OUT, "eth0", "!="), MASQUERADE)], None),
        ([nft_rule(match(FIB_DADDR, "local", "!="), MASQUERADE)], True),
        ([nft_rule(match(FIB_DADDR, "local"), MASQUERADE)], None),
        ([nft_rule(match(STATUS, "dnat", "in"), {"accept": None}), nft_rule(MASQUERADE)], None),
        ([nft_rule(match({"&": [STATUS, "dnat"]}, 0), MASQUERADE)], None),
        ([nft_rule(match({"ct": {"key": "state"}}, ["established", "new"], "in"), MASQUERADE)], True),
        ([nft_rule(match({"ct": {"key": "state"}}, "related", "in"), MASQUERADE)], None),
        ([nft_rule(match({"ct": {"key": "mark"}}, 1), MASQUERADE)], False),
        ([nft_rule(match({"&": [{"meta": {"key": "mark"}}, 255]}, 0), MASQUERADE)], True),
        ([nft_rule(match({"meta": {"key": "l4proto"}}, {"set": ["icmp", "esp"]}), MASQUERADE)], None),
        ([nft_rule(match({"meta": {"key": "l4proto"}}, "tcp"), MASQUERADE)], False),
        ([nft_rule(match({"concat": [SADDR, DADDR]}, {"set": [PAIR]}), MASQUERADE)], None),
        ([nft_rule({"limit": {"rate": 5, "per": "second"}}, MASQUERADE)], False),
        ([nft_rule({"counter": {"packets": 0, "bytes": 0}}, {"log": None}, MASQUERADE)], True),
        ([nft_rule(xt("match", "set"), xt("target", "SNAT"))], False),
        ([nft_rule(xt("target", "MARK"))], None),
        ([nft_rule({"snat": {"addr": SADDR}}), nft_rule(MASQUERADE)], None),
        ([nft_rule(by_map(["10.9.0.1", "192.0.2.1"]))], None),
        ([nft_rule({"snat": {"addr": "192.0.2.1"}})], True),
    ],
)  # fmt: skip
def test_nfts_conditions(objects: list[Any], sure: bool | None) -> None:
    """`sure` is whether pods' connections are certainly taken; None: they aren't."""
    found = judged([read(*objects)])
    assert [each.sure for each in found] == ([] if sure is None else [sure])


def test_the_sets_that_rules_ask_are_known() -> None:
    rules = [
        nft_rule(match(SADDR, "@pods"), JUMP),
        nft_rule({"vmap": {"key": OUT, "data": "@by"}}, chain="more"),
        nft_rule(match(SADDR, "@thousands"), RETURN, chain="filter"),
    ]
    assert set(nft.sets_of([PODS_SET, *rules], "out")) == {"pods", "by"}
    by = {"map": {"name": "by", "elem": [["eth0", {"goto": {"target": "filter"}}]]}}
    assert set(nft.sets_of([by, *rules], "more")) == {"by", "thousands"}


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
    rule = nft_rule(match(left, right), MASQUERADE)
    taken = {}
    for family in Family:
        flows = Flows(everything(family), everything(family))
        taken[family] = len(read(rule, family=family).takes(flows))
    assert taken == {Family.IPV4: 1, Family.IPV6: 0}
