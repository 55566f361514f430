"""IBM Cloud: VPC application load balancers (proxies), VPC network load balancers, classic ones.

Source: IBM Cloud Kubernetes Service documentation “Setting up load balancers for VPC”.
"""

from __future__ import annotations

from wellhead.paths.parties.cloud_proxy import CloudProxySpec

_PREFIX = "service.kubernetes.io/ibm-load-balancer-cloud-provider-"
SPEC = CloudProxySpec(
    name="IBM Cloud load balancer",
    providers=("ibm",),
    prefixes=(_PREFIX,),
    proxy_protocol=(),
    pass_through=((_PREFIX + "vpc-lb-type", ("nlb",)), (_PREFIX + "enable-features", ("ipvs",))),
)
