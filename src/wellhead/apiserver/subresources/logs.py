"""pods/log: a container's output, from the agent of the pod's node."""

from __future__ import annotations

import aiohttp
from aiohttp import web

from wellhead.api.errors import BadRequest
from wellhead.apiserver.call import Call
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.subresources.node_connection import Unreachable, refused, request, target, unreachable
from wellhead.apiserver.subresources.reader_socket import pass_on_in_messages
from wellhead.apiserver.subresources.relay import pass_on
from wellhead.apiserver.websockets import wanted

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
    """Raises NotFound, BadRequest, InternalError; ConnectionError once the answer has begun."""
    for name in ("tailLines", "limitBytes", "sinceSeconds"):
        number = call.number(name)
        if number is not None and number < (0 if name == "tailLines" else 1):
            raise BadRequest(f"{name}: Invalid value: {number}: must be greater than 0")
    where = target(call, registry)
    url = where.base / "containerLogs" / call.info.namespace / call.info.name / where.container
    query = {name: call.query[name] for name in _PARAMETERS if name in call.query}
    headers = {"Accept-Encoding": "identity"}
    try:
        answer = await request(agents, "GET", url, params=query, headers=headers)
    except Unreachable as error:
        raise unreachable(error) from error
    async with answer:
        if answer.status != 200:
            raise await refused(answer)
        if wanted(call.http).lower() == "websocket":
            return await pass_on_in_messages(answer, call.http)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        await pass_on(answer, response, call.http)
    return response
