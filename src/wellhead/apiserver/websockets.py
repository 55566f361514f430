"""What a client says in the subprotocols of a WebSocket: what it speaks, and, from a browser, who it is.

Browsers can't set an Authorization header there, so a token may come as one of the protocols. It goes no
further than to here. Upstream: authentication/request/websocket/protocol.go in k8s.io/apiserver.
"""

from __future__ import annotations

import base64
import binascii

from aiohttp import web

from wellhead.api.errors import Unauthorized

HEADER = "Sec-WebSocket-Protocol"
_TOKEN = "base64url.bearer.authorization.k8s.io."  # noqa: S105 - what stands before one


def wanted(request: web.BaseRequest) -> str:
    """The protocol that the request asks for, "" if it is plain HTTP."""
    tokens = [token.strip().lower() for token in request.headers.get("Connection", "").split(",")]
    return request.headers.get("Upgrade", "") if "upgrade" in tokens else ""


def websocket_protocols(request: web.BaseRequest) -> list[str]:
    """The subprotocols that the client speaks, the one that it likes best first; no token is among them."""
    return [name for name in _named(request) if not name.startswith(_TOKEN)]


def websocket_token(request: web.BaseRequest) -> str:
    """The token that came as a subprotocol, "" if none did. Raises Unauthorized if it can't be read."""
    if wanted(request).lower() != "websocket":
        return ""
    found = [name.removeprefix(_TOKEN) for name in _named(request) if name.startswith(_TOKEN)]
    if not found:
        return ""
    # Besides the token there has to be a protocol that can be named in the answer.
    if len(found) > 1 or not websocket_protocols(request):
        raise Unauthorized
    try:
        return base64.b64decode(found[0] + "=" * (-len(found[0]) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise Unauthorized from None


def _named(request: web.BaseRequest) -> list[str]:
    headers = request.headers.getall(HEADER, [])
    return [name for header in headers for each in header.split(",") if (name := each.strip())]
