"""From what a kernel holds to what it should hold: only what differs, and never what is not ours."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.services.objects import endpoint, endpoint_slice, node, node_view, service
from wellhead.ip import Family
from wellhead.proxy.backends.iptables.names import is_ours
from wellhead.proxy.backends.iptables.node_rules import JUMPS
from wellhead.proxy.backends.iptables.port_rules import Chain, Rules
from wellhead.proxy.backends.iptables.ruleset import Ruleset
from wellhead.proxy.backends.iptables.saved import Saved, parse, same
from wellhead.proxy.backends.iptables.transaction import (
    apply_to,
    differing,
    edits,
    new_chains,
    removal,
    restore_input,
)
from wellhead.services.node_view import NodeView, ViewDiff
from wellhead.services.service_map import service_map

OLD_SERVICE = "KUBE-SVC-AAAAAAAAAAAAAAAA"


def everything(ruleset: Ruleset, saved: Saved) -> dict[Chain, Rules | None]:
    return {chain: ruleset.rules(chain) for chain in {*ruleset.chains(), *saved.chains}}


def test_our_chains_are_told_from_others() -> None:
    assert is_ours("KUBE-SERVICES")
    assert is_ours("KUBE-SEP-SXIVWICOYRO3J4NJ")
    assert not is_ours("KUBE-FIREWALL"), "the kubelet's"
    assert not is_ours("KUBE-KUBELET-CANARY")
    assert not is_ours("KUBE-SVC-mine")
    assert not is_ours("DOCKER")


def test_the_first_sync_makes_every_chain_and_jump() -> None:
    ruleset, saved = Ruleset(Family.IPV4), Saved()
    changes = differing(everything(ruleset, saved), saved)
    text = restore_input(changes, saved)
    assert text.startswith("*filter\n:KUBE-EXTERNAL-SERVICES - [0:0]\n")
    assert "*nat\n" in text
    assert '-I PREROUTING 1 -m comment --comment "kubernetes service portals" -j KUBE-SERVICES\n' in text
    assert ":PREROUTING" not in text, "declaring a built-in chain would flush others' rules"


def test_what_is_in_force_is_left_alone() -> None:
    ruleset, saved = Ruleset(Family.IPV4), Saved()
    changes = differing(everything(ruleset, saved), saved)
    apply_to(saved, changes)
    assert differing(everything(ruleset, saved), saved) == {}
    assert restore_input({}, saved) == ""


def test_a_new_endpoint_restores_its_services_chains_alone() -> None:
    services = service_map(
        [service("web"), service("other", cluster_ips=("10.0.0.11",))],
        [
            endpoint_slice(endpoint("10.244.1.2")),
            endpoint_slice(endpoint("10.244.1.9"), of="other", name="o"),
        ],
    )
    view = NodeView(services, node())
    ruleset, saved = Ruleset(Family.IPV4), Saved()
    ruleset.update(view.update())
    apply_to(saved, differing({chain: ruleset.rules(chain) for chain in ruleset.take_changed()}, saved))
    services.set_slice("default", "web-1", endpoint_slice(endpoint("10.244.1.2"), endpoint("10.244.1.3")))
    ruleset.update(view.update())
    changes = differing({chain: ruleset.rules(chain) for chain in ruleset.take_changed()}, saved)
    assert sorted(chain.name[:9] for chain in changes) == ["KUBE-SEP-", "KUBE-SVC-"]


def test_chains_of_services_that_are_gone_are_deleted() -> None:
    saved = parse(f"*nat\n:{OLD_SERVICE} - [0:0]\n-A {OLD_SERVICE} -j RETURN\nCOMMIT\n")
    ruleset = Ruleset(Family.IPV4)
    text = restore_input(differing(everything(ruleset, saved), saved), saved)
    assert f":{OLD_SERVICE} - [0:0]\n" in text
    assert f"-X {OLD_SERVICE}\n" in text


def test_a_chain_that_others_rules_lead_to_is_emptied_but_stays() -> None:
    saved = parse(
        f"*nat\n:{OLD_SERVICE} - [0:0]\n:MINE - [0:0]\n-A MINE -j {OLD_SERVICE}\n"
        f"-A {OLD_SERVICE} -j RETURN\nCOMMIT\n"
    )
    assert saved.referenced == {Chain("nat", OLD_SERVICE)}
    changes = differing(everything(Ruleset(Family.IPV4), saved), saved)
    text = restore_input(changes, saved)
    assert f":{OLD_SERVICE} - [0:0]\n" in text
    assert "-X" not in text
    apply_to(saved, changes)
    assert differing(everything(Ruleset(Family.IPV4), saved), saved) == {}


def test_a_jump_in_another_place_or_twice_is_put_right() -> None:
    jump = '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
    saved = parse(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n"
        f"-A PREROUTING -j DOCKER\n{jump}\n{jump}\nCOMMIT\n"
    )
    lines = restore_input({}, saved).splitlines()
    assert lines.count(jump.replace("-A", "-D")) == 2
    assert lines.count(jump.replace("-A PREROUTING", "-I PREROUTING 1")) == 1
    assert not any("DOCKER" in line for line in lines)


def test_a_comment_that_looks_like_a_jump_is_no_jump() -> None:
    saved = parse(
        "*nat\n:PREROUTING ACCEPT [0:0]\n"
        '-A PREROUTING -m comment --comment "see -j KUBE-SERVICES" -j DOCKER\nCOMMIT\n'
    )
    assert saved.jumps == {}


def test_removal_takes_all_that_is_ours_and_nothing_else() -> None:
    text = """*mangle
