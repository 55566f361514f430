"""The forwarder's table: what nft is told."""

from __future__ import annotations

import dataclasses
import re
from ipaddress import IPv4Address, IPv4Network

from hypothesis import given, settings
from hypothesis import strategies as st

from wellhead.cloud.forwarder.hashing import Node
from wellhead.cloud.forwarder.held import Held, read
from wellhead.cloud.forwarder.tables import Change, Frontend, Tables, Target

NODES: list[Node] = [IPv4Address(f"10.240.0.{host}") for host in (11, 12, 13)]
MARKS: dict[Node, int] = {node: 0x40000001 + number for number, node in enumerate(NODES)}
VIP = IPv4Address("203.0.113.140")
WEB, DNS = Frontend(VIP, "tcp", 80), Frontend(VIP, "udp", 53)

Elements = dict[str, dict[str, str]]


class Kernel:
    """Applies commands as nft would, and refuses what it would refuse."""

    def __init__(self) -> None:
        self.elements: Elements = {}

    def apply(self, commands: str) -> None:
        if commands.startswith("add table"):
            self.elements = {}
        for verb, name, body in re.findall(r"^(add|delete) element ip \S+ (\S+) { (.*) }$", commands, re.M):
            held = self.elements.setdefault(name, {})
            for element in body.split(", "):
                key, _, value = element.partition(" : ")
                if verb == "add":
                    assert held.get(key, value) == value, f"{name}: {key} exists"
                    held[key] = value
                else:
                    assert value in ("", held.pop(key))


def tables() -> Tables:
    made = Tables([IPv4Network("203.0.113.0/24")])
    made.route(MARKS, frozenset({"nodes"}))
    return made


def test_a_group_of_one_node_needs_no_buckets() -> None:
    commands = tables().change(Change({WEB: Target("one")}, {"one": frozenset(NODES[:1])}))
    assert commands.endswith(
        "\nadd element ip wellhead-forwarder frontends { 203.0.113.140 . tcp . 80 : 0x40000001 }\n"
    )
    assert "buckets" not in commands


def test_a_group_without_nodes_is_known_and_leads_nowhere() -> None:
    commands = tables().change(Change({WEB: Target("none")}, {"none": frozenset()}))
    assert commands.endswith("{ 203.0.113.140 . tcp . 80 : 0x0 }\n")


def test_a_second_frontend_of_a_group_costs_one_element() -> None:
    made = tables()
    made.change(Change({WEB: Target("all")}, {"all": frozenset(NODES)}))
    commands = made.change(Change({DNS: Target("all")}, {"all": frozenset(NODES)}))
    assert commands == "add element ip wellhead-forwarder frontends { 203.0.113.140 . udp . 53 : 0x1 }\n"


def test_a_change_that_changes_nothing_says_nothing() -> None:
    made = tables()
    change = Change({WEB: Target("all", client_affinity=True)}, {"all": frozenset(NODES)})
    assert made.change(change)
    assert made.change(change) == ""
    assert made.route(MARKS, frozenset({"nodes"})) == ""


def test_a_node_without_a_route_gets_nothing_until_it_has_one() -> None:
    made = tables()
    made.route({NODES[0]: MARKS[NODES[0]]}, frozenset({"nodes"}))
    assert "0x40000001" in made.change(Change({WEB: Target("all")}, {"all": frozenset(NODES)}))
    assert "buckets" in made.route(MARKS, frozenset({"nodes"}))


changes = st.builds(
    Change,
    st.dictionaries(
        st.sampled_from(
            [WEB, DNS, Frontend(VIP, "tcp", 443), Frontend(IPv4Address("203.0.113.9"), "tcp", 80)]
        ),
        st.none() | st.builds(Target, st.sampled_from("abc"), st.booleans()),
        max_size=4,
    ),
    st.fixed_dictionaries({name: st.frozensets(st.sampled_from(NODES)) for name in "abc"}),
)
routes = st.sets(st.sampled_from(NODES)).map(lambda nodes: {node: MARKS[node] for node in nodes})


@settings(deadline=None)  # how long a step takes is the machine's business
@given(st.lists(changes | routes, max_size=8))
def test_small_steps_lead_where_a_replacement_would(steps: list[Change | dict[Node, int]]) -> None:
    made, kernel = Tables([IPv4Network("203.0.113.0/24")]), Kernel()
    kernel.apply(made.replace())
    for step in steps:
        commands = made.change(step) if isinstance(step, Change) else made.route(step, frozenset({"nodes"}))
        kernel.apply(commands)
    stepwise = {name: held for name, held in kernel.elements.items() if held}
    kernel.apply(made.replace())
    assert stepwise == {name: held for name, held in kernel.elements.items() if held}


