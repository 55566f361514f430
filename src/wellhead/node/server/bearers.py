"""Clients with a token in place of a certificate: they may only measure, as far as the API server lets them.

Upstream: the kubelet's webhook authentication and authorization (pkg/kubelet/server/auth.go), of which a
metrics-server makes use.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from aiohttp import web

from wellhead.api.errors import ApiError
from wellhead.api.meta import Obj
from wellhead.api.resources import SUBJECTACCESSREVIEWS, TOKENREVIEWS
from wellhead.client.rest import Client, ConnectionLost

_PARTS = {"/stats/summary": "stats", "/metrics/resource": "metrics"}
"""Path -> the subresource of the node that one must be allowed to get."""

_SECONDS = 120.0
"""An answer holds for so long, as upstream's does."""
_REMEMBERED = 256


class Bearers:
    """Asks the API server whose a token is, and whether they may."""

    def __init__(self, client: Client, node: str) -> None:
        self._client = client
        self._node = node
        self._known: OrderedDict[tuple[str, str], tuple[float, str]] = OrderedDict()

    async def admit(self, request: web.Request) -> None:
        """Raises HTTPUnauthorized, HTTPForbidden, HTTPServiceUnavailable."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        part = _PARTS.get(request.path)
        if scheme.lower() != "bearer" or not token or part is None:
            raise web.HTTPUnauthorized(text="Unauthorized")
        try:
            refusal = await self._refusal(token, part)
        except (ApiError, ConnectionLost) as error:
            raise web.HTTPServiceUnavailable(text=f"the API server can't be asked: {error}") from error
        if refusal == "":
            return
        if refusal == "Unauthorized":
            raise web.HTTPUnauthorized(text=refusal)
        raise web.HTTPForbidden(text=refusal)

    async def _refusal(self, token: str, part: str) -> str:
        """Why the token's owner may not; empty: they may."""
        now = asyncio.get_running_loop().time()
        known = self._known.get((token, part))
        if known is not None and now - known[0] < _SECONDS:
            return known[1]
        refusal = await self._ask(token, part)
        self._known[token, part] = (now, refusal)
        self._known.move_to_end((token, part))
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return refusal

    async def _ask(self, token: str, part: str) -> str:
        review: Obj = {"apiVersion": TOKENREVIEWS.api_version, "kind": TOKENREVIEWS.kind, "metadata": {}}
        review["spec"] = {"token": token}
        answer = (await self._client.create(TOKENREVIEWS, review)).get("status") or {}
        if not answer.get("authenticated"):
            return "Unauthorized"
        user: Obj = answer.get("user") or {}
        name = user.get("username", "")
        attributes = {
            "verb": "get",
            "version": "v1",
            "resource": "nodes",
            "subresource": part,
            "name": self._node,
        }
        spec = {"user": name, "uid": user.get("uid", ""), "groups": user.get("groups") or []}
        access: Obj = {
            "apiVersion": SUBJECTACCESSREVIEWS.api_version,
            "kind": SUBJECTACCESSREVIEWS.kind,
            "metadata": {},
            "spec": {**spec, "extra": user.get("extra") or {}, "resourceAttributes": attributes},
        }
        verdict = (await self._client.create(SUBJECTACCESSREVIEWS, access)).get("status") or {}
        if verdict.get("allowed"):
            return ""
        return f"Forbidden (user={name}, verb=get, resource=nodes, subresource(s)=[{part}])"
