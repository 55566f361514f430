"""HAProxy as an ingress controller: HAProxy Technologies' and the community's.

Sources: haproxy.com kubernetes-ingress documentation (proxy-protocol, forwarded-for, src-ip-header);
haproxy-ingress.github.io (use-proxy-protocol, forwardfor, service-upstream).
"""

from __future__ import annotations

from wellhead.paths.parties.controller import ControllerSpec, Headers, flag, settings
from wellhead.paths.world import World


def _headers(world: World) -> Headers:
    data, title = settings(world, "haproxy-kubernetes-ingress", "haproxy-configmap", "haproxy-ingress")
    proxied = flag(data, "use-proxy-protocol") or bool(data.get("proxy-protocol"))
    added = data.get("forwarded-for", data.get("forwardfor", "add")) not in ("false", "ignore")
    trusts = data.get("forwardfor") in ("update", "ifmissing")
    return Headers(("X-Forwarded-For",) if added else (), proxied, trusts, title)


SPEC = ControllerSpec(
    name="HAProxy ingress",
    ids=("haproxy.org/ingress-controller", "haproxy-ingress.github.io/controller"),
    classes=("haproxy",),
    images=("kubernetes-ingress", "haproxy-ingress"),
    services=("haproxy-kubernetes-ingress", "haproxy-ingress"),
    headers=_headers,
    cluster_ip_annotation="haproxy-ingress.github.io/service-upstream",
)
