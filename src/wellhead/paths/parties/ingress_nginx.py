"""ingress-nginx, the Kubernetes project's controller.

Source: kubernetes.github.io/ingress-nginx (ConfigMap options; “Source IP address”; service-upstream).
"""

from __future__ import annotations

from wellhead.paths.parties.controller import ControllerSpec, Headers, flag, settings
from wellhead.paths.world import World


def _headers(world: World) -> Headers:
    data, title = settings(
        world,
        "ingress-nginx-controller",
        "nginx-configuration",
        "nginx-ingress-controller",
        "rke2-ingress-nginx-controller",
        "nginx-load-balancer-microk8s-conf",
        "nginx-config",
    )
    return Headers(
        forms=(data.get("forwarded-for-header", "X-Forwarded-For"), "X-Real-IP"),
        expects_proxy_protocol=flag(data, "use-proxy-protocol"),
        trusts_forwarded=flag(data, "use-forwarded-headers"),
        decided_by=title,
    )


SPEC = ControllerSpec(
    name="ingress-nginx",
    ids=("k8s.io/ingress-nginx",),
    classes=("nginx", "public"),
    images=("ingress-nginx", "nginx-ingress-controller", "ingress-nginx/controller"),
    services=(
        "ingress-nginx-controller",
        "ingress-nginx",
        "nginx-ingress-controller",
        "rke2-ingress-nginx-controller",
    ),
    headers=_headers,
    cluster_ip_annotation="nginx.ingress.kubernetes.io/service-upstream",
)
