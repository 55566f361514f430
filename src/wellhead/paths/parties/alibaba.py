"""Alibaba Cloud: Classic and Network Load Balancers, whose layer 4 keeps the source.

Source: alibaba-cloud-controller-manager `docs/usage.md`.
"""

from __future__ import annotations

from wellhead.paths.parties.cloud_proxy import CloudProxySpec

_PREFIX = "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-"
SPEC = CloudProxySpec(
    name="Alibaba Cloud load balancer",
    providers=("alicloud",),
    prefixes=(_PREFIX, "service.beta.kubernetes.io/alicloud-loadbalancer-"),
    always_pass_through=True,
    classes=("alibabacloud.com/nlb",),
)
