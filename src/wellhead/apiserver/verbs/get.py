"""get: one object."""

from __future__ import annotations

from aiohttp import web

from wellhead.api.errors import BadRequest
from wellhead.apiserver.answers import answer_object
from wellhead.apiserver.call import Call
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.revisions import fresh, requested_revision


async def get(call: Call, registry: Registry) -> web.StreamResponse:
    """Raises NotFound, BadRequest, and Timeout for a version that hasn't happened."""
    if call.flag("export"):
        raise BadRequest("the export parameter, deprecated since v1.14, is no longer supported")
    if "resourceVersion" in call.query:
        revision, _ = requested_revision(call)
        await fresh(registry.cache, revision or 0)
    item = registry.item(call.resource, call.info.namespace, call.info.name)
    await registry.prepare(call.resource, [item])
    return await answer_object(call, registry.present(call.resource, item))
