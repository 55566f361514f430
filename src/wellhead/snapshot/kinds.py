"""The kinds that the instruments read, and what it leaves open when one can't be read."""

from __future__ import annotations

from typing import NamedTuple

from wellhead.api.resource import Resource


class Wanted(NamedTuple):
    """A kind, where it is served, and what is open without it."""

    resource: Resource
    leaves_open: str


def _core(kind: str, plural: str, leaves_open: str, *, namespaced: bool = True) -> Wanted:
    return Wanted(Resource("", "v1", kind, plural, namespaced), leaves_open)


def _of(
    group: str, version: str, kind: str, plural: str, leaves_open: str, *, namespaced: bool = True
) -> Wanted:
    return Wanted(Resource(group, version, kind, plural, namespaced), leaves_open)


_ROUTES = "whether clients come by such a route"
_CALICO = "which of Calico's pools masquerade"
_ANNOUNCED = "by which node a load balancer's address is reached"

ALWAYS: tuple[Wanted, ...] = (
    _core("Service", "services", "everything"),
    _core("Node", "nodes", "which nodes there are, and which addresses they have", namespaced=False),
    _core("Pod", "pods", "which pods endpoints are, host ports, pods of the host network"),
    _of("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "which endpoints a Service has"),
    _of("apps", "v1", "DaemonSet", "daemonsets", "which service proxy, network and agents run"),
    _of("apps", "v1", "Deployment", "deployments", "which ingress controllers run"),
    _of(
        "networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", "whether a NetworkPolicy drops packets"
    ),
    _core("Namespace", "namespaces", "which namespaces' pods policies select", namespaced=False),
    _of("networking.k8s.io", "v1", "Ingress", "ingresses", "whether clients come by an ingress"),
    _of(
        "networking.k8s.io",
        "v1",
        "IngressClass",
        "ingressclasses",
        "which controller an ingress is for",
        namespaced=False,
    ),
)
"""In every cluster."""

WHERE_SERVED: tuple[Wanted, ...] = (
    _of(
        "policy.networking.k8s.io",
        "v1alpha2",
        "ClusterNetworkPolicy",
        "clusternetworkpolicies",
        "whether a ClusterNetworkPolicy drops packets",
        namespaced=False,
    ),
    _of("crd.projectcalico.org", "v1", "IPPool", "ippools", _CALICO, namespaced=False),
    _of(
        "crd.projectcalico.org",
        "v1",
        "FelixConfiguration",
        "felixconfigurations",
        "whether Calico's eBPF data plane is on",
        namespaced=False,
    ),
    _of(
        "crd.projectcalico.org",
        "v1",
        "BGPConfiguration",
        "bgpconfigurations",
        "which addresses are announced",
        namespaced=False,
    ),
    _of(
        "crd.projectcalico.org",
        "v1",
        "BGPPeer",
        "bgppeers",
        "whether pods' addresses are announced",
        namespaced=False,
    ),
    _of(
        "operator.tigera.io",
        "v1",
        "Installation",
        "installations",
        "which data plane Calico has",
        namespaced=False,
    ),
    _of("metallb.io", "v1beta1", "IPAddressPool", "ipaddresspools", _ANNOUNCED),
    _of("metallb.io", "v1beta1", "L2Advertisement", "l2advertisements", _ANNOUNCED),
    _of("metallb.io", "v1beta1", "BGPAdvertisement", "bgpadvertisements", _ANNOUNCED),
    _of("metallb.io", "v1beta1", "ServiceL2Status", "servicel2statuses", _ANNOUNCED),
    _of(
        "cilium.io",
        "v2",
        "CiliumNode",
        "ciliumnodes",
        "which address Cilium's masquerade takes",
        namespaced=False,
    ),
    _of(
        "cilium.io",
        "v2alpha1",
        "CiliumL2AnnouncementPolicy",
        "ciliuml2announcementpolicies",
        _ANNOUNCED,
        namespaced=False,
    ),
    _of(
        "cilium.io",
        "v2alpha1",
        "CiliumLoadBalancerIPPool",
        "ciliumloadbalancerippools",
        _ANNOUNCED,
        namespaced=False,
    ),
    _of(
        "cilium.io",
        "v2alpha1",
        "CiliumBGPPeeringPolicy",
        "ciliumbgppeeringpolicies",
        _ANNOUNCED,
        namespaced=False,
    ),
    _of("gateway.networking.k8s.io", "v1", "Gateway", "gateways", _ROUTES),
    _of("gateway.networking.k8s.io", "v1", "GatewayClass", "gatewayclasses", _ROUTES, namespaced=False),
    _of("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes", _ROUTES),
    _of("gateway.networking.k8s.io", "v1", "GRPCRoute", "grpcroutes", _ROUTES),
    _of("gateway.networking.k8s.io", "v1alpha2", "TCPRoute", "tcproutes", _ROUTES),
    _of("gateway.networking.k8s.io", "v1alpha2", "TLSRoute", "tlsroutes", _ROUTES),
    _of("gateway.networking.k8s.io", "v1alpha2", "UDPRoute", "udproutes", _ROUTES),
    _of(
        "gateway.envoyproxy.io",
        "v1alpha1",
        "ClientTrafficPolicy",
        "clienttrafficpolicies",
        "what Envoy Gateway believes of its clients",
    ),
    _of("traefik.io", "v1alpha1", "IngressRoute", "ingressroutes", _ROUTES),
    _of("traefik.io", "v1alpha1", "IngressRouteTCP", "ingressroutetcps", _ROUTES),
    _of("projectcontour.io", "v1", "HTTPProxy", "httpproxies", _ROUTES),
    _of("networking.istio.io", "v1", "VirtualService", "virtualservices", _ROUTES),
    _of("k8s.nginx.org", "v1", "VirtualServer", "virtualservers", _ROUTES),
)
"""Where an API server serves their group."""

CONFIG_MAPS: dict[str, str] = {
    "kube-proxy": "kube-system",
    "kube-proxy-config": "kube-system",
    "wellhead-proxy": "kube-system",
    "cilium-config": "kube-system",
    "kube-flannel-cfg": "kube-flannel",
    "canal-config": "kube-system",
    "rke2-canal-config": "kube-system",
    "antrea-config": "kube-system",
    "ip-masq-agent": "kube-system",
    "azure-ip-masq-agent-config": "kube-system",
    "azure-ip-masq-agent-config-reconciled": "kube-system",
    "config": "metallb-system",
    "ingress-nginx-controller": "ingress-nginx",
    "nginx-configuration": "ingress-nginx",
    "nginx-ingress-controller": "ingress-nginx",
    "rke2-ingress-nginx-controller": "kube-system",
    "nginx-load-balancer-microk8s-conf": "ingress",
    "tcp-services": "ingress-nginx",
    "ingress-nginx-tcp": "ingress-nginx",
    "nginx-ingress": "nginx-ingress",
    "nginx-config": "nginx-ingress",
    "haproxy-kubernetes-ingress": "haproxy-controller",
    "haproxy-configmap": "haproxy-controller",
    "haproxy-ingress": "haproxy-controller",
}
"""The only ConfigMaps that are read: those that a party's file names, and where they usually are."""

NEVER = frozenset({"Secret"})
"""Kinds that never get into a snapshot."""
