"""pods/log: a container's output, from the agent of the pod's node."""

from __future__ import annotations

import aiohttp
from aiohttp import web

from wellhead.api.errors import BadRequest
from wellhead.apiserver.call import Call
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.subresources.node_connection import TIMEOUT, refused, target, unreachable

_PARAMETERS = (
    "follow",
    "limitBytes",
    "previous",
    "sinceSeconds",
    "sinceTime",
    "stream",
    "tailLines",
    "timestamps",
)


async def logs(call: Call, registry: Registry, agents: aiohttp.ClientSession) -> web.StreamResponse:
    """Raises NotFound, BadRequest, InternalError."""
    for name in ("tailLines", "limitBytes", "sinceSeconds"):
        number = call.number(name)
        if number is not None and number < (0 if name == "tailLines" else 1):
            raise BadRequest(f"{name}: Invalid value: {number}: must be greater than 0")
    where = target(call, registry)
    url = where.base / "containerLogs" / call.info.namespace / call.info.name / where.container
    query = {name: call.query[name] for name in _PARAMETERS if name in call.query}
    try:
        async with agents.get(
            url, params=query, headers={"Accept-Encoding": "identity"}, timeout=TIMEOUT
        ) as answer:
            if answer.status != 200:
                raise await refused(answer)
            response = web.StreamResponse(headers={"Content-Type": "text/plain"})
            response.enable_chunked_encoding()
            await response.prepare(call.http)
            await response.write(b"")
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
    except aiohttp.ClientConnectorError as error:
        raise unreachable(url, error.os_error) from error
    except aiohttp.ClientConnectionError as error:
        raise unreachable(url, error) from error
    await response.write_eof()
    return response
