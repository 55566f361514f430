"""What a LoadBalancer Service asks of its load balancer. Pure: a Service in, a value out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from wellhead.api.meta import Key, Obj, key
from wellhead.api.names import CLIENT_IP_ANNOTATION, FORWARDER_CLASS, PROXY_CLASS, SOURCE_RANGES_ANNOTATION
from wellhead.cloud.classes import Unsupported, class_of
from wellhead.cloud.haproxy.termination import (
    Termination,
    annotated_ranges,
    termination,
)
from wellhead.cloud.pools import Asker
from wellhead.cloud.vips import Tenancy
from wellhead.ip import IPAddress, parse_address
from wellhead.ports import PROXY_HEALTH

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
MANAGER = "wellhead-cloud"
"""What the API server calls this controller."""
VIP_ANNOTATION = "wellhead.dev/load-balancer-ip"
POOL_ANNOTATION = "wellhead.dev/load-balancer-pool"
SHARE_ANNOTATION = "wellhead.dev/share-load-balancer-ip"
_METALLB = {
    VIP_ANNOTATION: "loadBalancerIPs",
    POOL_ANNOTATION: "address-pool",
    SHARE_ANNOTATION: "allow-shared-ip",
}
_METALLB_PREFIXES = ("metallb.io", "metallb.universe.tf")

_PROTOCOLS = ("TCP", "UDP")
_VERSIONS = {"IPv4": 4, "IPv6": 6}


@dataclass(frozen=True)
class Request:
    """A load balancer as a Service wants it.

    `check_port` is the port of a node whose /healthz says whether that node gets new flows: the Service's
    own health-check node port under policy Local, else the service proxy's. `termination` is None for the
    forwarder's class.
    """

    service: Key
    ports: frozenset[tuple[str, int]]  # ("tcp" or "udp", port)
    local: bool
    check_port: int
    client_affinity: bool
    families: tuple[int, ...] = (4,)  # IP versions, in the order of spec.ipFamilies
    optional_families: bool = False  # a VIP of one of them will do
    addresses: frozenset[IPAddress] = frozenset()  # the VIPs that were asked for
    termination: Termination | None = None

    @property
    def load_balancer_class(self) -> str:
        return PROXY_CLASS if self.termination is not None else FORWARDER_CLASS

    @property
    def ip_mode(self) -> str:
        """What the Service's status says of the VIP (KEP-1860): nodes may short-circuit a forwarder's way,
        but never a proxy's, of which they can't do the work.
        """
        return "Proxy" if self.termination is not None else "VIP"

    @property
    def uses_nodes(self) -> bool:
        """Whether connections go to nodes, rather than straight to endpoints."""
        return self.termination is None or self.termination.dials_nodes


def is_wanted(service: Obj) -> bool:
    """Whether the Service should have a load balancer of ours (now, or once there is a VIP for it)."""
    return class_of(service) is not None and not service["metadata"].get("deletionTimestamp")


def is_guarded(service: Obj) -> bool:
    """Whether the Service has the finalizer that is ours to remove.

    A Service that left type LoadBalancer lost its class with it, so the finalizer alone decides then. With
    somebody else's class it may be theirs, who may use the same one: then it counts who has put it there.
    """
    if FINALIZER not in (service["metadata"].get("finalizers") or ()):
        return False
    return not is_anothers(service) or bool(service["metadata"].get("managedFields"))


def is_anothers(service: Obj) -> bool:
    """Whether the Service is a load balancer of another controller's class."""
    return service.get("spec", {}).get("type") == "LoadBalancer" and class_of(service) is None


def read(service: Any) -> Any:
    """A Service as it is, but of who set what only whether this controller alone has put the finalizer."""
    metadata = service["metadata"]
    entries = metadata.pop("managedFields", None) or ()
    putting = [
        each
        for each in entries
        if f'v:"{FINALIZER}"' in each.get("fieldsV1", {}).get("f:metadata", {}).get("f:finalizers", {})
    ]
    if putting and all(each.get("manager") == MANAGER for each in putting):
        metadata["managedFields"] = [{"manager": MANAGER}]
    return service


def needs_cleanup(service: Obj) -> bool:
    """Whether the Service waits for us to take its load balancer away and remove the finalizer."""
    return is_guarded(service) and not is_wanted(service)


