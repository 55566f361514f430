"""A handle is found again in its backend's own words, and the words say whose rule it is."""

from __future__ import annotations

import pytest

from wellhead.linux.libnftables import Output
from wellhead.linux.nft import NftError
from wellhead.linux.numbers import Table
from wellhead.trace.rules import Listings, Rule, beside, by_chain, texts

LISTING = """table ip nat { # handle 3
    chain POSTROUTING { # handle 1
        type nat hook postrouting priority srcnat; policy accept;
        counter packets 8 bytes 480 jump KUBE-POSTROUTING # handle 9
    }

    chain KUBE-POSTROUTING { # handle 2
        meta mark & 0x00004000 != 0x00004000 counter packets 1 bytes 60 return # handle 10
        counter packets 0 bytes 0 masquerade fully-random # handle 11
    }

    chain KUBE-EMPTY { # handle 5
    }
}
"""
SAVED = """*nat
:POSTROUTING ACCEPT [0:0]
:KUBE-POSTROUTING - [0:0]
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -m comment --comment "masquerade traffic for shop/web:http" -j MASQUERADE --random-fully
COMMIT
"""


def test_iptables_words_stand_beside_the_handles() -> None:
    chains = beside(by_chain(LISTING), SAVED)
    assert chains["KUBE-POSTROUTING"][11].startswith('-A KUBE-POSTROUTING -m comment --comment "masquerade')
    assert chains["KUBE-POSTROUTING"][10].endswith("-j RETURN")
    assert chains["KUBE-EMPTY"] == {}


def test_chains_that_changed_meanwhile_keep_nfts_words() -> None:
    chains = beside(by_chain(LISTING), SAVED.replace("-A KUBE-POSTROUTING -m mark", "# -m mark"))
    assert "masquerade fully-random" in chains["KUBE-POSTROUTING"][11]


def test_a_comment_names_the_service_and_the_chain_the_party() -> None:
    key = (2, "nat", "KUBE-POSTROUTING", 11)
    printed = {"nft": LISTING, "iptables-nft-save": SAVED}
    rule = texts([key], lambda command, _: _list(command), lambda program, *_: printed[program], {})[key]
    assert rule.service == "shop/web"
    assert rule.owner == "service proxy (iptables)"
    assert Rule("ip wellhead-forwarder", "prerouting", "").owner == "packet forwarder"
    assert Rule("ip somebodys", "x", "").owner == "table ip somebodys"


@pytest.mark.parametrize("table", Table)
def test_each_of_our_tables_is_called_by_its_owner(table: Table) -> None:
    assert Rule(f"ip {table}", "x", "").owner != f"table ip {table}"


def test_refusing_is_told_from_dropping() -> None:
    assert Rule("ip filter", "X", "-A X -j REJECT --reject-with icmp-port-unreachable").refuses
    assert Rule("ip wellhead", "rejected", "reject").refuses
    assert not Rule("ip wellhead", "x", "ip daddr @rejected-ones drop").refuses


def test_a_rule_that_is_gone_has_no_text() -> None:
    key = (2, "gone", "x", 4)
    assert texts([key], lambda command, _: _list(command), lambda *_: "", {})[key].text == ""


def test_a_table_is_listed_once_while_it_is_known() -> None:
    asked: list[str] = []

    def run(command: str, output: Output) -> str:
        asked.append(command)
        return _list(command)

    known: dict[tuple[int, str], Listings] = {}
    for handle in (4, 5):
        texts([(10, "wellhead", "x", handle)], run, lambda *_: "", known)
    assert asked == ["list table ip6 wellhead", "list table inet wellhead"]


def test_a_table_of_both_families_is_found() -> None:
    key = (2, "wellhead-return", "arriving", 4)

    def run(command: str, output: Output) -> str:
        if command != "list table inet wellhead-return":
            raise NftError("no such table")
        return "table inet wellhead-return {\n chain arriving {\n  ct zone set 5 # handle 4\n }\n}\n"

    assert texts([key], run, lambda *_: "", {})[key] == Rule(
        "inet wellhead-return", "arriving", "ct zone set 5"
    )


def _list(command: str) -> str:
    if command == "list table ip nat":
        return LISTING
    raise NftError("No such file or directory")
