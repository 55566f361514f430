"""The page itself: the files that web/ builds. They hold no data, and need no token."""

from __future__ import annotations

import hashlib
from importlib import resources

from aiohttp import web

_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ico": "image/x-icon",
    ".png": "image/png",
}
_INDEX = "index.html"


class Files:
    """What is in `static`, read once."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[bytes, str, str]] = {}
        static = resources.files("wellhead.page").joinpath("static")
        for each in static.iterdir() if static.is_dir() else ():
            kind = _KINDS.get(f".{each.name.rpartition('.')[2]}")
            if kind is not None and each.is_file():
                body = each.read_bytes()
                self._files[each.name] = body, kind, f'"{hashlib.sha256(body).hexdigest()[:32]}"'

    async def serve(self, request: web.Request) -> web.Response:
        """A file of it; a browser that has it needn't fetch it again."""
        found = self._files.get(request.match_info["name"] or _INDEX)
        if found is None:
            why = "there is no such file" if self._files else "the page wasn't built: run `make page`"
            raise web.HTTPNotFound(reason=why)
        body, kind, tag = found
        headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Type": kind}
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers=headers)
