"""The agent's HTTP server, without pods."""

from __future__ import annotations

from typing import cast

import aiohttp
import pytest
from aiohttp import web

from wellhead.node.server import app
from wellhead.node.server.requests import Services


async def test_a_client_that_leaves_early_is_no_error(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(request: web.Request) -> web.StreamResponse:
        raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr(app, "_healthz", gone)
    runner = web.AppRunner(app.application(cast(Services, None)))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientError):
                await session.get(f"http://127.0.0.1:{runner.addresses[0][1]}/healthz")
    finally:
        await runner.cleanup()
    assert not caplog.records
