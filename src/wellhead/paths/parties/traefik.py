"""Traefik.

Source: doc.traefik.io (EntryPoints: forwardedHeaders, proxyProtocol; Kubernetes providers: nativeLB).
"""

from __future__ import annotations

from wellhead.paths.parties.controller import ControllerSpec, Headers, argument
from wellhead.paths.world import World


def _said(world: World, option: str) -> str:
    """An option of the entry point web, which flags spell in small letters or not."""
    names = [f"entryPoints.web.{option}", f"entrypoints.web.{option.lower()}"]
    return argument(world, "traefik", *names)


def _headers(world: World) -> Headers:
    trusted = _said(world, "forwardedHeaders.trustedIPs") or _said(world, "forwardedHeaders.insecure")
    proxied = _said(world, "proxyProtocol.trustedIPs") or _said(world, "proxyProtocol.insecure")
    return Headers(("X-Forwarded-For", "X-Real-Ip"), bool(proxied), bool(trusted), "Traefik's entry points")


SPEC = ControllerSpec(
    name="Traefik",
    ids=("traefik.io/ingress-controller", "traefik.io/gateway-controller", "traefik"),
    classes=("traefik",),
    images=("traefik", "mirrored-library-traefik"),
    services=("traefik",),
    headers=_headers,
    cluster_ip_annotation="traefik.ingress.kubernetes.io/service.nativelb",
)
