"""The WebSocket subprotocols of streams: how a channel and its bytes become a message, and back.

`channel.k8s.io` and its numbered versions begin each message with the channel's number as a byte. Their
base64 forms are text: the number as a digit, then the bytes in base64. Who names none speaks the first one.
Source: k8s.io/streaming, httpstream/wsstream of v1.36.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass

from aiohttp import web


@dataclass(frozen=True)
class Subprotocol:
    """One version of it.

    `tells_status`: the final Status is told as an object, and not only, as a text, when it is a failure.
    `closes_channels`: the client can say that a channel is over.
    """

    name: str
    is_text: bool = False
    tells_status: bool = True
    closes_channels: bool = False

    def message(self, channel: int, data: bytes) -> bytes | str:
        """What is sent for these bytes of a channel."""
        if self.is_text:
            return chr(ord("0") + channel) + base64.b64encode(data).decode()
        return bytes([channel]) + data

    def content(self, message: bytes) -> tuple[int, bytes] | None:
        """The channel and the bytes of what was received; None if it makes no sense."""
        if not message:
            return None
        if not self.is_text or message[0] < ord("0"):
            return None if self.is_text else (message[0], message[1:])
        try:
            return message[0] - ord("0"), base64.b64decode(message[1:], validate=True)
        except binascii.Error:
            return None


_OLDEST = "channel.k8s.io"
_OLDEST_TEXT = "base64.channel.k8s.io"
REMOTE_COMMAND = {
    each.name: each
    for each in (
        Subprotocol("v5.channel.k8s.io", closes_channels=True),
        Subprotocol("v4.channel.k8s.io"),
        Subprotocol("v4.base64.channel.k8s.io", is_text=True),
        Subprotocol(_OLDEST, tells_status=False),
        Subprotocol(_OLDEST_TEXT, is_text=True, tells_status=False),
        Subprotocol("", tells_status=False),
    )
}
"""Of exec and attach, by name."""
PORT_FORWARD = {
    each.name: each
    for each in (
        Subprotocol("v4.channel.k8s.io"),
        Subprotocol("v4.base64.channel.k8s.io", is_text=True),
        Subprotocol(""),
    )
}
"""Of port-forward with a pair of channels a port, by name."""


def chosen(request: web.BaseRequest, known: Collection[str]) -> str:
    """The first of the client's protocols that is `known`.

    Raises HTTPBadRequest if none is.
    """
    headers = request.headers.getall("Sec-WebSocket-Protocol", [])
    offered = [name.strip() for header in headers for name in header.split(",")] or [""]
    for name in offered:
        if name in known:
            return name
    ours = ", ".join(name for name in known if name)
    raise web.HTTPBadRequest(text=f"unable to upgrade: none of {offered} is spoken here, but {ours}")
