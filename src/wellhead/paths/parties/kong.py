"""Kong's ingress controller.

Source: docs.konghq.com (“Preserve client IP”: real_ip_header, trusted_ips, proxy_protocol listeners).
"""

from __future__ import annotations

from wellhead.paths.parties.controller import ControllerSpec, Headers
from wellhead.paths.reading import environment
from wellhead.paths.world import World


def _headers(world: World) -> Headers:
    found = world.workload("kong-gateway", "ingress-kong", "kong-kong", image="kong")
    env = environment(found) if found is not None else {}
    proxied = "proxy_protocol" in env.get("KONG_PROXY_LISTEN", "")
    return Headers(
        ("X-Forwarded-For", "X-Real-IP"), proxied, bool(env.get("KONG_TRUSTED_IPS")), "Kong's environment"
    )


SPEC = ControllerSpec(
    name="Kong",
    ids=(
        "ingress-controllers.konghq.com/kong",
        "konghq.com/kic-gateway-controller",
        "konghq.com/gateway-operator",
    ),
    classes=("kong",),
    images=("kong", "kong-gateway"),
    services=("kong-proxy", "kong-gateway-proxy", "kong-kong-proxy"),
    headers=_headers,
    cluster_ip_annotation="ingress.kubernetes.io/service-upstream",
)
