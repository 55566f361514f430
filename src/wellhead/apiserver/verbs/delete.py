"""delete: one object, now or once its grace period and finalizers allow it."""

from __future__ import annotations

from aiohttp import web

from wellhead.api.meta import Obj
from wellhead.api.resources import kind_of
from wellhead.apiserver.admission.chain import Admission
from wellhead.apiserver.answers import answer_object, answer_value, success
from wellhead.apiserver.call import Call
from wellhead.apiserver.registry.deletion import DeleteOptions, delete_options
from wellhead.apiserver.registry.registry import Registry
from wellhead.storage.encoding import decode


async def delete(call: Call, registry: Registry, admission: Admission) -> web.StreamResponse:
    """Raises what `Registry.delete` raises, and BadRequest and Invalid for the options."""
    info, resource = call.info, call.resource
    options = await read_options(call)
    dry_run = call.dry_run or options.dry_run
    gate = admission.gate(call, "DELETE", options=options.sent, dry_run=dry_run)
    written = await registry.delete(resource, info.namespace, info.name, options, gate=gate, dry_run=dry_run)
    if written.removed and not kind_of(resource).strategy.returned_when_deleted:
        uid = decode(written.data)["metadata"]["uid"]
        return await answer_value(call, success(resource, info.name, uid))
    return await answer_object(call, written.data)


async def read_options(call: Call) -> DeleteOptions:
    """From the body, or without one from the query. Raises BadRequest, Invalid."""
    if await call.body():
        document = await call.object()
        return delete_options(document.value)
    options: Obj = {}
    if (grace := call.number("gracePeriodSeconds")) is not None:
        options["gracePeriodSeconds"] = grace
    if policy := call.query.get("propagationPolicy"):
        options["propagationPolicy"] = policy
    if "uid" in call.query:
        options["preconditions"] = {"uid": call.query["uid"]}
    if "orphanDependents" in call.query:
        options["orphanDependents"] = call.flag("orphanDependents")
    return delete_options(options)
