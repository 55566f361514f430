"""How the server behind a terminating proxy learns of the client's address. Pure.

Sources: RFC 7239 (Forwarded), haproxy.org's proxy-protocol.txt (PROXY v1 and v2), KEP-2365 (appProtocol).
"""

from __future__ import annotations

from enum import Enum

from wellhead.api.meta import Obj
from wellhead.api.names import CLIENT_IP_ANNOTATION
from wellhead.cloud.classes import Unsupported


class ClientIP(Enum):
    """What the proxy adds to a connection. The values are the annotation's, except for BOTH."""

    NONE = "none"
    X_FORWARDED_FOR = "x-forwarded-for"
    FORWARDED = "forwarded"
    BOTH = "forwarded, x-forwarded-for"
    PROXY_V1 = "proxy-v1"
    PROXY_V2 = "proxy-v2"

    @property
    def is_http(self) -> bool:
        """Whether it is a header, for which the proxy has to speak HTTP."""
        return self in (ClientIP.X_FORWARDED_FOR, ClientIP.FORWARDED, ClientIP.BOTH)


_ASKED = {way.value: way for way in ClientIP if way is not ClientIP.BOTH}


def asked(service: Obj) -> ClientIP | None:
    """What the Service's annotation asks for; None without one.

    Raises:
        Unsupported: it is no way that there is.
    """
    text = (service["metadata"].get("annotations") or {}).get(CLIENT_IP_ANNOTATION)
    if text is None:
        return None
    if text not in _ASKED:
        raise Unsupported(f"annotation {CLIENT_IP_ANNOTATION}: {text!r} is none of {', '.join(_ASKED)}")
    return _ASKED[text]


def of_port(asked: ClientIP | None, port: Obj) -> ClientIP:
    """What the proxy adds on one port of a Service that asks for this.

    Without a wish, HTTP gets both headers, and nothing else is touched. A header that was asked for is also
    added where the Service doesn't say what the port speaks; never where it says that this isn't HTTP.
    """
    if asked is None:
        return ClientIP.BOTH if _speaks_http(port) else ClientIP.NONE
    if asked.is_http and _speaks_http(port) is False:
        return ClientIP.NONE
    return asked


def _speaks_http(port: Obj) -> bool | None:
    """Whether the port's appProtocol, or else its name, says HTTP (in clear text); None if neither says."""
    if protocol := port.get("appProtocol"):
        return str(protocol).lower() == "http"
    name = str(port.get("name") or "")
    if name.startswith("https"):
        return False
    return True if name.startswith("http") else None
