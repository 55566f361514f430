"""update: a whole object in place of the one that is there."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from wellhead.api.errors import BadRequest, Cause, Invalid, NotFound
from wellhead.api.meta import Obj
from wellhead.api.resources import kind_of
from wellhead.apiserver.admission.chain import Admission
from wellhead.apiserver.answers import answer_object
from wellhead.apiserver.authz import Authorizer
from wellhead.apiserver.call import Call
from wellhead.apiserver.decoding import sent_object
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.verbs.warned import Watched


async def update(
    call: Call, registry: Registry, admission: Admission, authorizer: Authorizer
) -> web.StreamResponse:
    """For the object, its status, or a namespace's finalizers.

    Raises what `Registry.update` and the admission raise.
    """
    info, resource = call.info, call.resource
    dry_run = call.dry_run
    writer = call.writer("UpdateOptions")
    new = await sent_object(call)
    check_name(new, info.name)
    size = len(await call.body())

    def change(old: Obj) -> Obj:
        _check_version(call, new)
        return {**new, "metadata": dict(new.get("metadata") or {})}

    watched = Watched(change)
    try:
        written = await registry.update(
            resource,
            info.namespace,
            info.name,
            watched,
            gate=admission.gate(call, "UPDATE", dry_run=dry_run),
            subresource=info.subresource,
            writer=writer,
            size=size,
            dry_run=dry_run,
        )
    except NotFound:
        if not kind_of(resource).strategy.created_by_update or info.subresource:
            raise
        # The right to update is not the right to create.
        authorizer.check(call.user, replace(info, verb="create"))
        new["metadata"] = (new.get("metadata") or {}) | {"name": info.name}
        gate = admission.gate(call, "CREATE", dry_run=dry_run)
        written = await registry.create(
            resource, info.namespace, new, gate=gate, writer=writer, size=size, dry_run=dry_run
        )
        return await answer_object(call, written.data, 201)
    watched.warn(call)
    return await answer_object(call, written.data)


def _check_version(call: Call, new: Obj) -> None:
    """Raises Invalid if the kind wants to be told which version is replaced, and isn't."""
    resource = call.resource
    if (new.get("metadata") or {}).get("resourceVersion") or not kind_of(resource).strategy.needs_version:
        return
    text = "Invalid value: 0x0: must be specified for an update"
    cause = Cause("metadata.resourceVersion", "FieldValueInvalid", text)
    raise Invalid.of(resource.group, resource.kind, call.info.name, [cause])


def check_name(obj: Obj, name: str) -> None:
    """Raises BadRequest when the body names another object than the path."""
    given = (obj.get("metadata") or {}).get("name")
    if given and given != name:
        raise BadRequest(f"the name of the object ({given}) does not match the name on the URL ({name})")
