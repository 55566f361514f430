"""update: a whole object in place of the one that is there."""

from __future__ import annotations

from aiohttp import web
from msgspec.structs import replace

from wellhead.api.errors import BadRequest, Cause, Conflict, Invalid, NotFound
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
    check_named(new, info.name)
    size = len(await call.body())

    def change(old: Obj) -> Obj:
        _check_version(call, new)
        _check_uid(call, new, old)
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
    text = "Invalid value: 0: must be specified for an update"
    cause = Cause("metadata.resourceVersion", "FieldValueInvalid", text)
    # Upstream names the resource where others name the kind.
    raise Invalid.of(resource.group, resource.plural, call.info.name, [cause])


def _check_uid(call: Call, new: Obj, old: Obj) -> None:
    """Raises Conflict if another object of the name is meant, one that is gone."""
    wanted, actual = (new.get("metadata") or {}).get("uid"), old["metadata"]["uid"]
    if not wanted or wanted == actual:
        return
    info, resource = call.info, call.resource
    where = "/".join(filter(None, ("/registry", resource.storage_prefix, info.namespace, info.name)))
    raise Conflict.of(
        resource,
        info.name,
        f"StorageError: invalid object, Code: 4, Key: {where}, ResourceVersion: 0, AdditionalErrorMsg: "
        f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {actual}",
    )


def check_named(obj: Obj, name: str) -> None:
    """Raises BadRequest when the body names no object, or another than the path."""
    if not (obj.get("metadata") or {}).get("name"):
        why = "name must be provided"
        raise BadRequest(f"the name of the object ({name} based on URL) was undeterminable: {why}")
    check_name(obj, name)


def check_name(obj: Obj, name: str) -> None:
    """Raises BadRequest when the body names another object than the path."""
    given = (obj.get("metadata") or {}).get("name")
    if given and given != name:
        raise BadRequest(f"the name of the object ({given}) does not match the name on the URL ({name})")
