"""A node agent that only answers: what the API server would reach on a node."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from tests.integration.apiserver.pki import Pki

_STDIN, _STDOUT, _ERROR, _CLOSE = 0, 1, 3, 255


@dataclass
class Agent:
    """Echoes standard input in upper case until it ends, then exits with `exit_code`."""

    port: int = 0
    exit_code: int = 0
    breaks_off: bool = False
    redirects_to: str = ""
    measured: list[str] = field(default_factory=list)
    """UIDs of pods."""
    summarises: bytes | None = None
    """What it says instead of that."""
    requests: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        self._record(request)
        if self.redirects_to:
            raise web.HTTPTemporaryRedirect(self.redirects_to)
        if request.match_info["pod"] == "refused":
            return web.Response(status=400, text='container not found ("main")')
        if "Upgrade" not in request.headers:
            raise web.HTTPUpgradeRequired(headers={"Upgrade": "websocket"})
        socket = web.WebSocketResponse(protocols=["v5.channel.k8s.io", "v4.channel.k8s.io"])
        await socket.prepare(request)
        assert socket.ws_protocol is not None
        if "input" in request.query:
            async for message in socket:
                channel, data = message.data[0], message.data[1:]
                if channel == _STDIN and data:
                    await socket.send_bytes(bytes([_STDOUT]) + data.upper())
                elif channel == _CLOSE:
                    break
        else:
            await socket.send_bytes(bytes([_STDOUT]) + b"hello\n")
        await socket.send_bytes(bytes([_ERROR]) + msgspec.json.encode(self._status()))
        await socket.close()
        return socket

    async def logs(self, request: web.Request) -> web.StreamResponse:
        self._record(request)
        if self.redirects_to:
            raise web.HTTPTemporaryRedirect(self.redirects_to)
        if request.query.get("previous"):
            return web.Response(status=400, text='previous terminated container "main" in pod "a" not found')
        lines = b"".join(b"line %d\n" % number for number in range(3))
        if not self.breaks_off:
            return web.Response(body=lines)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(lines)
        assert request.transport is not None
        request.transport.abort()
        return response

    async def summary(self, request: web.Request) -> web.StreamResponse:
        """Half a core and a mebibyte for each pod that it was told of."""
        usage = {
            "cpu": {"time": "2026-01-01T00:00:00Z", "usageNanoCores": 500_000_000, "windowSeconds": 15},
            "memory": {"workingSetBytes": 1 << 20},
        }
        if self.summarises is not None:
            return web.Response(body=self.summarises, content_type="application/json")
        pods = [{"podRef": {"uid": uid}, "containers": [{"name": "main", **usage}]} for uid in self.measured]
        return web.json_response({"node": usage, "pods": pods})

    def _record(self, request: web.Request) -> None:
        self.requests.append((request.path, list(request.query.items())))

    def _status(self) -> object:
        if not self.exit_code:
            return {"metadata": {}, "status": "Success"}
        cause = {"reason": "ExitCode", "message": str(self.exit_code)}
        return {
            "metadata": {},
            "status": "Failure",
            "reason": "NonZeroExitCode",
            "message": f"command terminated with non-zero exit code: exit status {self.exit_code}",
            "details": {"causes": [cause]},
        }


@contextlib.asynccontextmanager
async def running_agent(pki: Pki) -> AsyncIterator[Agent]:
    agent = Agent()
    app = web.Application()
    for verb in ("exec", "attach"):
        app.router.add_get(f"/{verb}/{{namespace}}/{{pod}}/{{container}}", agent.stream)
    app.router.add_get("/stats/summary", agent.summary)
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", agent.logs)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=pki.server_context("agent"))
    await site.start()
    agent.port = runner.addresses[0][1]
    try:
        yield agent
    finally:
        await runner.cleanup()
