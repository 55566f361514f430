"""GET /containerLogs/NAMESPACE/POD/CONTAINER: PodLogOptions in the query, text in the answer."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

from aiohttp import web

from wellhead.api.meta import parse_time
from wellhead.api.query import is_true
from wellhead.node.server import log_files, requests


async def container_logs(request: web.Request) -> web.StreamResponse:
    """Raises HTTPBadRequest for parameters that make no sense, HTTPNotFound for a log that isn't there."""
    options = _options(request)
    target = requests.target(request, previous=is_true(request.query, "previous"))
    attempt = target.attempt
    if not target.log.exists():
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


def _options(request: web.Request) -> log_files.Options:
    query = request.query
    since = None
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
            stream=query.get("stream", "All"),
        )
    except (ValueError, OverflowError) as error:
        raise web.HTTPBadRequest(text=f"bad log options: {error}") from None
