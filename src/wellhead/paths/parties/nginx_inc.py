"""NGINX Inc.'s ingress controller, and NGINX Gateway Fabric.

Source: docs.nginx.com (ConfigMap: proxy-protocol, real-ip-header, set-real-ip-from; use-cluster-ip).
"""

from __future__ import annotations

from wellhead.paths.parties.controller import ControllerSpec, Headers, flag, settings
from wellhead.paths.world import World


def _headers(world: World) -> Headers:
    data, title = settings(world, "nginx-ingress", "nginx-config")
    return Headers(
        ("X-Forwarded-For", "X-Real-IP"),
        flag(data, "proxy-protocol"),
        bool(data.get("set-real-ip-from")),
        title,
    )


SPEC = ControllerSpec(
    name="NGINX Ingress Controller (F5)",
    ids=("nginx.org/ingress-controller", "gateway.nginx.org/nginx-gateway-controller"),
    images=("nginx-ingress", "nginx-gateway"),
    services=("nginx-ingress", "nginx-ingress-controller", "nginx-gateway"),
    headers=_headers,
    cluster_ip_annotation="nginx.org/use-cluster-ip",
)
