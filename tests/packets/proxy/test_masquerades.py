"""Whoever masquerades is found, said by event and counted, by a proxy's process among others' rules."""

from __future__ import annotations

import shutil

import pytest

from tests.packets.proxy.backends import by_any
from tests.packets.proxy.conftest import Start
from tests.packets.proxy.fake_api import FakeApi
from tests.packets.proxy.foreign import FOREIGN
from tests.packets.proxy.process import eventually, get
from tests.packets.proxy.world import World
from tests.patience import until
from wellhead.proxy.masquerades.listing import listed

pytestmark = [pytest.mark.cluster, by_any]


def test_a_fresh_machine_has_nobody_who_masquerades(world: World) -> None:
    assert [each for each in world.node.inside(listed).chains if any(each.chains.values())] == []


@pytest.mark.parametrize("name", FOREIGN)
def test_every_shape_is_found(world: World, name: str) -> None:
    undo = FOREIGN[name](world.node)
    try:
        found = [each for each in world.node.inside(listed).chains if any(each.chains.values())]
        assert {each.priority for each in found} == {100}
        text = "\n".join(rule.text for each in found for rules in each.chains.values() for rule in rules)
        assert "masquerade" in text.lower()
    finally:
        undo()


NFTS_OWN = """\
table ip nat {
    set pods { type ipv4_addr; flags interval; elements = { 10.244.1.0/24 } }
    chain POSTROUTING {
        type nat hook postrouting priority 100;
        ip saddr @pods counter masquerade
    }
}
"""


def test_a_table_that_is_called_like_iptables_own_is_read(world: World) -> None:
    if world.node.run("nft list tables ip").count("table ip nat\n"):
        world.node.run("nft delete table ip nat")
    world.node.run("nft -f -", NFTS_OWN)
    try:
        found = world.node.inside(listed)
        [chain] = [each for each in found.chains if any(each.chains.values())]
        assert [each.text for each in chain.chains["POSTROUTING"]] == ["ip saddr @pods counter masquerade"]
        assert [each.name for each in found.asked] == ["pods"]
    finally:
        world.node.run("nft delete table ip nat")


def test_rules_that_no_program_reads_are_no_silence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    undo = FOREIGN["iptables-legacy"](world.node)
    try:
        monkeypatch.setattr(shutil, "which", lambda _: None)
        assert {each.partition(":")[0] for each in world.node.inside(listed).unread} >= {
            "iptables-legacy",
            "ip6tables-legacy",
        }
    finally:
        monkeypatch.undo()
        undo()


@pytest.mark.parametrize("mode", ["nftables", "iptables"])
def test_it_is_said_and_counted(world: World, api: FakeApi, start: Start, mode: str) -> None:
    proxy = start("--proxy-mode", mode)
    eventually(proxy.has_synced)

    def counted() -> dict[str, str]:
        """Of IPv4's rules, by outcome."""
        text = get(world, "http://127.0.0.1:10249/metrics")[1]
        name = 'wellhead_proxy_foreign_masquerades{ip_family="IPv4",outcome='
        lines = [each.removeprefix(name) for each in text.splitlines() if each.startswith(name)]
        return {each.split('"')[1]: each.split()[-1] for each in lines}

    until(counted, lambda found: found == {"kept": "0.0", "hidden": "0.0"})
    undo = FOREIGN["Calico"](world.node)
    try:
        until(counted, lambda found: found == {"kept": "1.0", "hidden": "0.0"})
        eventually(lambda: bool(said(api, "SourceKept")))
        [message, *_] = said(api, "SourceKept")
        assert "iptables-nft: -A cali-nat-outgoing -s 10.244.0.0/16" in message
        assert (
            "would hide pods that dial Services, other nodes' pods that dial Services behind this" in message
        )
    finally:
        undo()
    until(counted, lambda found: found == {"kept": "0.0", "hidden": "0.0"})


def said(api: FakeApi, reason: str) -> list[str]:
    return [each["message"] for each in api.events if each["reason"] == reason]
