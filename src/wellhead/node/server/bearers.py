"""Clients that are neither the API server nor an administrator: they may what the API server lets them.

Upstream: the kubelet's webhook authentication and authorization (pkg/kubelet/server/auth.go), of which a
metrics-server makes use. Stricter: to run something in a pod one needs `create`, also by the GET that begins
a WebSocket.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from wellhead.api.errors import ApiError
from wellhead.api.meta import Obj
from wellhead.api.resources import SUBJECTACCESSREVIEWS, TOKENREVIEWS
from wellhead.client.rest import Client, ConnectionLost

_FINE = {"/pods": "pods", "/runningpods": "pods", "/healthz": "healthz", "/configz": "configz"}
"""Path -> the subresource of the node that one may be allowed in place of `proxy` (KEP-2862)."""
_PARTS = {"/stats": "stats", "/metrics": "metrics", "/logs": "log"}
"""Path -> the subresource that one must be allowed; for all others it is `proxy`."""
_STREAMS = ("/exec", "/attach", "/portForward")
_VERBS = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}

_SECONDS = 120.0
"""An answer holds for so long, as upstream's does."""
_REMEMBERED = 256
_NOBODY = "Unauthorized"
_Question = tuple[tuple[str, ...], str, tuple[str, ...]]


class Bearers:
    """Asks the API server whose a token is, and whether they may."""

    def __init__(self, client: Client, node: str) -> None:
        self._client = client
        self._node = node
        self._known: OrderedDict[_Question, tuple[float, str]] = OrderedDict()

    async def admit(self, request: web.Request) -> None:
        """Raises HTTPUnauthorized, HTTPForbidden, HTTPServiceUnavailable."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise web.HTTPUnauthorized(text="Unauthorized")
        await self._admit(request, ("token", token), lambda: self._whose(token))

    async def admit_user(self, request: web.Request, name: str, groups: Iterable[str]) -> None:
        """The same for whom a certificate names."""
        spec: Obj = {"user": name, "groups": [*groups, "system:authenticated"]}

        async def whose() -> Obj:
            return spec

        await self._admit(request, ("user", name, *spec["groups"]), whose)

    async def _admit(
        self, request: web.Request, identity: tuple[str, ...], whose: Callable[[], Awaitable[Obj | None]]
    ) -> None:
        verb, parts = required(request.method, request.path)
        try:
            refusal = await self._refusal(identity, whose, verb, parts)
        except (ApiError, ConnectionLost) as error:
            raise web.HTTPServiceUnavailable(text=f"the API server can't be asked: {error}") from error
        if refusal == _NOBODY:
            raise web.HTTPUnauthorized(text=refusal)
        if refusal:
            raise web.HTTPForbidden(text=refusal)

    async def _refusal(
        self,
        identity: tuple[str, ...],
        whose: Callable[[], Awaitable[Obj | None]],
        verb: str,
        parts: tuple[str, ...],
    ) -> str:
        """Why somebody may not; empty: they may."""
        now = asyncio.get_running_loop().time()
        question = (identity, verb, parts)
        known = self._known.get(question)
        if known is not None and now - known[0] < _SECONDS:
            return known[1]
        refusal = await self._ask(await whose(), verb, parts)
        self._known[question] = (now, refusal)
        self._known.move_to_end(question)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return refusal

    async def _whose(self, token: str) -> Obj | None:
        review: Obj = {"apiVersion": TOKENREVIEWS.api_version, "kind": TOKENREVIEWS.kind, "metadata": {}}
        review["spec"] = {"token": token}
        answer = (await self._client.create(TOKENREVIEWS, review)).get("status") or {}
        if not answer.get("authenticated"):
            return None
        user: Obj = answer.get("user") or {}
        return {
            "user": user.get("username", ""),
            "uid": user.get("uid", ""),
            "groups": user.get("groups") or [],
            "extra": user.get("extra") or {},
        }

    async def _ask(self, user: Obj | None, verb: str, parts: tuple[str, ...]) -> str:
        if user is None:
            return _NOBODY
        for part in parts:
            attributes = {
                "verb": verb,
                "version": "v1",
                "resource": "nodes",
                "subresource": part,
                "name": self._node,
            }
            access: Obj = {
                "apiVersion": SUBJECTACCESSREVIEWS.api_version,
                "kind": SUBJECTACCESSREVIEWS.kind,
                "metadata": {},
                "spec": {**user, "resourceAttributes": attributes},
            }
            verdict = (await self._client.create(SUBJECTACCESSREVIEWS, access)).get("status") or {}
            if verdict.get("allowed"):
                return ""
        listed = " ".join(parts)
        return f"Forbidden (user={user['user']}, verb={verb}, resource=nodes, subresource(s)=[{listed}])"


def required(method: str, path: str) -> tuple[str, tuple[str, ...]]:
    """What one must be allowed on the node for a request: a verb, and one of these subresources. Pure."""
    verb = "create" if _below(path, *_STREAMS) else _VERBS.get(method, method.lower())
    if part := next((part for prefix, part in _PARTS.items() if _below(path, prefix)), None):
        return verb, (part,)
    fine = [part for prefix, part in _FINE.items() if _below(path, prefix)]
    return verb, (*fine, "proxy")


def _below(path: str, *prefixes: str) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in prefixes)
