"""The forwarder's table: what nft is told."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network

from hypothesis import given, settings
from hypothesis import strategies as st

from wellhead.cloud.forwarder.hashing import Node
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
                    assert held.pop(key) == value


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
