"""/openapi/v2 and /openapi/v3."""

from __future__ import annotations

from aiohttp import web

from wellhead.api.errors import NotFound
from wellhead.apiserver.call import Call


async def openapi(call: Call, rest: list[str]) -> web.StreamResponse:
    """Raises NotFound."""
    raise NotFound.path()
