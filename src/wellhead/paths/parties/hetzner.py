"""Hetzner Cloud's load balancers: TCP proxies.

Source: hetznercloud/hcloud-cloud-controller-manager `internal/annotation/load_balancer.go`.
"""

from __future__ import annotations

from wellhead.paths.parties.cloud_proxy import CloudProxySpec

_PREFIX = "load-balancer.hetzner.cloud/"
SPEC = CloudProxySpec(
    name="Hetzner load balancer",
    providers=("hcloud",),
    prefixes=(_PREFIX,),
    proxy_protocol=(_PREFIX + "uses-proxyprotocol",),
    http=((_PREFIX + "protocol", ("http", "https")),),
)
