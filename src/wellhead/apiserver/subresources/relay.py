"""An answer from behind the API server, passed on to its client as it comes."""

from __future__ import annotations

import logging

import aiohttp
from aiohttp import web

# RFC 9110, 7.6.1: these belong to one connection.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "authorization",
    }
)

_log = logging.getLogger(__name__)


async def pass_on(answer: aiohttp.ClientResponse, response: web.StreamResponse, to: web.BaseRequest) -> None:
    """Send `response`'s head, the answer's body as its body, and its end.

    Raises ConnectionError if the client is gone. If it is the answer that breaks off, then too: the client's
    connection has to be cut, since nothing else tells it that this wasn't all.
    """
    await response.prepare(to)
    await response.write(b"")  # the head goes out now: what is followed may be silent for long
    while True:
        # Only reading may fail for the answer's sake; writing fails for the client's with the same errors.
        try:
            chunk = await answer.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            _log.warning("%s broke off in the middle of its answer: %s", answer.url.origin(), error)
            raise ConnectionAbortedError("the answer broke off") from error
        if not chunk:
            break
        await response.write(chunk)
    await response.write_eof()
