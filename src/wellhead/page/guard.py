"""Who may ask: whoever has the token, by a name that is ours, from no other page. Pure but for headers.

A page of somebody else's, open in the same browser, can send requests here, and by a name of its own that it
lets resolve to 127.0.0.1 (DNS rebinding) it could read the answers: hence Host and Origin. The token keeps
other users of the machine out.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from wellhead.ip import IPAddress, parse_address

_LOOPBACK_NAMES = ("localhost",)
_HTTP_PORT = 80

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Server": "wellhead",
}
"""Of every answer."""


def new_token() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Guard:
    """What is let in at an address and port."""

    token: str
    address: IPAddress
    port: int

    def refuses(self, host: str, origin: str | None) -> str:
        """Why a request is not for us, by its headers; empty if it may be."""
        if not self._is_ours(host):
            return f"this page isn't called {host[:100]!r}: open the link that wellhead page printed"
        if origin is not None and not self._is_own(origin):
            return "another page may not ask this one"
        return ""

    def knows(self, authorization: str) -> bool:
        """Whether the header has the token. It takes as long for a wrong one as for a right one."""
        kind, _, given = authorization.partition(" ")
        same = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self.token.encode())
        return same and kind.lower() == "bearer"

    def _is_ours(self, host: str) -> bool:
        name, port = _split(host)
        if port != self.port:
            return False
        if name in _LOOPBACK_NAMES:
            return self.address.is_loopback or self.address.is_unspecified
        address = parse_address(name)
        if address is None:
            return False
        # Where all addresses are listened at, any will do: what rebinds is a name.
        return address == self.address or address.is_loopback or self.address.is_unspecified

    def _is_own(self, origin: str) -> bool:
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme == "http" and not parts.path and self._is_ours(parts.netloc)

    @property
    def link(self) -> str:
        """What a person opens. What comes after # stays in the browser."""
        return f"{self.origin}/#token={self.token}"

    @property
    def origin(self) -> str:
        loopback = "::1" if self.address.version == 6 else "127.0.0.1"
        shown = loopback if self.address.is_unspecified else str(self.address)
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{self.port}"


def _split(host: str) -> tuple[str, int | None]:
    """Name and port of a Host header; the port is None where there is none that could be one."""
    if host.startswith("["):
        name, closed, rest = host[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            return "", None
        port = rest[1:]
    else:
        name, _, port = host.partition(":")
    if not port:
        return name.lower(), _HTTP_PORT
    return name.lower(), int(port) if port.isascii() and port.isdigit() and len(port) < 6 else None
