"""Chain names: kube-proxy's, hash for hash, since people and tools know them."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache

from wellhead.ip import Protocol
from wellhead.services.endpointslice import EndpointAddress
from wellhead.services.names import PortKey

SERVICES = "KUBE-SERVICES"
EXTERNAL_SERVICES = "KUBE-EXTERNAL-SERVICES"
NODEPORTS = "KUBE-NODEPORTS"
POSTROUTING = "KUBE-POSTROUTING"
MARK_MASQ = "KUBE-MARK-MASQ"
MARK_PRESERVE = "KUBE-MARK-PRESERVE"
FORWARD = "KUBE-FORWARD"
PROXY_FIREWALL = "KUBE-PROXY-FIREWALL"

# kube-proxy's alarm for flushed tables. We compare rules instead, and remove one that it left behind.
CANARY = "KUBE-PROXY-CANARY"

_FIXED = frozenset(
    (
        SERVICES,
        EXTERNAL_SERVICES,
        NODEPORTS,
        POSTROUTING,
        MARK_MASQ,
        MARK_PRESERVE,
        FORWARD,
        PROXY_FIREWALL,
        CANARY,
    )
)
_HASHED = re.compile(r"KUBE-(SVC|SVL|EXT|FW|SEP)-[A-Z2-7]{16}")


def is_ours(chain: str) -> bool:
    """Whether a chain is one that this proxy, or the kube-proxy that it replaces, makes.

    Other KUBE- chains are somebody else's: the kubelet's KUBE-FIREWALL, for one.
    """
    return chain in _FIXED or _HASHED.fullmatch(chain) is not None


def cluster_policy_chain(port: PortKey, protocol: Protocol) -> str:
    """KUBE-SVC-…: choose among the endpoints of the Cluster view."""
    return "KUBE-SVC-" + _hash(port, protocol)


def local_policy_chain(port: PortKey, protocol: Protocol) -> str:
    """KUBE-SVL-…: choose among the endpoints of the Local view."""
    return "KUBE-SVL-" + _hash(port, protocol)


def external_chain(port: PortKey, protocol: Protocol) -> str:
    """KUBE-EXT-…: traffic to external IPs, load balancer IPs and node ports."""
    return "KUBE-EXT-" + _hash(port, protocol)


def firewall_chain(port: PortKey, protocol: Protocol) -> str:
    """KUBE-FW-…: only allowed sources pass on to KUBE-EXT-…."""
    return "KUBE-FW-" + _hash(port, protocol)


def endpoint_chain(port: PortKey, protocol: Protocol, endpoint: EndpointAddress) -> str:
    """KUBE-SEP-…: one endpoint. Also the name of its list of clients, under ClientIP affinity."""
    return "KUBE-SEP-" + _hash(port, protocol, str(endpoint))


@lru_cache(maxsize=256)  # a port's chains share one, and its endpoints' are asked for twice
def _hash(port: PortKey, protocol: Protocol, endpoint: str = "") -> str:
    digest = hashlib.sha256(f"{port}{protocol.lower()}{endpoint}".encode()).digest()
    return base64.b32encode(digest[:10]).decode()
