"""A webhook server in this process, which answers as a test wants it and remembers what it was asked."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from tests.integration.apiserver.cluster import User
from tests.integration.apiserver.pki import Pki
from wellhead.api.meta import Obj

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/{}webhookconfigurations"
Answer = Callable[[Obj], Any]


def allow(request: Obj) -> Obj:
    return {"allowed": True}


def deny(**status: object) -> Answer:
    return lambda request: {"allowed": False, "status": status}


def patching(*operations: Obj) -> Answer:
    patch = base64.b64encode(msgspec.json.encode(operations)).decode()
    return lambda request: {"allowed": True, "patch": patch, "patchType": "JSONPatch"}


def labelling(name: str, value: str = "yes") -> Answer:
    """Puts a label on whatever has labels."""
    return patching({"op": "add", "path": f"/metadata/labels/{name}", "value": value})


@dataclass
class Webhooks:
    """Answers at a path each; what it is asked stands in `asked`, by path."""

    port: int
    ca: str
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: dict[str, list[Obj]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)

    def client(self, path: str) -> Obj:
        return {"url": f"https://127.0.0.1:{self.port}/{path}", "caBundle": self.ca}

    async def register(
        self, admin: User, kind: str, path: str, answer: Answer | None = allow, **changed: object
    ) -> None:
        """A configuration with one webhook that is about ConfigMaps. `kind`: mutating or validating."""
        if answer is not None:
            self.answers[path] = answer
        rule = {"operations": ["*"], "apiGroups": [""], "apiVersions": ["*"], "resources": ["configmaps"]}
        hook = {
            "name": f"{path}.example.com",
            "clientConfig": self.client(path),
            "rules": [rule],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        body = {"metadata": {"name": path}, "webhooks": [hook | changed]}
        await admin.create(CONFIGURATIONS.format(kind), body)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path.strip("/")
        review = msgspec.json.decode(await request.read())
        self.asked.setdefault(path, []).append(review["request"])
        self.order.append(path)
        response = self.answers[path](review["request"])
        if asyncio.iscoroutine(response):
            response = await response
        if isinstance(response, web.StreamResponse):
            return response
        body = {"kind": review["kind"], "apiVersion": review["apiVersion"]}
        body["response"] = {"uid": review["request"]["uid"], **response}
        return web.Response(body=msgspec.json.encode(body), content_type="application/json")


@contextlib.asynccontextmanager
async def webhooks(pki: Pki) -> AsyncIterator[Webhooks]:
    pki.issue("webhook", "webhook", server=True, names=("hook.default.svc",))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pki.directory / "webhook.crt", pki.directory / "webhook.key")
    ca = base64.b64encode((pki.directory / "ca.crt").read_bytes()).decode()
    found = Webhooks(0, ca)
    runner = web.ServerRunner(web.Server(found.handle), shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        found.port = runner.addresses[0][1]
        yield found
    finally:
        await runner.cleanup()