def request(service: Obj) -> Request:
    """What this Service, which has a class of ours, asks for.

    Raises:
        Unsupported: it asks for what can't be done, or what the API server should never have let through.
    """
    spec = service["spec"]
    terminated = termination(service) if class_of(service) == PROXY_CLASS else None
    if terminated is None and annotated_ranges(service) and not spec.get("loadBalancerSourceRanges"):
        raise Unsupported(
            f"nodes don't heed the annotation {SOURCE_RANGES_ANNOTATION}: "
            "say it in spec.loadBalancerSourceRanges"
        )
    ports = set()
    for port in spec.get("ports") or []:
        protocol = port.get("protocol", "TCP")
        if protocol not in _PROTOCOLS:
            raise Unsupported(
                f"port {port['port']}: protocol {protocol} can't be forwarded, only TCP and UDP"
            )
        ports.add((protocol.lower(), int(port["port"])))
    if not ports:
        raise Unsupported("the Service has no ports")
    families = tuple(_VERSIONS[name] for name in spec.get("ipFamilies") or ["IPv4"])
    local = spec.get("externalTrafficPolicy") == "Local"
    check_port = spec.get("healthCheckNodePort") or 0 if local else PROXY_HEALTH
    if not check_port:
        raise Unsupported("externalTrafficPolicy is Local but there is no healthCheckNodePort")
    return Request(
        service=key(service),
        ports=frozenset(ports),
        local=local,
        check_port=check_port,
        client_affinity=spec.get("sessionAffinity") == "ClientIP",
        families=families,
        optional_families=spec.get("ipFamilyPolicy") == "PreferDualStack",
        addresses=_requested_addresses(service, families),
        termination=terminated,
    )


def annotation(service: Obj, name: str) -> str:
    """What one of our annotations says, or MetalLB's of the same meaning; empty if nothing."""
    annotations = service["metadata"].get("annotations") or {}
    theirs = (f"{prefix}/{_METALLB[name]}" for prefix in _METALLB_PREFIXES)
    return next((found for each in (name, *theirs) if (found := annotations.get(each))), "")


def without_effect(service: Obj) -> str:
    """What its annotations ask for that its class doesn't do, for people; empty if there is nothing."""
    if class_of(service) == PROXY_CLASS:
        ignored, why = SHARE_ANNOTATION, f"addresses of class {PROXY_CLASS} aren't shared"
        asked = annotation(service, ignored)
    else:
        ignored, why = CLIENT_IP_ANNOTATION, f"only class {PROXY_CLASS} adds anything to what clients say"
        asked = (service["metadata"].get("annotations") or {}).get(ignored, "")
    return f"The annotation {ignored} has no effect: {why}" if asked not in ("", "none") else ""


def asker(service: Obj) -> Asker:
    """The Service, as far as it decides which pools are for it."""
    metadata = service["metadata"]
    load_balancer_class = class_of(service) or FORWARDER_CLASS
    pool = annotation(service, POOL_ANNOTATION)
    return Asker(metadata["namespace"], metadata.get("labels") or {}, load_balancer_class, pool)


def tenancy(service: Obj) -> Tenancy:
    """How the Service lives at its address: alone, or with others that chose the same key.

    Under policy Local a node gets all that is for an address or nothing of it, so tenants must have the same
    pods, too. A terminating proxy's addresses aren't shared.
    """
    spec = service["spec"]
    key = annotation(service, SHARE_ANNOTATION)
    if not key or class_of(service) != FORWARDER_CLASS:
        return Tenancy()
    ways = "Cluster"
    if spec.get("externalTrafficPolicy") == "Local":
        namespace, selector = service["metadata"]["namespace"], spec.get("selector") or {}
        ways = f"{namespace} {sorted(selector.items())}"
    ports = ((port.get("protocol", "TCP").lower(), int(port["port"])) for port in spec.get("ports") or [])
    return Tenancy((key, ways), frozenset(ports))


def _requested_addresses(service: Obj, families: tuple[int, ...]) -> frozenset[IPAddress]:
    text = annotation(service, VIP_ANNOTATION) or service["spec"].get("loadBalancerIP") or ""
    found: dict[int, IPAddress] = {}
    for each in text.split(",") if text else ():
        if (address := parse_address(each.strip())) is None:
            raise Unsupported(
                f"{each.strip()!r} was asked for as the load balancer's address, but is no IP address"
            )
        if address.version not in families:
            raise Unsupported(
                f"{address} was asked for, but the Service's ipFamilies have no IPv{address.version}"
            )
        if address.version in found:
            raise Unsupported(f"{text} was asked for: a load balancer has one IPv{address.version} address")
        found[address.version] = address
    return frozenset(found.values())


def published_vips(service: Obj) -> list[IPAddress]:
    """The addresses in the Service's status."""
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    # Other clouds' load balancers have host names.
    found = (parse_address(entry.get("ip") or "") for entry in ingress)
    return [each for each in found if each is not None]


def publishes(service: Obj, vips: Sequence[IPAddress], ip_mode: str) -> bool:
    """Whether the Service's status says exactly that these are its VIPs. No ipMode means VIP (KEP-1860)."""
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    modes = {entry.get("ipMode", "VIP") for entry in ingress}
    return published_vips(service) == list(vips) and modes == {ip_mode}


def status(vips: Iterable[IPAddress], ip_mode: str) -> Obj:
    """The status of a Service with these VIPs."""
    return {"loadBalancer": {"ingress": [{"ip": str(vip), "ipMode": ip_mode} for vip in vips]}}
