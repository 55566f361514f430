"""The few answers of an API server that a proxy needs: list and watch of three resources, and events."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

from aiohttp import web

from tests.packets.proxy.world import Host
from tests.patience import PATIENCE

Obj = dict[str, Any]

PATHS = {
    "/api/v1/services": "services",
    "/apis/discovery.k8s.io/v1/endpointslices": "endpointslices",
    "/api/v1/nodes": "nodes",
    "/apis/networking.k8s.io/v1/servicecidrs": "servicecidrs",
}
PORT = 8001


class FakeApi:
    """Serves on 127.0.0.1:8001 of a host. Objects are put and removed from the test's own thread."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._objects: dict[str, dict[tuple[str, str], Obj]] = {each: {} for each in PATHS.values()}
        self._watchers: dict[str, set[asyncio.Queue[Obj]]] = {each: set() for each in PATHS.values()}
        self._version = 1
        self._oldest = 0
        self._held: list[tuple[str, Obj]] | None = None
        self.refusing = False
        """Whether every request is answered with 503."""
        self.events: list[Obj] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        ready = threading.Event()

        def serve() -> None:
            asyncio.run(self._serve(ready))

        def in_host() -> threading.Thread:
            thread = threading.Thread(target=serve, name="fake API")
            thread.start()
            return thread

        self._thread = self._host.inside(in_host)
        assert ready.wait(PATIENCE)

    def stop(self) -> None:
        """Go away, as a server that is killed; what it holds is kept for the next start."""
        if self._thread is None or self._loop is None or self._stop is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._thread = None

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        for path, resource in PATHS.items():
            app.router.add_get(path, self._handler(resource))
        app.router.add_post("/api/v1/namespaces/{namespace}/events", self._event)
        app.router.add_patch("/api/v1/namespaces/{namespace}/events/{name}", self._event)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", PORT).start()
        ready.set()
        await self._stop.wait()
        await runner.cleanup()

    def _handler(self, resource: str) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            if self.refusing:
                return web.json_response(_status(503, "ServiceUnavailable"), status=503)
            if "watch" not in request.query:
                items = [obj for obj in self._objects[resource].values() if _selected(obj, request)]
                return web.json_response(
                    {"kind": "List", "metadata": {"resourceVersion": str(self._version)}, "items": items}
                )
            queue: asyncio.Queue[Obj] = asyncio.Queue()
            self._watchers[resource].add(queue)
            try:
                response = web.StreamResponse(headers={"Content-Type": "application/json"})
                await response.prepare(request)
                since = int(request.query.get("resourceVersion", "0"))
                if since < self._oldest:
                    await response.write(
                        json.dumps({"type": "ERROR", "object": _status(410, "Expired")}).encode() + b"\n"
                    )
                    return response
                for obj in list(self._objects[resource].values()):
                    if int(obj["metadata"]["resourceVersion"]) > since and _selected(obj, request):
                        queue.put_nowait({"type": "MODIFIED", "object": obj})
                while True:
                    event = await queue.get()
                    if _selected(event["object"], request):
                        await response.write(json.dumps(event).encode() + b"\n")
            finally:
                self._watchers[resource].discard(queue)

        return handle

    async def _event(self, request: web.Request) -> web.Response:
        event = await request.json()
        self.events.append(event)
        event.setdefault("metadata", {})["resourceVersion"] = "1"
        return web.json_response(event, status=201)

    def put(self, resource: str, *objects: Obj) -> None:
        for obj in objects:
            self._version += 1
            metadata = obj["metadata"]
            metadata["resourceVersion"] = str(self._version)
            key = (metadata.get("namespace", ""), metadata["name"])
            metadata.setdefault("uid", "/".join(key))
            kind = "MODIFIED" if key in self._objects[resource] else "ADDED"
            self._objects[resource][key] = obj
            self._tell(resource, {"type": kind, "object": obj})

    def remove(self, resource: str, name: str, namespace: str = "default") -> None:
        self._version += 1
        obj = self._objects[resource].pop((namespace, name))
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self._version)}}
        self._tell(resource, {"type": "DELETED", "object": obj})

    def compact(self) -> None:
        """Forget how it came to be as it is now: watches can't go on from before."""
        self._oldest = self._version

    def hold(self) -> None:
        """Lag: tell nobody of changes until `release`."""
        self._held = []

    def release(self) -> None:
        held, self._held = self._held or [], None
        for resource, event in held:
            self._tell(resource, event)

    def _tell(self, resource: str, event: Obj) -> None:
        if self._held is not None:
            self._held.append((resource, event))
            return
        if self._thread is None or self._loop is None:
            return

        def tell() -> None:
            for queue in self._watchers[resource]:
                queue.put_nowait(event)

        self._loop.call_soon_threadsafe(tell)


def _status(code: int, reason: str) -> Obj:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}


def _selected(obj: Obj, request: web.Request) -> bool:
    name = request.query.get("fieldSelector", "").removeprefix("metadata.name=")
    return not name or name == obj["metadata"]["name"]
