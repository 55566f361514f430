"""Oracle Cloud: load balancers that are proxies, and network load balancers that may keep the source.

Source: oracle/oci-cloud-controller-manager `docs/load-balancer-annotations.md`; is-preserve-source counts
under policy Local alone.
"""

from __future__ import annotations

from wellhead.paths.parties.cloud_proxy import CloudProxySpec

_TYPE = "oci.oraclecloud.com/load-balancer-type"
SPEC = CloudProxySpec(
    name="Oracle load balancer",
    providers=("oci", "ocid1.instance.oc1"),
    prefixes=(
        "oci.oraclecloud.com/",
        "service.beta.kubernetes.io/oci-",
        "oci-network-load-balancer.oraclecloud.com/",
    ),
    pass_through=((_TYPE, ("nlb",)),),
)
