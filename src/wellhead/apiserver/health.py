"""/healthz, /livez, /readyz and each of their checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from wellhead.api.errors import NotFound
from wellhead.apiserver.call import Call

Check = Callable[[], bool]


class Health:
    """Named checks; a check is true while all is well."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = {"ping": lambda: True, **checks}

    def answer(self, call: Call) -> web.Response:
        """`ok`, or which check fails; with ?verbose or a failure, all of them. Raises NotFound."""
        _, endpoint, *one = call.info.path.rstrip("/").split("/")
        # A server that is starting or stopping is alive, but not ready.
        skipped = {"ready"} if endpoint == "livez" else set()
        if one:
            if one[0] not in self._checks or len(one) > 1:
                raise NotFound.path()
            ok = self._checks[one[0]]()
            return _text("ok" if ok else f"internal server error: {one[0]} failed", ok)
        skipped.update(name for name in call.query.get("exclude", "").split(",") if name)
        results = {name: check() for name, check in self._checks.items() if name not in skipped}
        ok = all(results.values())
        if ok and "verbose" not in call.query:
            return _text("ok", ok)
        lines = [f"[+]{name} ok" if good else f"[-]{name} failed" for name, good in results.items()]
        return _text("\n".join([*lines, f"{endpoint} check {'passed' if ok else 'failed'}", ""]), ok)


def _text(text: str, ok: bool) -> web.Response:
    return web.Response(text=text, status=200 if ok else 500, headers={"Cache-Control": "no-cache, private"})
