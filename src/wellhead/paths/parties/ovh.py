"""OVHcloud: load balancers of its Managed Kubernetes, which are proxies.

Source: OVHcloud's documentation “Getting the source IP behind the LoadBalancer”.
"""

from __future__ import annotations

from wellhead.paths.parties.cloud_proxy import CloudProxySpec

_PREFIX = "service.beta.kubernetes.io/ovh-loadbalancer-"
SPEC = CloudProxySpec(
    name="OVHcloud load balancer",
    providers=("ovh",),
    prefixes=(_PREFIX, "loadbalancer.ovhcloud.com/"),
    proxy_protocol=(_PREFIX + "proxy-protocol",),
)
