"""What the process is doing, for whoever asks (enableProfiling): not Go's pprof, but Python's own tools."""

from __future__ import annotations

import asyncio
import cProfile
import io
import pstats

from aiohttp import web

_LONGEST_SECONDS = 120.0
_SHOWN = 60


def profiling_routes() -> list[web.RouteDef]:
    """/debug/profile?seconds=N: where the event loop's time went; /debug/tasks: where tasks are."""
    running = asyncio.Lock()

    async def profile(request: web.Request) -> web.Response:
        try:
            seconds = float(request.query.get("seconds", "30"))
        except ValueError:
            seconds = 0.0
        if not 0 < seconds <= _LONGEST_SECONDS:
            raise web.HTTPBadRequest(text=f"seconds: a number up to {_LONGEST_SECONDS:g}\n")
        if running.locked():
            raise web.HTTPConflict(text="another profile is being taken\n")
        async with running:
            profiler = cProfile.Profile()
            profiler.enable()
            try:
                await asyncio.sleep(seconds)
            finally:
                profiler.disable()
        out = io.StringIO()
        pstats.Stats(profiler, stream=out).sort_stats("cumulative").print_stats(_SHOWN)
        return web.Response(text=out.getvalue())

    async def tasks(_: web.Request) -> web.Response:
        out = io.StringIO()
        for each in asyncio.all_tasks():
            each.print_stack(file=out)
        return web.Response(text=out.getvalue())

    return [web.get("/debug/profile", profile), web.get("/debug/tasks", tasks)]
