"""What a Node object says that matters to a packet."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wellhead.api.names import EXCLUDE_LABEL, ZONE_LABEL
from wellhead.ip import Family, IPAddress, IPNetwork
from wellhead.paths.reading import Obj, addresses, networks, table, tables, text, texts


@dataclass(frozen=True)
class NodeFacts:
    """One node."""

    name: str
    internal: tuple[IPAddress, ...]
    external: tuple[IPAddress, ...]
    pod_cidrs: tuple[IPNetwork, ...]
    zone: str
    provider: str
    """The provider's name in `spec.providerID`: aws, gce, azure, kind …"""
    kubelet_version: str
    proxy_version: str
    """kube-proxy's version as the Node tells it; empty where it doesn't any more."""
    labels: dict[str, str]
    annotations: dict[str, str]
    ready: bool
    excluded: bool
    """Load balancers are told to leave it out."""

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        return (*self.internal, *self.external)

    def internal_of(self, family: Family) -> IPAddress | None:
        """Its primary address of a family."""
        return next((each for each in self.internal if each.version == family), None)

    def external_of(self, family: Family) -> IPAddress | None:
        return next((each for each in self.external if each.version == family), None)

    def pod_cidr_of(self, family: Family) -> IPNetwork | None:
        return next((each for each in self.pod_cidrs if each.version == family), None)


def node_facts(node: Obj) -> NodeFacts:
    """Read a Node."""
    spec, status = table(node, "spec"), table(node, "status")
    listed = tables(status, "addresses")
    labels = {key: str(value) for key, value in table(node, "metadata", "labels").items()}
    conditions = {text(each, "type"): text(each, "status") for each in tables(status, "conditions")}
    return NodeFacts(
        name=text(node, "metadata", "name"),
        internal=tuple(addresses([text(e, "address") for e in listed if text(e, "type") == "InternalIP"])),
        external=tuple(addresses([text(e, "address") for e in listed if text(e, "type") == "ExternalIP"])),
        pod_cidrs=networks(texts(spec, "podCIDRs") or texts(spec, "podCIDR")),
        zone=labels.get(ZONE_LABEL, ""),
        provider=text(spec, "providerID").partition("://")[0],
        kubelet_version=text(status, "nodeInfo", "kubeletVersion"),
        proxy_version=text(status, "nodeInfo", "kubeProxyVersion"),
        labels=labels,
        annotations={key: str(value) for key, value in table(node, "metadata", "annotations").items()},
        ready=conditions.get("Ready", "True") == "True",
        excluded=labels.get(EXCLUDE_LABEL, "false") != "false",
    )


def version_of(value: str) -> tuple[int, int] | None:
    """(major, minor) of a Kubernetes version; None where it names none."""
    found = re.match(r"v?(\d{1,3})\.(\d{1,3})", value)
    return (int(found[1]), int(found[2])) if found else None
