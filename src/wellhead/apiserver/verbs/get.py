"""get: one object."""

from __future__ import annotations

from aiohttp import web

from wellhead.apiserver.answers import answer_object
from wellhead.apiserver.call import Call
from wellhead.apiserver.registry.registry import Registry


async def get(call: Call, registry: Registry) -> web.StreamResponse:
    """Raises NotFound."""
    item = registry.item(call.resource, call.info.namespace, call.info.name)
    return await answer_object(call, registry.present(call.resource, item))
