"""What the page is told, as values that are published: the scene, answers, requests that were sent. Pure.

The ways themselves are `wellhead.paths`' and `wellhead.trace`'s values, as explain and trace print them.
"""

from __future__ import annotations

import msgspec

from wellhead.paths.difference import Difference
from wellhead.paths.way import Report, Value, Way
from wellhead.trace.values import Trace

VERSION = "wellhead.dev/page/v1"


# The scene: whatever a packet may come from, come through or go to


class Machine(Value, frozen=True, kw_only=True):
    """A machine of a cluster of this machine that is no node: the client, the edge, the cloud."""

    name: str
    addresses: tuple[str, ...]


class Client(Value, frozen=True, kw_only=True, tag_field="kind", tag="client"):
    """Whoever is outside of the cluster."""

    id: str = "client"
    name: str
    addresses: tuple[str, ...] = ()
    asks: str
    """As a question names it: `outside`, or its address where it has one."""
    sends: str = ""
    """As a request names it; empty where nothing can be sent."""
    machines: tuple[Machine, ...] = ()


class Vip(Value, frozen=True, kw_only=True):
    """An address of a load balancer."""

    address: str
    """Or a host name, where there is no address."""
    mode: str = ""
    """VIP, Proxy or empty."""
    service: str = ""
    """The id of the Service."""


class Balancer(Value, frozen=True, kw_only=True, tag_field="kind", tag="balancer"):
    """Who leads addresses to the nodes, of one class."""

    id: str
    name: str
    class_: str = msgspec.field(name="class")
    """spec.loadBalancerClass; empty for the default."""
    how: str
    """forwarding, terminating or unknown."""
    vips: tuple[Vip, ...] = ()
    holders: tuple[str, ...] = ()
    """The ids of the nodes that it sends to, where only some can be."""
    recognised_by: str = ""


class Node(Value, frozen=True, kw_only=True, tag_field="kind", tag="node"):
    """A node."""

    id: str
    name: str
    addresses: tuple[str, ...]
    """Its InternalIPs."""
    external: tuple[str, ...] = ()
    pod_cidrs: tuple[str, ...] = msgspec.field(default=(), name="podCIDRs")
    ready: bool
    unschedulable: bool = False
    excluded: bool = False
    """Load balancers are told to leave it out."""
    zone: str = ""
    checks: dict[str, bool] = msgspec.field(default_factory=dict)
    """Whether it passes the health check of each Service that has one, by the Service's id."""


class Pod(Value, frozen=True, kw_only=True, tag_field="kind", tag="pod"):
    """A pod."""

    id: str
    namespace: str
    name: str
    node: str
    """The node's name."""
    addresses: tuple[str, ...]
    ready: bool
    phase: str
    host_network: bool = False
    terminating: bool = False
    services: tuple[str, ...] = ()
    """The ids of the Services whose endpoint it is."""


class Port(Value, frozen=True, kw_only=True):
    """A port of a Service."""

    name: str
    port: int
    protocol: str
    node_port: int | None = None
    target_port: str = ""


class Endpoint(Value, frozen=True, kw_only=True):
    """An endpoint of a Service."""

    address: str
    port: int
    node: str = ""
    pod: str = ""
    """The pod's id."""
    ready: bool
    serving: bool
    terminating: bool


class Service(Value, frozen=True, kw_only=True, tag_field="kind", tag="service"):
    """A Service, with its endpoints."""

    id: str
    namespace: str
    name: str
    type: str
    headless: bool = False
    cluster_ips: tuple[str, ...] = msgspec.field(default=(), name="clusterIPs")
    external_ips: tuple[str, ...] = msgspec.field(default=(), name="externalIPs")
    vips: tuple[Vip, ...] = ()
    ports: tuple[Port, ...] = ()
    external_traffic_policy: str = ""
    internal_traffic_policy: str = ""
    preserve_client_ip: bool = msgspec.field(default=False, name="preserveClientIP")
    class_: str = msgspec.field(default="", name="class")
    source_ranges: tuple[str, ...] = ()
    affinity: str = ""
    health_check_node_port: int | None = None
    balancer: str = ""
    """The id of its balancer."""
    endpoints: tuple[Endpoint, ...] = ()


Entity = Client | Balancer | Node | Pod | Service


class Can(Value, frozen=True, kw_only=True):
    """Whether the page may do something, and, if not, why."""

    can: bool
    why: str = ""


class Capabilities(Value, frozen=True, kw_only=True):
    """What this page can do."""

    send: Can
    change: Can
    source: str
    """Where its objects come from: `cluster page-g`, `kubeconfig ~/.kube/config`, `files a.yaml`."""
    version: str = VERSION


class Missing(Value, frozen=True, kw_only=True):
    """Objects that can't be read, and what that leaves open."""

    what: str
    why: str
    leaves_open: str


class Scene(Value, frozen=True, kw_only=True):
    """Everything."""

    capabilities: Capabilities
    entities: tuple[Entity, ...]
    unread: tuple[Missing, ...] = ()


