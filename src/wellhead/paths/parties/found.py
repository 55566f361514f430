"""The parties of one cluster."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from wellhead.paths.parties import (
    alibaba,
    digitalocean,
    hetzner,
    ibm,
    linode,
    openstack,
    oracle,
    ovh,
    scaleway,
    vultr,
)
from wellhead.paths.parties.antrea import antrea, antrea_proxy
from wellhead.paths.parties.aws import aws_balancer, aws_vpc
from wellhead.paths.parties.azure import azure_balancer, azure_network
from wellhead.paths.parties.base import Agent, Balancer, Network, Party, ServiceProxy
from wellhead.paths.parties.calico import calico, calico_ebpf
from wellhead.paths.parties.cilium import cilium_announcements, cilium_network, cilium_proxy
from wellhead.paths.parties.cloud_proxy import CloudProxySpec, cloud_proxy
from wellhead.paths.parties.flannel import flannel
from wellhead.paths.parties.gke import gke_balancer, gke_network
from wellhead.paths.parties.ip_masq_agent import ip_masq_agent
from wellhead.paths.parties.k3s import service_lb
from wellhead.paths.parties.kind_provider import cloud_provider_kind
from wellhead.paths.parties.kindnet import kindnet
from wellhead.paths.parties.kube_proxy import assumed, kube_proxy
from wellhead.paths.parties.kube_router import kube_router_network, kube_router_proxy
from wellhead.paths.parties.kube_vip import kube_vip
from wellhead.paths.parties.metallb import metallb
from wellhead.paths.parties.unknown import unknown_balancer, unknown_network, unknown_proxy
from wellhead.paths.parties.weave import weave
from wellhead.paths.parties.wellhead import wellhead_balancer, wellhead_network, wellhead_proxy
from wellhead.paths.services import ServiceFacts
from wellhead.paths.world import World

# The first that is there counts.
_PROXIES: tuple[Callable[[World], ServiceProxy | None], ...] = (
    cilium_proxy, calico_ebpf, kube_router_proxy, antrea_proxy, wellhead_proxy, kube_proxy, unknown_proxy,
)  # fmt: skip
_NETWORKS: tuple[Callable[[World], Network | None], ...] = (
    wellhead_network, cilium_network, flannel, aws_vpc, calico, weave, antrea, kube_router_network, kindnet,
    azure_network, gke_network,
)  # fmt: skip
_AGENTS: tuple[Callable[[World], Agent | None], ...] = (ip_masq_agent,)
_BALANCERS: tuple[Callable[[World, ServiceFacts], Balancer | None], ...] = (
    wellhead_balancer, service_lb, metallb, kube_vip, cilium_announcements, cloud_provider_kind, aws_balancer,
    gke_balancer, azure_balancer,
)  # fmt: skip
_CLOUDS: tuple[CloudProxySpec, ...] = tuple(
    each.SPEC
    for each in (alibaba, digitalocean, hetzner, ibm, linode, openstack, oracle, ovh, scaleway, vultr)
)


class Parties:
    """Who handles packets in a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._balancers: dict[str, Balancer] = {}

    @cached_property
    def proxy(self) -> ServiceProxy:
        found = next((each for make in _PROXIES if (each := make(self.world)) is not None), None)
        return found or assumed(self.world)

    @cached_property
    def network(self) -> Network:
        found = next((each for make in _NETWORKS if (each := make(self.world)) is not None), None)
        return found or unknown_network(self.world)

    @cached_property
    def agents(self) -> tuple[Agent, ...]:
        return tuple(each for make in _AGENTS if (each := make(self.world)) is not None)

    def balancer(self, facts: ServiceFacts) -> Balancer:
        """Who leads a Service's load balancer addresses to the nodes."""
        if str(facts) not in self._balancers:
            self._balancers[str(facts)] = self._find_balancer(facts)
        return self._balancers[str(facts)]

    def _find_balancer(self, facts: ServiceFacts) -> Balancer:
        for make in _BALANCERS:
            if (found := make(self.world, facts)) is not None:
                return found
        for spec in _CLOUDS:
            if (cloud := cloud_proxy(self.world, facts, spec)) is not None:
                return cloud
        return unknown_balancer(self.world, facts)

    def everybody(self) -> list[Party]:
        """Those that were looked at so far, for a report."""
        return [self.proxy, self.network, *self.agents, *self._balancers.values()]
