"""Scaleway: load balancers that are proxies.

Source: scaleway-cloud-controller-manager `docs/loadbalancer-annotations.md`.
"""

from __future__ import annotations

from wellhead.paths.parties.cloud_proxy import CloudProxySpec

_PREFIX = "service.beta.kubernetes.io/scw-loadbalancer-"
SPEC = CloudProxySpec(
    name="Scaleway load balancer",
    providers=("scaleway",),
    prefixes=(_PREFIX,),
    proxy_protocol=(_PREFIX + "proxy-protocol-v2", _PREFIX + "proxy-protocol-v1"),
    http=((_PREFIX + "protocol-http", ("true", "*")),),
)
