"""Vultr: load balancers that are proxies.

Source: vultr-cloud-controller-manager `docs/load-balancers.md`.
"""

from __future__ import annotations

from wellhead.paths.parties.cloud_proxy import CloudProxySpec

_PREFIX = "service.beta.kubernetes.io/vultr-loadbalancer-"
SPEC = CloudProxySpec(
    name="Vultr load balancer",
    providers=("vultr",),
    prefixes=(_PREFIX,),
    proxy_protocol=(_PREFIX + "proxy-protocol",),
    http=((_PREFIX + "protocol", ("http", "https")),),
)
