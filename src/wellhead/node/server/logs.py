"""GET /containerLogs/NAMESPACE/POD/CONTAINER: PodLogOptions in the query, text in the answer."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web

from wellhead.api.meta import parse_time
from wellhead.api.query import is_true
from wellhead.node.server import log_files, requests

_STREAMS = ("All", "Stdout", "Stderr")


async def container_logs(request: web.Request) -> web.StreamResponse:
    """Raises HTTPBadRequest for parameters that make no sense, HTTPNotFound for a log that isn't there."""
    options = _options(request)
    target = requests.target(request, previous=is_true(request.query, "previous"))
    attempt = target.attempt
    if not target.log.exists() and not await _comes(target.log, running=attempt.running):
        if attempt.finished_at:
            raise web.HTTPNotFound(text=attempt.message or f"container {target.name} has no log")
        raise web.HTTPBadRequest(
            text=f'container "{target.name}" in pod "{target.state.pod["metadata"]["name"]}" '
            "is waiting to start: ContainerCreating"
        )
    follower = log_files.Follower(target.log, lambda: bool(attempt.finished_at))
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    with target.state.listen(follower.wake.set), contextlib.suppress(ConnectionError):
        async for text in log_files.read(follower, options, requests.services(request).inotify):
            await response.write(text)
        await response.write_eof()
    return response


async def _comes(log: Path, *, running: bool) -> bool:
    """Whether there is one in a moment: while it is rotated, the writer hasn't begun the next file yet."""
    for _ in range(20 if running else 0):
        await asyncio.sleep(0.05)
        if await asyncio.to_thread(log.exists):
            return True
    return False


def _options(request: web.Request) -> log_files.Options:
    query = request.query
    since, stream = None, query.get("stream", "All")
    if stream not in _STREAMS:
        raise web.HTTPBadRequest(text=f"stream: {stream!r} is none of {', '.join(_STREAMS)}")
    if stream != "All" and "tailLines" in query:
        raise web.HTTPBadRequest(text="`tailLines` and specific `stream` are mutually exclusive for now")
    try:
        if "sinceSeconds" in query:
            since = datetime.now(UTC) - timedelta(seconds=int(query["sinceSeconds"]))
        elif "sinceTime" in query:
            since = parse_time(query["sinceTime"])
        return log_files.Options(
            follow=is_true(request.query, "follow"),
            tail=int(query["tailLines"]) if "tailLines" in query else None,
            since=since,
            timestamps=is_true(request.query, "timestamps"),
            limit=int(query["limitBytes"]) if "limitBytes" in query else None,
            stream=stream,
        )
    except (ValueError, OverflowError) as error:
        raise web.HTTPBadRequest(text=f"bad log options: {error}") from None
