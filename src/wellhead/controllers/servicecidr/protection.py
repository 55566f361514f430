"""Whether a ServiceCIDR may go: pure (KEP-1880; upstream's canDeleteCIDR)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network

from wellhead.api.formats import parse_ip
from wellhead.api.kinds.ipaddress import MANAGED_BY, MANAGED_BY_LABEL
from wellhead.api.kinds.servicecidr import cidrs_of
from wellhead.api.meta import Obj, is_deleting, labels
from wellhead.api.ranges import Address, Network, is_usable


def networks_of(servicecidr: Obj) -> list[Network]:
    return [ip_network(text) for text in cidrs_of(servicecidr)]


def may_go(servicecidr: Obj, others: Iterable[Obj], addresses: Iterable[Obj]) -> bool:
    """Whether every ClusterIP of the ServiceCIDR is in another one's range, too.

    Others that are being deleted as well don't count.
    """
    left = [network for other in others if not is_deleting(other) for network in networks_of(other)]
    orphaned = [network for network in networks_of(servicecidr) if not _is_within(network, left)]
    return not any(
        any(is_usable(address, network) for network in orphaned)
        and not any(is_usable(address, network) for network in left)
        for address in map(cluster_ip_of, addresses if orphaned else ())
        if address is not None
    )


def cluster_ip_of(ip_address: Obj) -> Address | None:
    """The ClusterIP that an IPAddress stands for; None if it is somebody else's."""
    if labels(ip_address).get(MANAGED_BY_LABEL) != MANAGED_BY:
        return None
    return parse_ip(ip_address["metadata"]["name"])


def _is_within(network: Network, others: Iterable[Network]) -> bool:
    # Networks of one family share a prefix or nothing.
    return any(
        other.version == network.version
        and other.prefixlen <= network.prefixlen
        and network.network_address in other
        for other in others
    )
