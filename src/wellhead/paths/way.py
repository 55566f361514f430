"""The values of a way: what was predicted of a packet, or observed of one.

An answer is a set: the outcomes of a way have shares that sum to 1. Whoever rewrote an address is named, and
so are the object and field that decided. `null` is an honest value: an address of a node that can't be told
from the API has `seenAs: node` and no `source`.
"""

from __future__ import annotations

import enum

import msgspec

from wellhead.paths.codes import Code

VERSION = "wellhead.dev/paths/v1"
"""The version of the published form. Fields may be added to it; none changes its meaning."""


class SeenAs(enum.StrEnum):
    """Whose address the server sees."""

    CLIENT = "client"
    """The client's own."""
    NODE = "node"
    POD = "pod"
    """Of a pod in between: an ingress controller's, a load balancer's that runs as a pod."""
    BALANCER = "balancer"
    """Of a load balancer outside the cluster."""
    OTHER = "other"
    """Somebody else's: a NAT gateway's, a router's."""
    UNKNOWN = "unknown"


class Disposition(enum.StrEnum):
    """What became of a new connection."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    """At once, by ICMP or a reset."""
    DROPPED = "dropped"
    """Silently: the client waits for its time-out. Also where the reply is what gets lost."""
    UNREACHABLE = "unreachable"
    """No way leads there from this client."""
    ANSWERED = "answered"
    """By another party than the Service's endpoints."""
    UNKNOWN = "unknown"


class What(enum.StrEnum):
    """What a party does with a packet in one step."""

    SEND = "send"
    DELIVER = "deliver"
    FORWARD = "forward"
    """Passed on as it is."""
    DNAT = "dnat"
    """The destination is rewritten."""
    SNAT = "snat"
    """The source is rewritten."""
    TERMINATE = "terminate"
    """The connection ends here, and another one begins, with a source of its own."""
    ENCAPSULATE = "encapsulate"
    DROP = "drop"
    REFUSE = "refuse"
    REPLY = "reply"
    """Something about the way back."""


class Value(msgspec.Struct, frozen=True, rename="camel"):
    """The base of what follows: frozen, and with camelCase names in JSON."""


class Decision(Value, frozen=True, kw_only=True, omit_defaults=True):
    """The object and the field that decided, as `kubectl explain` would name it."""

    object: str
    """`Service shop/web`, `ConfigMap kube-system/kube-proxy`, `Node birch`."""
    field: str = ""
    """`spec.externalTrafficPolicy`."""
    value: str = ""


class Note(Value, frozen=True, kw_only=True, omit_defaults=True):
    """A reason, an assumption, an open question, a warning or a piece of advice, that stands by itself."""

    code: Code
    sentence: str
    decided_by: Decision | None = None
    do: str = ""
    """What to do about it, a command where there is one; or what would decide an open question."""


class Step(Value, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that one party did with the packet."""

    who: str
    """The party: `kube-proxy on birch`, `flannel on cedar`, `AWS NLB`."""
    what: What
    from_: str | None = msgspec.field(name="from")
    """What was rewritten: an address, or address:port; None where nothing was or it isn't known."""
    to: str | None
    code: Code
    because: str
    """One plain sentence."""
    decided_by: Decision | None = None
    node: str = ""
    """Where; empty outside the nodes."""
    evidence: str = ""
    """Of an observation: trace, packet, conntrack or counters. Empty in a prediction."""
    seconds: float | None = None
    """Of an observation: the time since the way began."""


class Forwarded(Value, frozen=True, kw_only=True, omit_defaults=True):
    """Where else the client's address, or what is taken for it, can be read."""

    by: str
    form: str
    """`X-Forwarded-For`, `Forwarded`, `PROXY protocol v2`."""
    address: str | None = None
    """What it holds."""
    seen_as: SeenAs = SeenAs.UNKNOWN
    sentence: str = ""


class Outcome(Value, frozen=True, kw_only=True):
    """One of the ends that a new connection may come to."""

    share: float
    """Of the way's new connections, 0 to 1. Among entries that nothing tells apart: equal parts."""
    disposition: Disposition
    source: str | None
    """The address that the server sees; null where nobody receives anything, or it can't be told."""
    seen_as: SeenAs
    source_note: str = ""
    """The same in words, also where the address is not known: `an address of birch`."""
    source_owner: str = ""
    """Whose it is: the name of the node, the pod (namespace/name) or the balancer."""
    enters: str = ""
    """The node by which the packet came in, if that matters."""
    endpoint: str | None
    """address:port of the endpoint."""
    endpoint_pod: str = ""
    """namespace/name, where the endpoint is a pod."""
    endpoint_node: str = ""
    forwarded: tuple[Forwarded, ...] = ()
    steps: tuple[Step, ...] = ()
    notes: tuple[Note, ...] = ()
    """Assumptions and open questions of this outcome."""


class Way(Value, frozen=True, kw_only=True):
    """From one client to one address, with everything that may become of it."""

    client: str
    """As `--from` takes it: `outside`, an address, `pod/NAME`, `node/NAME`."""
    client_address: str | None = None
    client_node: str = ""
    address: str
    """What the client dials: an address, or a name where there is no address."""
    port: int
    protocol: str
    family: str
    """`IPv4` or `IPv6`."""
    frontend: str = ""
    """What that is: ClusterIP, NodePort, ExternalIP, LoadBalancerIP, Hostname, HostPort, PodIP, NodeIP,
    Ingress."""
    service: str = ""
    """namespace/name of the Service, if one is on the way."""
    outcomes: tuple[Outcome, ...] = ()
    notes: tuple[Note, ...] = ()
    alike: tuple[str, ...] = ()
    """Other addresses of the same kind with the same outcomes, in a cluster too large to list them all."""


class PartyFound(Value, frozen=True, kw_only=True):
    """A party that handles packets in this cluster, and how it was recognised."""

    role: str
    """proxy, network, agent, balancer, controller."""
    name: str
    recognised_by: str = ""
    facts: dict[str, str] = {}
    known: bool = True
    """False: it is there, and nothing is known of what it does."""


class Unread(Value, frozen=True, kw_only=True, omit_defaults=True):
    """Objects that could not be read, and what that leaves open."""

    what: str
    why: str
    leaves_open: str


class Report(Value, frozen=True, kw_only=True):
    """All that is said of one Service, pod or address. The first way is the one that was asked for."""

    api_version: str = msgspec.field(default=VERSION, name="apiVersion")
    kind: str = "Ways"
    target: str
    ways: tuple[Way, ...] = ()
    parties: tuple[PartyFound, ...] = ()
    warnings: tuple[Note, ...] = ()
    advice: tuple[Note, ...] = ()
    unread: tuple[Unread, ...] = ()
