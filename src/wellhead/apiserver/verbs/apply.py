"""apply: a patch that says which fields a manager wants, and so which he doesn't want any more (KEP-555)."""

from __future__ import annotations

from aiohttp import web
from msgspec.structs import replace

from wellhead.api.documents import Document, Unreadable, read_json, read_yaml
from wellhead.api.documents.document import too_many_values
from wellhead.api.errors import AlreadyExists, BadRequest, Cause, Conflict, Invalid, NotFound
from wellhead.api.field_management import managed
from wellhead.api.limits import extent_of_object
from wellhead.api.managed_fields.apply import applied
from wellhead.api.managed_fields.update import Writer
from wellhead.api.meta import Obj
from wellhead.api.resources import kind_of
from wellhead.apiserver.admission.chain import Admission
from wellhead.apiserver.answers import answer_object
from wellhead.apiserver.authz import Authorizer
from wellhead.apiserver.call import Call
from wellhead.apiserver.decoding import decode_sent, field_validation
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.verbs.update import check_named
from wellhead.apiserver.verbs.warned import Watched

APPLY = "application/apply-patch+yaml"
_ATTEMPTS = 5
_OF_STATUS = ("apiVersion", "kind", "metadata", "status")


async def apply(
    call: Call, registry: Registry, admission: Admission, authorizer: Authorizer
) -> web.StreamResponse:
    """For the object or its status; what isn't there is made.

    Raises what `Registry.update` and `create`, the apply and the admission raise.
    """
    info, resource = call.info, call.resource
    dry_run = call.dry_run
    writer = apply_writer(call)
    config, complaints = await configuration(call)
    kind = managed(kind_of(resource))
    size = len(await call.body())

    def change(old: Obj) -> Obj:
        wanted = _of_subresource(config, info.subresource, has_status=resource.has_status)
        merged = applied(kind, old, wanted, resource.gvk, writer, force=call.flag("force"), checked=config)
        if extent_of_object(merged).values > call.limits.body_values:
            raise too_many_values(call.limits)
        new = decode_sent(call, merged, complaints)
        check_named(new, info.name)
        return new

    watched = Watched(change)
    for _ in range(_ATTEMPTS):
        try:
            written = await registry.update(
                resource,
                info.namespace,
                info.name,
                watched,
                gate=admission.gate(call, "UPDATE", dry_run=dry_run),
                subresource=info.subresource,
                size=size,
                dry_run=dry_run,
            )
            watched.warn(call)
            return await answer_object(call, written.data)
        except NotFound:
            if info.subresource or registry.lookup(resource, (info.namespace, info.name)) is not None:
                raise
        # The right to patch is not the right to create.
        authorizer.check(call.user, replace(info, verb="create"))
        new = await call.bodies.apart.run(size, lambda: watched({}))
        if uid := new["metadata"].get("uid"):
            raise Conflict.of(
                resource,
                info.name,
                f"uid mismatch: the provided object specified uid {uid}, and no existing object was found",
            )
        if new["metadata"].get("resourceVersion"):
            raise Conflict.of(resource, info.name)
        gate = admission.gate(call, "CREATE", dry_run=dry_run)
        try:
            written = await registry.create(
                resource, info.namespace, new, gate=gate, size=size, dry_run=dry_run
            )
        except AlreadyExists:
            continue
        watched.warn(call)
        return await answer_object(call, written.data, 201)
    raise Conflict.of(resource, info.name)


def apply_writer(call: Call) -> Writer:
    """Who applies. Raises Invalid: it must be said."""
    if not call.query.get("fieldManager"):
        cause = Cause.required("fieldManager", "is required for apply patch")
        raise Invalid.of("meta.k8s.io", "PatchOptions", "", [cause])
    return call.writer("PatchOptions")


async def configuration(call: Call) -> tuple[Obj, tuple[str, ...]]:
    """What is wanted, and what a strict reader says of the text.

    Raises BadRequest, RequestEntityTooLarge.
    """
    body = await call.body()
    try:
        document = await call.bodies.apart.run(20 * len(body), lambda: _read(call, body))
    except Unreadable as error:
        raise BadRequest(f"error decoding YAML: {error.message}") from None
    if call.trail is not None:
        call.trail.sent(document.value, None)
    if not isinstance(document.value, dict):
        raise BadRequest("error decoding YAML: the configuration is not an object")
    if document.complaints and field_validation(call) == "Strict":
        raise BadRequest(f"error strict decoding YAML: {', '.join(document.complaints)}")
    return document.value, document.complaints


def _read(call: Call, body: bytes) -> Document:
    # JSON is YAML, too; client libraries send it, and it is read much faster as what it is.
    if body.lstrip()[:1] == b"{":
        try:
            document = read_json(body, call.limits)
        except BadRequest:
            document = None
        if document is not None and not document.complaints:
            return document
    return read_yaml(body, call.limits)


def _of_subresource(config: Obj, subresource: str, *, has_status: bool) -> Obj:
    """What of the configuration this request may set (upstream: the reset fields of its strategy)."""
    if subresource in ("status", "approval"):
        return {field: value for field, value in config.items() if field in _OF_STATUS}
    if subresource:
        return config
    if has_status:
        return {field: value for field, value in config.items() if field != "status"}
    return config
