"""Small clusters and policies, made up by hypothesis: few names, so that things meet."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Obj = dict[str, Any]

NODES = ("node-1", "node-2")
NAMESPACES = ("shop", "office", "lab")
ADDRESSES = [*(f"10.244.1.{number}" for number in range(2, 8)), "fd00:10:244:1::2", "fd00:10:244:2::3"]
OUTSIDE = ("198.51.100.79", "203.0.113.9", "2001:db8:51::79")
PORTS = (80, 443, 8080)
NAMES = ("http", "metrics")
PROTOCOLS = ("TCP", "UDP", "SCTP")

labels = st.dictionaries(st.sampled_from(("app", "tier")), st.sampled_from(("web", "db")), max_size=2)
_requirement = st.one_of(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(("app", "tier")),
            "operator": st.sampled_from(("In", "NotIn")),
            "values": st.lists(st.sampled_from(("web", "db")), min_size=1, max_size=2, unique=True),
        }
    ),
    st.fixed_dictionaries(
        {"key": st.sampled_from(("app", "tier")), "operator": st.sampled_from(("Exists", "DoesNotExist"))}
    ),
)
selector = st.fixed_dictionaries(
    {}, optional={"matchLabels": labels, "matchExpressions": st.lists(_requirement, max_size=1)}
)
_blocks = st.sampled_from(
    [
        {"cidr": "10.244.1.0/24"},
        {"cidr": "10.244.1.0/24", "except": ["10.244.1.4/30", "10.244.1.5/32"]},
        {"cidr": "10.244.1.4/31"},
        {"cidr": "0.0.0.0/0", "except": ["198.51.100.0/24"]},
        {"cidr": "::/0"},
        {"cidr": "fd00:10:244::/48", "except": ["fd00:10:244:1::/64"]},
    ]
)
peer = st.one_of(
    st.fixed_dictionaries({"podSelector": selector}),
    st.fixed_dictionaries({"namespaceSelector": selector}),
    st.fixed_dictionaries({"podSelector": selector, "namespaceSelector": selector}),
    st.fixed_dictionaries({"ipBlock": _blocks}),
)
_protocol = {"protocol": st.sampled_from(PROTOCOLS)}
port = st.one_of(
    st.fixed_dictionaries({}, optional=_protocol),
    st.fixed_dictionaries({"port": st.sampled_from((*PORTS, *NAMES))}, optional=_protocol),
    st.fixed_dictionaries(
        {"port": st.just(400), "endPort": st.sampled_from((443, 9000))}, optional=_protocol
    ),
)


def _rule(peers: str) -> st.SearchStrategy[Obj]:
    return st.fixed_dictionaries(
        {}, optional={peers: st.lists(peer, max_size=2), "ports": st.lists(port, max_size=2)}
    )


@st.composite
def policies(draw: st.DrawFn) -> Obj:
    spec: Obj = {"podSelector": draw(selector), "policyTypes": draw(st.sampled_from(_TYPES))}
    for field, peers in (("ingress", "from"), ("egress", "to")):
        if draw(st.booleans()):
            spec[field] = draw(st.lists(_rule(peers), max_size=2))
    metadata = {"namespace": draw(st.sampled_from(NAMESPACES)), "name": draw(st.sampled_from("abcd"))}
    return {"metadata": metadata, "spec": {key: value for key, value in spec.items() if value is not None}}


_TYPES = (["Ingress"], ["Egress"], ["Ingress", "Egress"], None)

_addresses = st.tuples(
    st.lists(st.sampled_from([each for each in ADDRESSES if "." in each]), max_size=1),
    st.lists(st.sampled_from([each for each in ADDRESSES if ":" in each]), max_size=1),
).map(lambda of_family: [*of_family[0], *of_family[1]])


@st.composite
def pods(draw: st.DrawFn) -> Obj:
    namespace, name = draw(st.sampled_from(NAMESPACES)), draw(st.sampled_from("pqrstu"))
    named = draw(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(PORTS), max_size=2))
    return {
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": f"{namespace} {name} {draw(st.integers(1, 2))}",
            "creationTimestamp": f"2026-11-0{draw(st.integers(1, 3))}T00:00:00Z",
            "labels": draw(labels),
        },
        "spec": {
            "nodeName": draw(st.sampled_from(NODES)),
            "containers": [
                {"ports": [{"name": each, "containerPort": number} for each, number in named.items()]}
            ],
        },
        "status": {
            "phase": draw(st.sampled_from(("Running", "Running", "Succeeded"))),
            "podIPs": [{"ip": each} for each in draw(_addresses)],
        },
    }


def namespaces() -> st.SearchStrategy[Obj]:
    metadata = st.fixed_dictionaries({"name": st.sampled_from(NAMESPACES), "labels": labels})
    return st.fixed_dictionaries({"metadata": metadata})


Event = tuple[str, Obj, bool]
"""What kind of object, the object, and whether it has gone."""


@st.composite
def events(draw: st.DrawFn) -> list[Event]:
    """A small cluster coming about in any order, and some of it changing or going again."""
    of_kinds = (("namespace", namespaces(), 2), ("pod", pods(), 4), ("policy", policies(), 3))
    found: list[Event] = []
    for kind, made, number in of_kinds:
        found += [(kind, each, False) for each in draw(st.lists(made, min_size=number, max_size=number + 1))]
        if draw(st.booleans()):
            found.append((kind, draw(made), draw(st.booleans())))
            found.append((kind, found[-2][1], True))
    return draw(st.permutations(found))
