"""create: a new object."""

from __future__ import annotations

from aiohttp import web

from wellhead.api.errors import MethodNotAllowed
from wellhead.api.resources import kind_of
from wellhead.apiserver.admission.chain import Admission
from wellhead.apiserver.answers import answer_object
from wellhead.apiserver.call import Call
from wellhead.apiserver.decoding import sent_object
from wellhead.apiserver.registry.registry import Registry
from wellhead.storage.encoding import decode


async def create(call: Call, registry: Registry, admission: Admission) -> web.StreamResponse:
    """Raises what `Registry.create` and the admission raise, BadRequest, UnsupportedMediaType."""
    resource = call.resource
    if call.info.name or (resource.namespaced and not call.info.namespace):
        raise MethodNotAllowed
    dry_run = call.dry_run
    writer = call.writer("CreateOptions")
    obj = await sent_object(call)
    written = await registry.create(
        resource,
        call.info.namespace,
        obj,
        gate=admission.gate(call, "CREATE", dry_run=dry_run),
        writer=writer,
        size=len(await call.body()),
        dry_run=dry_run,
    )
    if not obj["metadata"].get("name"):  # it was made up; others are warned of by their names
        obj["metadata"]["name"] = decode(written.data)["metadata"]["name"]
    call.warnings += kind_of(resource).strategy.warnings(obj)
    return await answer_object(call, written.data, 201)
