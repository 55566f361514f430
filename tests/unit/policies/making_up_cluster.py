"""ClusterNetworkPolicies, made up by hypothesis, for the clusters of `making_up`."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.unit.policies.making_up import NAMES, NODES, PORTS, Obj, labels, namespaces, pods, selector

Event = tuple[str, Obj, bool]

_pods = st.one_of(
    st.fixed_dictionaries({"namespaces": selector}),
    st.fixed_dictionaries(
        {"pods": st.fixed_dictionaries({"namespaceSelector": selector, "podSelector": selector})}
    ),
)
_unknown: st.SearchStrategy[Obj] = st.just({"zones": {}})
_outside = st.one_of(
    st.fixed_dictionaries({"nodes": selector}),
    st.sampled_from(
        [
            {"networks": ["0.0.0.0/0"]},
            {"networks": ["10.244.1.0/29", "::/0"]},
            {"networks": ["198.51.100.0/24", "10.240.0.0/31"]},
            {"domainNames": ["example.org"]},
        ]
    ),
)
_port = st.one_of(
    st.builds(lambda number: {"number": number}, st.sampled_from(PORTS)),
    st.just({"range": {"start": 79, "end": 443}}),
)
_protocol = st.one_of(
    st.builds(lambda name, port: {name: {"destinationPort": port}}, st.sampled_from(("tcp", "udp")), _port),
    st.just({"tcp": {}}),
    st.builds(lambda name: {"destinationNamedPort": name}, st.sampled_from(NAMES)),
)


def _rule(peers: str, peer: st.SearchStrategy[Obj]) -> st.SearchStrategy[Obj]:
    return st.fixed_dictionaries(
        {
            "action": st.sampled_from(("Accept", "Deny", "Pass")),
            peers: st.lists(peer, min_size=1, max_size=2),
        },
        optional={"protocols": st.lists(_protocol, min_size=1, max_size=2)},
    )


_ingress = _rule("from", st.one_of(_pods, _pods, _pods, _unknown))
_egress = _rule("to", st.one_of(_pods, _outside, _outside, _unknown))


@st.composite
def cluster_policies(draw: st.DrawFn) -> Obj:
    spec: Obj = {
        "tier": draw(st.sampled_from(("Admin", "Baseline"))),
        "priority": draw(st.integers(0, 2)),
        "subject": draw(st.one_of(st.just({"namespaces": {}}), _pods)),
        "ingress": draw(st.lists(_ingress, max_size=3)),
        "egress": draw(st.lists(_egress, max_size=3)),
    }
    return {"metadata": {"name": draw(st.sampled_from("wxyz"))}, "spec": spec}


@st.composite
def nodes(draw: st.DrawFn) -> Obj:
    number = draw(st.integers(0, 2))
    addresses = [{"type": "InternalIP", "address": f"10.240.0.{number}"}]
    name = f"{NODES[0]}{number}"
    return {"metadata": {"name": name, "labels": draw(labels)}, "status": {"addresses": addresses}}


@st.composite
def events(draw: st.DrawFn) -> list[Event]:
    """As `making_up.events`."""
    of_kinds = (
        ("namespace", namespaces(), 2),
        ("pod", pods(), 3),
        ("cluster", cluster_policies(), 2),
        ("node", nodes(), 1),
    )
    found: list[Event] = []
    for kind, made, number in of_kinds:
        found += [(kind, each, False) for each in draw(st.lists(made, min_size=number, max_size=number + 1))]
        if draw(st.booleans()):
            found.append((kind, draw(made), draw(st.booleans())))
            found.append((kind, found[-2][1], True))
    return draw(st.permutations(found))
