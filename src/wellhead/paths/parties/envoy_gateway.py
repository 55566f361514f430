"""Envoy as a gateway: Envoy Gateway, Contour, Istio's gateways, Emissary.

Sources: gateway.envoyproxy.io (“Client traffic policy: client IP detection, PROXY protocol”),
projectcontour.io (“Client IP”), istio.io (“Configuring gateway network topology”); envoyproxy/gateway#8072.
"""

from __future__ import annotations

from wellhead.paths.parties.controller import ControllerSpec, Headers, argument
from wellhead.paths.reading import at, is_true, text
from wellhead.paths.world import World


def _gateway(world: World) -> Headers:
    for each in world.all("ClientTrafficPolicy"):
        proxied = (
            is_true(text(each, "spec", "enableProxyProtocol"))
            or at(each, "spec", "proxyProtocol") is not None
        )
        hops = at(each, "spec", "clientIPDetection", "xForwardedFor", "numTrustedHops")
        if proxied or hops:
            title = (
                f"ClientTrafficPolicy {text(each, 'metadata', 'namespace')}/{text(each, 'metadata', 'name')}"
            )
            return Headers(("X-Forwarded-For",), proxied, bool(hops), title)
    return Headers()


def _contour(world: World) -> Headers:
    return Headers(expects_proxy_protocol=is_true(argument(world, "contour", "use-proxy-protocol")))


SPEC = ControllerSpec(
    name="Envoy Gateway",
    ids=("gateway.envoyproxy.io/gatewayclass-controller",),
    images=("envoy",),
    headers=_gateway,
)
CONTOUR = ControllerSpec(
    name="Contour",
    ids=("projectcontour.io/ingress-controller", "projectcontour.io/gateway-controller", "contour"),
    classes=("contour",),
    images=("envoy",),
    services=("envoy", "contour-envoy"),
    headers=_contour,
)
ISTIO = ControllerSpec(
    name="Istio ingress gateway",
    ids=("istio.io/ingress-controller", "istio.io/gateway-controller", "istio"),
    classes=("istio",),
    images=("proxyv2",),
    services=("istio-ingressgateway", "istio-ingress"),
)
EMISSARY = ControllerSpec(
    name="Emissary-ingress",
    ids=("getambassador.io/ingress-controller", "ambassador"),
    classes=("ambassador",),
    images=("emissary", "ambassador"),
    services=("emissary-ingress", "ambassador"),
)