:PREROUTING ACCEPT [0:0]
:KUBE-PROXY-CANARY - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
:KUBE-SERVICES - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
COMMIT
"""
    assert removal(parse(text)).split("\n") == [
        "*nat",
        ":KUBE-SERVICES - [0:0]",
        '-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        "-X KUBE-SERVICES",
        "COMMIT",
        "*mangle",
        ":KUBE-PROXY-CANARY - [0:0]",
        "-X KUBE-PROXY-CANARY",
        "COMMIT",
        "",
    ]


def test_rules_that_another_release_words_differently_are_the_same() -> None:
    ours = (
        '-A X -p tcp -m comment --comment "a b" -m tcp --dport 80 -m statistic --mode random '
        "--probability 0.33333333349 -j Y",
    )
    theirs = (
        '-A X -p tcp -m comment --comment "a b" -m statistic --mode random --probability 0.33333333 '
        "--dport 80 -j Y",
    )
    assert same(ours, theirs)
    assert not same(ours, ())
    assert not same(ours, (theirs[0].replace("80", "81"),))


def test_a_rebuilt_ruleset_equals_an_updated_one() -> None:
    services = service_map([service("web")], [endpoint_slice(endpoint("10.244.1.2"))])
    view = NodeView(services, node())
    updated = Ruleset(Family.IPV4)
    updated.update(view.update())
    services.set_service(service("web").key, service("web", type="NodePort", externalIPs=["198.18.0.1"]))
    view.set_node(node(detects=False))
    updated.update(view.update())
    rebuilt = Ruleset(Family.IPV4)
    ports = node_view(services, view.node).ports
    rebuilt.update(ViewDiff(view.node, {key: (None, port) for key, port in ports.items()}))
    assert everything(updated, Saved()) == everything(rebuilt, Saved())


def many(*names: int, without: int = -1) -> Rules:
    return tuple(f"-A KUBE-SERVICES -d 10.0.0.{each}/32 -j KUBE-X{each}" for each in names if each != without)


def edited(now: Rules, text: str) -> list[str]:
    """What a chain holds after the edits in a restore's input, as iptables makes them one by one."""
    rules = list(now)
    for line in text.splitlines():
        words = line.split()
        if words[0] == "-D":
            rules.remove("-A" + line.removeprefix("-D"))
        elif words[0] == "-I":
            rules.insert(int(words[2]) - 1, f"-A {words[1]} " + " ".join(words[3:]))
        elif words[0] == "-A":
            rules.append(line)
        elif words[0].startswith(":"):
            rules.clear()
    return rules


@given(st.sets(st.integers(0, 255), min_size=60), st.sets(st.integers(0, 255), max_size=40))
def test_a_large_chain_becomes_what_it_should_be(held: set[int], others: set[int]) -> None:
    now, wanted = many(*sorted(held)), many(*sorted(held ^ others))
    chain = Chain("nat", "KUBE-SERVICES")
    text = restore_input({chain: wanted}, Saved(chains={chain: now}, jumps=dict(JUMPS)), JUMPS)
    assert tuple(edited(now, text)) == wanted


def test_of_a_large_chain_only_what_changes_is_written() -> None:
    now, wanted = many(*range(200)), (*many(*range(100)), *many(*range(101, 200)), *many(250))
    chain = Chain("nat", "KUBE-SERVICES")
    text = restore_input({chain: wanted}, Saved(chains={chain: now}, jumps=dict(JUMPS)), JUMPS)
    assert text.splitlines() == [
        "*nat",
        "-D KUBE-SERVICES -d 10.0.0.100/32 -j KUBE-X100",
        "-I KUBE-SERVICES 200 -d 10.0.0.250/32 -j KUBE-X250",
        "COMMIT",
    ]


def test_a_large_chain_in_another_order_is_written_whole() -> None:
    now, wanted = many(*range(200)), many(*reversed(range(200)))
    chain = Chain("nat", "KUBE-SERVICES")
    text = restore_input({chain: wanted}, Saved(chains={chain: now}, jumps=dict(JUMPS)), JUMPS)
    assert ":KUBE-SERVICES - [0:0]" in text
    assert tuple(edited(now, text)) == wanted


ENTRIES = Chain("nat", "KUBE-SERVICES")
PORT = Chain("nat", OLD_SERVICE)
LINES = tuple(f"-A KUBE-SERVICES -d 10.0.0.{each}/32 -j KUBE-SVC" for each in range(100))


FRESH = tuple(f"-A KUBE-SERVICES -d 10.0.1.{each}/32 -j KUBE-SVC" for each in range(9))


@given(
    st.sets(st.sampled_from(LINES), max_size=5), st.dictionaries(st.integers(0, 95), st.sampled_from(FRESH))
)
def test_a_large_chain_is_edited_rule_by_rule(gone: set[str], new: dict[int, str]) -> None:
    wanted = [each for each in LINES if each not in gone]
    for line, place in {line: place for place, line in new.items()}.items():
        wanted.insert(place, line)
    found = edits(LINES, tuple(wanted))
    assert found is not None
    rebuilt = [each for each in LINES if each not in found.removed]
    for place, line in found.added.items():
        rebuilt.insert(place, line)
    assert rebuilt == wanted
    assert set(found.removed) == gone


def test_rules_in_another_order_and_rules_that_are_there_twice_are_written_whole() -> None:
    assert edits((*LINES, LINES[0]), LINES) is None
    assert edits(LINES, tuple(reversed(LINES))) is None


def test_chains_that_nothing_leads_to_are_those_that_are_not_there() -> None:
    changes: dict[Chain, Rules | None] = {ENTRIES: LINES, PORT: (), Chain("nat", "KUBE-FORWARD"): None}
    assert new_chains(changes, Saved({ENTRIES: ()})) == {PORT: ()}
