"""OpenStack: Octavia, whose amphorae are proxies and whose OVN provider passes packets on.

Source: cloud-provider-openstack
`docs/openstack-cloud-controller-manager/expose-applications-using-loadbalancer-type-service.md`.
"""

from __future__ import annotations

from wellhead.paths.parties.cloud_proxy import CloudProxySpec

_PREFIX = "loadbalancer.openstack.org/"
SPEC = CloudProxySpec(
    name="OpenStack Octavia",
    providers=("openstack",),
    prefixes=(_PREFIX, "service.beta.kubernetes.io/openstack-"),
    proxy_protocol=(_PREFIX + "proxy-protocol",),
    http=((_PREFIX + "x-forwarded-for", ("true",)),),
    ambiguous="Octavia's provider (lb-provider in its cloud.conf) isn't in the API: amphora, a proxy, is "
    "assumed; with ovn the source is kept to the node.",
)
