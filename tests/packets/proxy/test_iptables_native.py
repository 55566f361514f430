"""What netlink writes is iptables-nft's own, rule by rule, and what iptables-nft writes is known again."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from tests.packets.proxy.world import Host
from tests.unit.services.objects import endpoint, endpoint_slice, node, service
from wellhead.api.names import PRESERVE_CLIENT_IP_ANNOTATION
from wellhead.ip import Family
from wellhead.proxy.backends.iptables import backend as iptables
from wellhead.proxy.backends.iptables import names, transaction
from wellhead.proxy.backends.iptables.backend import IptablesBackend
from wellhead.proxy.backends.iptables.commands import Commands
from wellhead.proxy.backends.iptables.native import NativeTables
from wellhead.proxy.backends.iptables.node_rules import JUMPS
from wellhead.proxy.backends.iptables.port_rules import NAT_SERVICES, Chain, Rules
from wellhead.proxy.backends.iptables.ruleset import Ruleset, RulesetConfig
from wellhead.proxy.backends.iptables.saved import Saved, parse
from wellhead.proxy.backends.iptables.transaction import TABLES, apply_to, restore_input
from wellhead.services.names import ServiceKey
from wellhead.services.node import FromBridge, FromInterfacePrefix, LocalNode
from wellhead.services.node_view import NodeView, ViewDiff
from wellhead.services.service_map import ServiceMap, service_map

pytestmark = pytest.mark.cluster

CLUSTER_IP = {Family.IPV4: "10.0.9.{}", Family.IPV6: "fd00:10::9:{}"}
POD = {Family.IPV4: "10.244.{}.2", Family.IPV6: "fd00:10:244:{}::2"}
RANGES = ["10.0.0.0/9", "192.0.2.0/24", "198.51.100.7/32", "fd00:a::/33", "fd00:b::/48", "fd00:c::1/128"]
INSIDE = tuple(ip_network(each) for each in ("10.240.0.11", "10.244.0.0/23", "fd00:10:244::/47"))
OUTSIDE: dict[str, Any] = {"type": "LoadBalancer", "externalIPs": ["203.0.113.9", "fd00:203::9"]}
LOCAL: dict[str, Any] = {"externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local"}
SPECS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sticky": {"sessionAffinity": "ClientIP"},
    "cluster": OUTSIDE,
    "local": {**OUTSIDE, **LOCAL, "healthCheckNodePort": 32000},
    "guarded": {**OUTSIDE, "loadBalancerSourceRanges": RANGES},
    "preserving": {**OUTSIDE, "annotations": {PRESERVE_CLIENT_IP_ANNOTATION: "true"}},
    "empty": OUTSIDE,
}
ON: dict[str, LocalNode] = {
    "network": node(inside=INSIDE, returning=frozenset({"node-2"})),
    "bridge": LocalNode("node-1", detectors=tuple((each, FromBridge("cbr0")) for each in Family)),
    "prefix": LocalNode("node-1", detectors=tuple((each, FromInterfacePrefix("veth")) for each in Family)),
}
by_family = pytest.mark.parametrize("family", Family, ids=lambda each: f"IPv{each}")


def services_of(family: Family) -> ServiceMap:
    """Services of every kind and protocol, on endpoints here, elsewhere, and nowhere."""
    services, slices = [], []
    for number, (name, spec) in enumerate(SPECS.items(), 1):
        for more, protocol in enumerate(("TCP", "UDP", "SCTP")):
            of = f"{name}-{protocol.lower()}"
            address = CLUSTER_IP[family].format(10 * number + more)
            port: dict[str, Any] = {"port": 80, "protocol": protocol}
            facts = {**spec, "cluster_ips": (address,)}
            if spec is not SPECS["plain"]:
                port["nodePort"] = 30000 + number
                vips = f"203.0.113.{10 * number + more}", f"fd00:203::{number}:{more}"
                facts["ingress"] = tuple({"ip": each} for each in vips)
            services.append(service(of, ports=(port,), **facts))
            pods = [endpoint(POD[family].format(each), f"node-{each}") for each in (1, 2, 3)]
            at = ({"name": "", "port": 8080, "protocol": protocol},)
            if name != "empty":
                slices.append(endpoint_slice(*pods, of=of, name=of, family=f"IPv{family}", ports=at))
    return service_map(services, slices)


def chains_of(family: Family, on: LocalNode) -> dict[Chain, Rules]:
    found = Ruleset(family, RulesetConfig(node_port_addresses=(family.everywhere,)))
    found.update(NodeView(services_of(family), on).update())
    return {each: found.rules(each) or () for each in found.chains()}


def saved_by_iptables(host: Host, family: Family) -> Saved:
    return parse(host.run(f"{family.iptables}-nft-save"))


def restore(host: Host, family: Family, text: str) -> None:
    host.run(f"{family.iptables}-nft-restore --noflush", text)


@by_family
@pytest.mark.parametrize("on", ON)
def test_what_is_loaded_is_listed_as_if_iptables_had_written_it(host: Host, family: Family, on: str) -> None:
    wanted = chains_of(family, ON[on])
    tables = host.inside(lambda: NativeTables(family))
    try:
        tables.load(wanted)
        restore(host, family, restore_input({}, Saved(wanted)))
        found = saved_by_iptables(host, family)
        assert found.chains == wanted
        assert found.jumps == JUMPS
        assert tables.read(TABLES, wanted, JUMPS) == found
    finally:
        tables.close()


@by_family
def test_what_iptables_wrote_is_known_again(host: Host, family: Family) -> None:
    wanted = chains_of(family, ON["network"])
    restore(host, family, restore_input(wanted, Saved()))
    tables = host.inside(lambda: NativeTables(family))
    try:
        found = tables.read(TABLES, wanted, JUMPS)
        assert found is not None
        version = host.run(f"{family.iptables}-nft --version")
        if "v1.8.9" in version:  # later releases word some rules another way
            assert found.chains == wanted
        assert found.chains.keys() == wanted.keys()
        assert found.jumps.keys() <= JUMPS.keys()

        port = next(each for each in wanted if each.name.startswith("KUBE-SEP-"))
        host.run(f"{family.iptables}-nft -t nat -A {port.name} -j RETURN")
        found = tables.read(TABLES, wanted, JUMPS)
        assert found is not None
        assert found.chains[port] != wanted[port], "somebody else's rule is seen"

        host.run(f"{family.iptables}-nft -t nat -N SOMEBODY")
        host.run(f"{family.iptables}-nft -t nat -A SOMEBODY -j {NAT_SERVICES.name}")
        assert tables.read(TABLES, wanted, JUMPS) is None, "their rule has to be read as text"
    finally:
        tables.close()


@by_family
def test_changes_come_into_force_together_or_not_at_all(
    host: Host, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "_LARGE", 10)
    held = Saved(chains_of(family, ON["network"]))
    tables = host.inside(lambda: NativeTables(family))

    def now() -> dict[Chain, Rules]:
        return saved_by_iptables(host, family).chains

    try:
        tables.load(held.chains)
        entries = held.chains[NAT_SERVICES]
        [entry] = [each for each in entries if "plain-tcp cluster IP" in each]
        policy = Chain("nat", entry.split()[-1])
        first, last = (
            f"-A {NAT_SERVICES.name} -m comment --comment {each} -j {names.MARK_MASQ}" for each in ("a", "z")
        )
        made = Chain("nat", "KUBE-SVC-" + "A" * 16)
        inside = f"-A {made.name} -j {policy.name}"
        changes: dict[Chain, Rules | None] = {
            NAT_SERVICES: (first, *(each for each in entries if each != entry), last),
            made: (f"-A {made.name} -j RETURN",),
            policy: None,
        }
        with pytest.raises(OSError, match="busy"):
            tables.change({**changes, made: (inside,)}, held)
        stale = Saved({**held.chains, NAT_SERVICES: (*entries, entry.replace("plain", "strange"))})
        assert not tables.change(changes, stale), "a rule is to go that isn't there"
        assert now() == held.chains
        assert tables.change(changes, held)
        apply_to(held, changes)
        assert now() == held.chains
        assert tables.change({NAT_SERVICES: entries, policy: (inside,), made: None}, held)
        assert now()[NAT_SERVICES] == entries
    finally:
        tables.close()


@by_family
def test_rules_are_edited_by_numbers_that_are_asked_for_once(
    host: Host, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "_LARGE", 10)
    held = Saved(chains_of(family, ON["network"]))
    tables = host.inside(lambda: NativeTables(family))
    dumps: list[Chain] = []
    dump = NativeTables._dump

    def counted(self: NativeTables, chain: Chain) -> Iterator[tuple[bytes, bytes]]:
        dumps.append(chain)
        return dump(self, chain)

    monkeypatch.setattr(NativeTables, "_dump", counted)
    try:
        tables.load(held.chains)
        entries = held.chains[NAT_SERVICES]
        middle, last = entries[5:7], entries[-1]
        without = tuple(each for each in entries if each not in middle)
        strange = entries[3].replace("default", "strange")
        for wanted in (without, entries, (*entries[:-1], strange, last), entries):
            assert tables.change({NAT_SERVICES: wanted}, held)
            apply_to(held, {NAT_SERVICES: wanted})
            assert saved_by_iptables(host, family).chains == held.chains
        assert dumps == [NAT_SERVICES]

        host.run(f"{family.iptables}-nft -t nat -D {NAT_SERVICES.name} {entries.index(middle[0]) + 1}")
        with pytest.raises(OSError, match="No such file"):
            tables.change({NAT_SERVICES: without}, held)
        assert not tables.change({NAT_SERVICES: without}, held), "it is looked at again"
        held.chains[NAT_SERVICES] = tuple(each for each in entries if each != middle[0])
        assert tables.change({NAT_SERVICES: entries}, held)
        assert saved_by_iptables(host, family).chains[NAT_SERVICES] == entries
    finally:
        tables.close()


@by_family
def test_the_backend_loads_adopts_and_changes_without_text(
    host: Host, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iptables, "_MANY", 10)
    monkeypatch.setattr(transaction, "_LARGE", 10)
    restored: list[str] = []
    restore_text = Commands.restore

    async def recorded(self: Commands, text: str) -> None:
        restored.append(text)
        await restore_text(self, text)

    monkeypatch.setattr(Commands, "restore", recorded)
    services = services_of(family)
    view, ruleset = NodeView(services, node()), Ruleset(family)
    first, second = (IptablesBackend([family], "nft", RulesetConfig(claims="none")) for _ in range(2))

    def apply(backend: IptablesBackend, diff: ViewDiff) -> str:
        """What was restored as text, to have the diff in force."""
        restored.clear()
        host.await_(backend.apply(diff))
        assert saved_by_iptables(host, family).chains == {
            each: ruleset.rules(each) for each in ruleset.chains()
        }
        return "".join(restored)

    diff = view.update()
    ruleset.update(diff)
    jumps = apply(first, diff)
    assert "-I PREROUTING" in jumps
    assert "KUBE-SVC" not in jumps
    assert not host.await_(first.check())
    assert not apply(second, diff)

    key = ServiceKey("default", "plain-tcp")
    service_itself = services.service(key)
    services.set_service(key, None)
    diff = view.update()
    ruleset.update(diff)
    assert not apply(second, diff)
    services.set_service(key, service_itself)
    diff = view.update()
    ruleset.update(diff)
    assert not apply(second, diff)
    for each in (first, second):
        host.inside(each.close)
    host.await_(second.cleanup())
    assert not saved_by_iptables(host, family).chains
