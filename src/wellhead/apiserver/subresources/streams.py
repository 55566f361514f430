"""pods/exec, attach and portforward: what comes from the client's WebSocket goes to the agent's, and back.

What the messages mean (each version of channel.k8s.io) is between those two, and so is SPDY, whose connection
is passed on as it is.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence

import aiohttp
from aiohttp import web
from multidict import MultiDict
from yarl import URL

from wellhead.api.errors import ApiError, BadRequest, InternalError
from wellhead.apiserver.call import Call
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.subresources.node_connection import (
    Unreachable,
    agent_error,
    refused,
    request,
    target,
    unreachable,
)
from wellhead.apiserver.subresources.upgrade import Refusal, pass_upgrade
from wellhead.apiserver.websockets import wanted, websocket_protocols

_PROTOCOL_HEADER = "X-Stream-Protocol-Version"
_MAX_MESSAGE = 16 * 1024 * 1024  # bytes
# PodExecOptions' parameters under the names that a kubelet gives them.
_STREAMS = (("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty"))


async def stream(
    call: Call, registry: Registry, agents: aiohttp.ClientSession, tls: ssl.SSLContext
) -> web.StreamResponse:
    """Raises NotFound, BadRequest, InternalError before the upgrade."""
    info = call.info
    query: MultiDict[str] = MultiDict()
    if info.subresource == "portforward":
        where = target(call, registry, container=False)
        url = where.base / "portForward" / info.namespace / info.name
        query.extend((name, value) for name, value in call.http.query.items())
    else:
        where = target(call, registry)
        url = where.base / info.subresource / info.namespace / info.name / where.container
        for command in call.http.query.getall("command", []):
            query.add("command", command)
        for theirs, kubelets in _STREAMS:
            if call.flag(theirs):
                query.add(kubelets, "1")
        if info.subresource == "exec" and "command" not in query:
            raise BadRequest("you must specify at least one command for the container")
        if not any(name in query for _, name in _STREAMS[:3]):
            raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")
    asked = wanted(call.http).lower()
    if asked.startswith("spdy/"):
        return await _passed_on(call, url.with_query(query), tls)
    if asked != "websocket":
        raise await _why_not(agents, url.with_query(query))
    return await _relay(call, agents, url.with_query(query), websocket_protocols(call.http))


async def _passed_on(call: Call, url: URL, tls: ssl.SSLContext) -> web.StreamResponse:
    versions = call.http.headers.getall(_PROTOCOL_HEADER, [])
    headers = [("Host", url.authority), *((_PROTOCOL_HEADER, version) for version in versions)]
    try:
        answer = await pass_upgrade(call.http, url, headers, tls)
    except Unreachable as error:
        raise unreachable(error) from error
    if isinstance(answer, Refusal):
        raise agent_error(answer.status, answer.body.decode(errors="replace").strip())
    return answer


async def _relay(
    call: Call, agents: aiohttp.ClientSession, url: URL, protocols: Sequence[str]
) -> web.WebSocketResponse:
    try:
        agent = await agents.ws_connect(
            url, protocols=protocols, max_msg_size=_MAX_MESSAGE, timeout=aiohttp.ClientWSTimeout(ws_close=5.0)
        )
    except aiohttp.WSServerHandshakeError as error:
        raise await _why_not(agents, url) from error
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise unreachable(Unreachable(url, error)) from error
    try:
        client = web.WebSocketResponse(
            protocols=[agent.protocol] if agent.protocol else [],
            max_msg_size=_MAX_MESSAGE,
            timeout=5.0,
            compress=False,
        )
        await client.prepare(call.http)
        async with asyncio.TaskGroup() as group:
            group.create_task(_pump(client, agent))
            group.create_task(_pump(agent, client))
    finally:
        await agent.close()
    return client


async def _why_not(agents: aiohttp.ClientSession, url: URL) -> ApiError:
    """Why the agent doesn't open this stream, asked without an upgrade: nothing is run for that.

    A client that is refused one protocol tries the other, and shows what it is told last: both are told what
    is wrong with the request itself, if something is.
    """
    try:
        answer = await request(agents, "GET", url)
    except Unreachable as error:
        return unreachable(error)
    async with answer:
        if answer.status == web.HTTPUpgradeRequired.status_code:
            return BadRequest("Upgrade request required: this server speaks WebSocket and SPDY/3.1 here")
        if answer.status < 400:
            return InternalError(f"the node's agent opens no stream: it answers {answer.status}")
        return await refused(answer)


_Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _pump(source: _Socket, sink: _Socket) -> None:
    """Pass messages on until the source closes, then close the sink."""
    try:
        async for message in source:
            if message.type is aiohttp.WSMsgType.BINARY:
                await sink.send_bytes(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                await sink.send_str(message.data)
    except (ConnectionError, aiohttp.ClientError):
        pass  # one end is gone; the other hears of it now
    # 1005 and 1006 say that nothing was said; they are never sent (RFC 6455, 7.4.1).
    code = source.close_code
    await sink.close(code=1000 if code in (None, 1005) else 1011 if code == 1006 else int(code or 1000))
