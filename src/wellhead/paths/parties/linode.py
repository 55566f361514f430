"""Linode (Akamai): NodeBalancers, which are proxies.

Source: linode-cloud-controller-manager `docs/configuration/annotations.md`.
"""

from __future__ import annotations

from wellhead.paths.parties.cloud_proxy import CloudProxySpec

_PREFIX = "service.beta.kubernetes.io/linode-loadbalancer-"
SPEC = CloudProxySpec(
    name="Linode NodeBalancer",
    providers=("linode",),
    prefixes=(_PREFIX,),
    proxy_protocol=(_PREFIX + "default-proxy-protocol", _PREFIX + "proxy-protocol"),
    http=((_PREFIX + "default-protocol", ("http", "https")),),
)
