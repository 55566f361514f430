"""/healthz, /livez, /readyz and each of their checks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from wellhead.api.errors import NotFound
from wellhead.apiserver.call import Call
from wellhead.health import Answer, single, summary

Check = Callable[[], Awaitable[str]]
"""Finds out why something doesn't work, by trying it; "" if it works."""

_VALID_SECONDS = 1.0
_PATIENCE_SECONDS = 5.0
_NOT_FOR_LIFE = frozenset({"ready", "storage"})


class Health:
    """Named checks. What a restart wouldn't mend counts for /readyz, not for /livez."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks: dict[str, Check] = {"ping": _ping, **checks}

    def check(self, name: str) -> Check:
        """One of the checks. Raises KeyError."""
        return self._checks[name]

    async def answer(self, call: Call) -> web.Response:
        """`ok`, or which check fails; with ?verbose or a failure, all of them. Raises NotFound."""
        _, endpoint, *one = call.info.path.rstrip("/").split("/")
        if one:
            if one[0] not in self._checks or len(one) > 1:
                raise NotFound.path()
            return _response(single(one[0], await self._checks[one[0]]()))
        skipped = set(_NOT_FOR_LIFE) if endpoint == "livez" else set()
        skipped.update(name for name in call.query.get("exclude", "").split(",") if name)
        asked = {name: check for name, check in self._checks.items() if name not in skipped}
        problems = dict(zip(asked, await asyncio.gather(*(check() for check in asked.values())), strict=True))
        return _response(summary(endpoint, problems, verbose="verbose" in call.query))


class Shared:
    """One check for all who ask at about the same time: it costs something."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._lock = asyncio.Lock()
        self._problem = ""
        self._until = 0.0

    async def ask(self) -> str:
        """The check's answer, or that of a moment ago."""
        async with self._lock:
            loop = asyncio.get_running_loop()
            if loop.time() >= self._until:
                self._problem = await self._answer()
                self._until = loop.time() + _VALID_SECONDS
            return self._problem

    async def _answer(self) -> str:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return await self._check()
        except TimeoutError:
            return f"it hasn't answered for {_PATIENCE_SECONDS:g} seconds"


async def _ping() -> str:
    return ""


def _response(answer: Answer) -> web.Response:
    headers = {"Cache-Control": "no-cache, private"}
    return web.Response(text=answer.text, status=200 if answer.ok else 500, headers=headers)
