"""DigitalOcean's load balancers: proxies, or pass-through network load balancers.

Source: digitalocean-cloud-controller-manager `docs/controllers/services/annotations.md`.
"""

from __future__ import annotations

from wellhead.paths.parties.cloud_proxy import CloudProxySpec

_PREFIX = "service.beta.kubernetes.io/do-loadbalancer-"
SPEC = CloudProxySpec(
    name="DigitalOcean load balancer",
    providers=("digitalocean",),
    prefixes=(_PREFIX,),
    proxy_protocol=(_PREFIX + "enable-proxy-protocol",),
    http=((_PREFIX + "protocol", ("http", "https", "http2", "http3")),),
    pass_through=((_PREFIX + "type", ("regional_network",)),),
)