@settings(deadline=None)  # how long a step takes is the machine's business
@given(st.lists(changes, min_size=1, max_size=8))
def test_what_is_forwarded_is_what_was_asked_for(steps: list[Change]) -> None:
    made, kernel = tables(), Kernel()
    kernel.apply(made.replace())
    wanted: dict[Frontend, Target] = {}
    for step in steps:
        kernel.apply(made.change(step))
        for frontend, target in step.frontends.items():
            wanted.pop(frontend, None)
            if target is not None:
                wanted[frontend] = target
    groups = steps[-1].groups
    values = kernel.elements.get("frontends", {})
    assert values.keys() == {str(frontend) for frontend in wanted}
    buckets = kernel.elements.get("buckets", {})
    for frontend, target in wanted.items():
        value = int(values[str(frontend)], 16)
        if value in MARKS.values():
            reached = {value}
        else:
            reached = (
                {int(buckets[str(value * 1024 + bucket)], 16) for bucket in range(1024)} if value else set()
            )
        assert reached == {MARKS[node] for node in groups[target.group]}
    sticky = {str(frontend) for frontend, target in wanted.items() if target.client_affinity}
    assert kernel.elements.get("client-affinity", {}).keys() == sticky


def held(kernel: Kernel, made: Tables) -> Held:
    """What would be read of the kernel's table."""
    frame = made.replace()
    marks = {name: elements for name, elements in kernel.elements.items() if name not in ("groups", "pools")}
    return Held(
        chains=frozenset(f"group-{number}" for number in kernel.elements.get("groups", {})),
        hooks={
            name: (kind, hook, int(priority))
            for name, kind, hook, priority in re.findall(
                r"chain (\S+) {\s+type (\w+) hook (\w+) priority (-?\d+);", frame
            )
        },
        pools=frozenset({IPv4Network("203.0.113.0/24")}),
        elements={
            name: {key: int(value, 0) if value else None for key, value in elements.items()}
            for name, elements in marks.items()
        },
    )


@settings(deadline=None)
@given(st.lists(changes | routes, max_size=5), st.lists(changes | routes, max_size=5))
def test_a_table_of_an_earlier_run_is_mended_into_what_a_replacement_would_be(
    earlier: list[Change | dict[Node, int]], later: list[Change | dict[Node, int]]
) -> None:
    first, second, kernel, replaced = (
        *(Tables([IPv4Network("203.0.113.0/24")]) for _ in range(2)),
        Kernel(),
        Kernel(),
    )
    for made, steps in ((first, earlier), (second, later)):
        for step in steps:
            if isinstance(step, Change):
                made.change(step)
            else:
                made.route(step, frozenset({"nodes"}))
    kernel.apply(first.replace())
    commands = second.mend(held(kernel, first))
    assert commands is not None
    kernel.apply(commands)
    replaced.apply(second.replace())
    assert nonempty(kernel) == nonempty(replaced)
    assert "add element" not in (second.mend(held(kernel, second)) or "").replace(
        "add element ip wellhead-forwarder groups", ""
    )


def nonempty(kernel: Kernel) -> Elements:
    return {name: elements for name, elements in kernel.elements.items() if elements}


def test_a_table_with_other_hooks_or_pools_is_not_mended() -> None:
    made = tables()
    right = held(Kernel(), made)
    assert made.mend(right) is not None
    assert made.mend(dataclasses.replace(right, hooks={})) is None
    assert made.mend(dataclasses.replace(right, pools=frozenset())) is None


def test_nfts_json_is_read() -> None:
    chain = {"family": "ip", "table": "wellhead-forwarder", "name": "prerouting"}
    hook = {"type": "filter", "hook": "prerouting", "prio": -150, "policy": "accept"}
    flow = {"type": ["ipv4_addr", "inet_proto", "inet_service"]}
    pools = [{"prefix": {"addr": "203.0.113.0", "len": 24}}, "192.0.2.1"]
    web = [{"concat": ["203.0.113.140", "tcp", 80]}, 1]
    group = [2, {"goto": {"target": "group-2"}}]
    found = read(
        [
            {"metainfo": {"version": "1.0.6"}},
            {"chain": {**chain, **hook}},
            {"chain": {**chain, "name": "group-2"}},
            {
                "set": {
                    "name": "pools",
                    "type": "ipv4_addr",
                    "elem": pools,
                }
            },
            {"set": {"name": "node-links", "type": "ifname", "elem": ["nodes"]}},
            {"set": {"name": "terminated", **flow}},
            {
                "map": {
                    "name": "frontends",
                    **flow,
                    "map": "mark",
                    "elem": [web],
                }
            },
            {"map": {"name": "buckets", "type": "mark", "map": "mark", "elem": [["0x400", "0x40000001"]]}},
            {
                "map": {
                    "name": "groups",
                    "type": "mark",
                    "map": "verdict",
                    "elem": [group],
                }
            },
        ]
    )
    assert found == Held(
        frozenset({"prerouting", "group-2"}),
        {"prerouting": ("filter", "prerouting", -150)},
        frozenset({IPv4Network("203.0.113.0/24"), IPv4Network("192.0.2.1/32")}),
        {
            "node-links": {'"nodes"': None},
            "terminated": {},
            "frontends": {"203.0.113.140 . tcp . 80": 1},
            "buckets": {"1024": 0x40000001},
        },
    )
    assert found.groups == {2}
    assert read([{"set": {"name": "node-links", "elem": [{"range": [1, 2]}]}}]) is None


def test_flows_that_packets_have_noted_are_nobodys_to_mend() -> None:
    flow = {"concat": ["198.51.100.79", "203.0.113.1", 40000, 80]}
    noted = {"elem": {"val": flow, "timeout": 300, "expires": 299}}
    found = read([{"set": {"name": "apart", "type": "", "flags": ["timeout", "dynamic"], "elem": [noted]}}])
    assert found is not None
    assert found.elements == {}