class Change(Value, frozen=True, kw_only=True):
    """What is other than it was."""

    put: tuple[Entity, ...] = ()
    gone: tuple[str, ...] = ()


class State(Value, frozen=True, kw_only=True):
    """Whether the page follows the cluster."""

    connected: bool
    why: str = ""


class Ticks(Value, frozen=True, kw_only=True):
    """Which steps of the lesson the cluster shows to be done."""

    ticks: dict[str, bool]


# Questions


class Edit(Value, frozen=True, kw_only=True):
    """A Service as it might be."""

    service: str
    """namespace/name"""
    changes: dict[str, str | bool | None]


class Ask(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question, as explain takes it."""

    target: str
    namespace: str = ""
    clients: tuple[str, ...] = ()
    port: int | None = None
    node: str = ""
    edit: Edit | None = None


class Answer(Value, frozen=True, kw_only=True):
    """A report, and the same as explain prints it."""

    report: Report
    text: str


class Answered(Value, frozen=True, kw_only=True, omit_defaults=True):
    """The answer, also for the edited Service, and what differs."""

    report: Report
    text: str
    edited: Answer | None = None
    differences: tuple[Difference, ...] | None = None
    summary: str | None = None
    """The differences as explain --diff prints them."""


# Requests


class Send(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request, as trace takes it."""

    client: str
    target: str
    namespace: str = "default"
    via: str = ""
    by: str = ""
    how: str = ""
    path: str = "/"
    ipv6: bool = False


class Diverges(Value, frozen=True, kw_only=True):
    """Where a request went otherwise than predicted. Numbers count from 0."""

    step: int | None
    """Of `trace.way.outcomes[0].steps`: what happened there was not foreseen."""
    hop: int | None
    """Of `trace.hops`: the place where it happened."""
    outcome: int
    """Of `predicted.outcomes`: the one that was most like it."""
    predicted_step: int | None
    """Of that one's steps: what had been expected instead."""
    expected: str
    """The same in words."""


class Sent(Value, frozen=True, kw_only=True):
    """A request that was sent, and what had been predicted of it."""

    id: str
    at: str
    """When it was sent, as RFC 3339 has it."""
    question: Send
    trace: Trace
    predicted: Way | None
    differences: tuple[str, ...]
    diverges: Diverges | None
    """None where it went as predicted, or nothing was."""
    text: str
    """As trace prints it."""


class Line(Value, frozen=True, kw_only=True):
    """A request in the history."""

    id: str
    at: str
    question: Send
    summary: str
    disposition: str
    agreed: bool


# Levers


class Lever(Value, frozen=True, kw_only=True):
    """Something that can be changed."""

    id: str
    title: str
    of: str
    """What it is a lever of: service, node."""
    choices: tuple[str, ...] = ()
    """What it can be set to; empty for a number."""
    command: str
    """What is typed for it, with <…> to fill in."""
    note: str = ""


class Pull(Value, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"only_show": "try"}):
    """A lever that is pulled, or whose command is asked for."""

    lever: str
    object: str
    """The id of a Service or node."""
    value: str
    only_show: bool = False


class Pulled(Value, frozen=True, kw_only=True):
    """What came of it."""

    command: str
    """As a person would type it."""
    done: bool
    output: str = ""


# The lesson, and the matrix


class Step(Value, frozen=True, kw_only=True):
    """A step of the lesson."""

    id: str
    section: str
    about: str
    """What the section says."""
    title: str
    where: str
    """Where its command is typed: client, pod, endpoint node."""
    command: str
    look: str
    """What to look at."""
    press: str = ""
    """What the page does for it, in words or as a command; empty where it can't."""
    note: str = ""
    ticked: bool = False


class Pressed(Value, frozen=True, kw_only=True):
    """What came of pressing a step."""

    command: str
    done: bool
    output: str = ""
    sent: tuple[str, ...] = ()
    """The ids of the requests that were sent for it."""


class Cell(Value, frozen=True, kw_only=True):
    """What one client's connections to one address come to."""

    seen: str
    """What the server sees, in a few words: `client`, `node-1`, `dropped`; several, if it may be either."""
    dispositions: tuple[str, ...]
    client: str
    ask: Ask
    """The question that opens its way."""


class Row(Value, frozen=True, kw_only=True):
    """An address of a Service, dialled by everybody."""

    service: str
    """namespace/name"""
    frontend: str
    """ClusterIP, NodePort, …"""
    where: str
    """Of a node port: `server's node` or `other node`."""
    address: str
    port: int
    protocol: str
    policy: str
    """What decides there: Cluster, Local, `Cluster, kept`, `internal Local`."""
    cells: tuple[Cell | None, ...]
    """One for each column; null where such a client isn't there, or nobody dials from there."""


class Matrix(Value, frozen=True, kw_only=True):
    """Who dials what, and what is seen then."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    left_out: tuple[str, ...] = ()
    """Services beyond those that are shown."""


class Refusal(Value, frozen=True, kw_only=True):
    """Why something wasn't done."""

    message: str


def event(name: str, value: msgspec.Struct) -> bytes:
    """A server-sent event."""
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(value) + b"\n\n"
