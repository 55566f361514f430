"""The page's server: what a browser asks for, by HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from wellhead.page import values
from wellhead.page.errors import Busy, Cannot, CannotAsk
from wellhead.page.files import Files
from wellhead.page.guard import HEADERS, Guard
from wellhead.page.model import Model
from wellhead.page.streams import HEARTBEAT, Full

_log = logging.getLogger(__name__)

MOST_BODY = 64 << 10
_HEARTBEAT_SECONDS = 15.0
_STUCK_SECONDS = 60.0
"""A reader that takes nothing for so long is let go."""
_JSON = "application/json"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(model: Model, guard: Guard) -> web.Application:
    """All that is served."""
    page = _Page(model)
    app = web.Application(middlewares=[_guarded(guard)], client_max_size=MOST_BODY)
    app.on_response_prepare.append(_headers)
    app.add_routes(
        [
            web.get("/api/scene", page.scene, allow_head=False),
            web.post("/api/ask", page.ask),
            web.post("/api/send", page.send),
            web.get("/api/history", page.history),
            web.get("/api/history/{name}", page.kept),
            web.get("/api/levers", page.levers),
            web.post("/api/levers", page.pull),
            web.get("/api/lesson", page.lesson),
            web.post("/api/lesson/{name}", page.press),
            web.get("/api/matrix", page.matrix),
            web.get("/{name:[a-z0-9.-]*}", Files().serve),
        ]
    )
    return app


async def _headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    if request.path.startswith("/api/"):
        response.headers["Cache-Control"] = "no-store"


def _guarded(guard: Guard) -> Middleware:
    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if why := guard.refuses(request.headers.get("Host", ""), request.headers.get("Origin")):
            return refusal(403, why)
        if request.path.startswith("/api/") and not guard.knows(request.headers.get("Authorization", "")):
            return refusal(401, "the link's token is missing or of another page: open the link again")
        try:
            return await handler(request)
        except web.HTTPException as error:
            return refusal(error.status, error.reason or "", error.headers.get("Allow"))
        except (CannotAsk, msgspec.DecodeError, UnicodeDecodeError) as error:
            return refusal(400, str(error))
        except Cannot as error:
            return refusal(error.status, str(error))
        except Busy as error:
            return refusal(429, str(error))
        except (ConnectionResetError, asyncio.CancelledError):
            raise
        except Exception:
            _log.exception("%s %s", request.method, request.path)
            return refusal(500, "something went wrong here: what, is in wellhead page's terminal")

    return check


def refusal(status: int, message: str, allow: str | None = None) -> web.Response:
    """Why not, in a sentence."""
    answer = _json(values.Refusal(message=message), status)
    if allow:
        answer.headers["Allow"] = allow
    if status in (429, 503):
        answer.headers["Retry-After"] = "5"
    return answer


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type=_JSON)


class _Page:
    """The handlers."""

    def __init__(self, model: Model) -> None:
        self._model = model

    async def scene(self, request: web.Request) -> web.StreamResponse:
        """What there is, and what changes, until the reader goes."""
        try:
            reader = self._model.streams.open()
        except Full:
            return refusal(503, "as many pages as may be are open: close one")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        try:
            self._model.opened()
            await response.prepare(request)
            waiting: asyncio.Task[bytes] | None = None
            try:
                while not reader.ended:
                    waiting = waiting or asyncio.ensure_future(reader.next())
                    done, _ = await asyncio.wait((waiting,), timeout=_HEARTBEAT_SECONDS)
                    told = HEARTBEAT
                    if done:
                        told, waiting = waiting.result(), None
                    async with asyncio.timeout(_STUCK_SECONDS):
                        await response.write(told)
            finally:
                if waiting is not None:
                    waiting.cancel()
        except (ConnectionResetError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._model.streams.close(reader)
        return response

    async def ask(self, request: web.Request) -> web.Response:
        question = msgspec.json.decode(await request.read(), type=values.Ask)
        return _json(await self._model.ask(question))

    async def send(self, request: web.Request) -> web.Response:
        question = msgspec.json.decode(await request.read(), type=values.Send)
        kept = await self._model.send(question)
        return web.Response(body=kept.json, content_type=_JSON)

    async def history(self, request: web.Request) -> web.Response:
        return _json(self._model.history.lines())

    async def kept(self, request: web.Request) -> web.Response:
        name, _, form = request.match_info["name"].partition(".")
        kept = self._model.history.get(name)
        if kept is None or form not in ("", "json", "txt", "pcapng"):
            return refusal(404, "there is no such request any more")
        if form == "pcapng":
            return _download(kept.pcapng, "application/x-pcapng", f"wellhead-{name}.pcapng")
        if form == "txt":
            return _download(kept.text, "text/plain; charset=utf-8", f"wellhead-{name}.txt")
        return web.Response(body=kept.json, content_type=_JSON)

    async def levers(self, request: web.Request) -> web.Response:
        return _json(self._model.all_levers())

    async def pull(self, request: web.Request) -> web.Response:
        return _json(await self._model.pull(msgspec.json.decode(await request.read(), type=values.Pull)))

    async def lesson(self, request: web.Request) -> web.Response:
        return _json(self._model.lesson.steps())

    async def press(self, request: web.Request) -> web.Response:
        return _json(await self._model.press(request.match_info["name"]))

    async def matrix(self, request: web.Request) -> web.Response:
        return _json(await self._model.matrix())


def _download(body: bytes, kind: str, name: str) -> web.Response:
    headers = {"Content-Type": kind, "Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=body, headers=headers)
