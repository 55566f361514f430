"""patch: a change described as JSON patch, merge patch or strategic merge patch, or by an apply."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web

from wellhead.api import patch as patches
from wellhead.api.documents import Unreadable, read_json
from wellhead.api.documents.document import too_deep, too_many_values
from wellhead.api.errors import BadRequest, Cause, Invalid, Undecodable, UnsupportedMediaType
from wellhead.api.limits import Limits, extent_of_object
from wellhead.api.meta import GroupVersionKind, Obj
from wellhead.api.patch import refusal
from wellhead.apiserver.admission.chain import Admission
from wellhead.apiserver.answers import answer_object
from wellhead.apiserver.authz import Authorizer
from wellhead.apiserver.call import Call
from wellhead.apiserver.decoding import decode_sent
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.verbs.apply import APPLY, apply
from wellhead.apiserver.verbs.update import check_named
from wellhead.apiserver.verbs.warned import Watched
from wellhead.text import quoted

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH)


class Patch:
    """A patch that was read from a request, to be applied to whichever version of the object it meets."""

    def __init__(self, content_type: str, body: bytes, limits: Limits) -> None:
        """Raises RequestEntityTooLarge, UnsupportedMediaType."""
        if content_type not in _TYPES:
            raise UnsupportedMediaType.accepting((*_TYPES, APPLY))
        self._type = content_type
        self._limits = limits
        self._document: object = None
        self._unreadable = ""
        complaints: Sequence[str] = ()
        try:
            self._document, complaints = read_json(body, limits)
        except Unreadable as error:
            # Said when it meets an object: that there is none comes first.
            prefix = "" if content_type == STRATEGIC_MERGE_PATCH else "error decoding patch: "
            self._unreadable = f"{prefix}{error.problem}"
        prefix = ""
        if content_type == JSON_PATCH:
            prefix, complaints = "json patch ", [*patches.unknown_fields(self._document), *complaints]
        self.complaints = [f"{prefix}{complaint}" for complaint in complaints]

    def apply(self, obj: Obj, gvk: GroupVersionKind) -> Obj:
        """The patched object, not yet checked.

        Raises BadRequest, Invalid, PlainError, RequestEntityTooLarge.
        """
        if self._unreadable:
            raise BadRequest(self._unreadable)
        patched = self._patched(obj, gvk)
        extent = extent_of_object(patched)
        if extent.values > self._limits.body_values:
            raise too_many_values(self._limits)
        if extent.depth > self._limits.nesting:
            raise too_deep("json", self._limits)
        return patched

    def _patched(self, obj: Obj, gvk: GroupVersionKind) -> Obj:
        if self._type == JSON_PATCH:
            return patches.apply_json_patch(obj, self._document, self._limits)
        if self._type == MERGE_PATCH:
            return patches.apply_merge_patch(obj, self._document)
        return patches.apply_strategic_merge_patch(obj, self._document, gvk)

    def decoded(self, obj: Obj, gvk: GroupVersionKind, decode: Callable[[Obj], Obj]) -> Obj:
        """The patched object, as `decode` reads it. Raises BadRequest, Invalid, RequestEntityTooLarge."""
        patched = self.apply(obj, gvk)
        self._check_kind(patched, gvk)
        try:
            return decode(patched)
        except Undecodable as error:
            raise self._refused(error, patched) from None

    def _check_kind(self, patched: Obj, gvk: GroupVersionKind) -> None:
        """Raises Invalid if the object became one of another kind; of a strategic patch it doesn't count."""
        found = GroupVersionKind.of({"apiVersion": gvk.api_version, "kind": gvk.kind} | _told(patched))
        if self._type != STRATEGIC_MERGE_PATCH and found != gvk:
            text = f"no kind {quoted(found.kind)} is registered for version {quoted(found.api_version)}"
            raise refusal.refused(Undecodable(gvk.kind, gvk.version, text), patched)

    def _refused(self, error: Undecodable, patched: Obj) -> Invalid:
        """What is said of it if what it makes is no object of its kind."""
        if self._type == STRATEGIC_MERGE_PATCH:
            return refusal.refused_strategic(error, self._document)
        return refusal.refused(error, patched)


def _told(patched: Obj) -> Obj:
    """What the object says of its kind: what it leaves out, it has from where it was sent."""
    return {field: patched[field] for field in ("apiVersion", "kind") if patched.get(field)}


async def patch(
    call: Call, registry: Registry, admission: Admission, authorizer: Authorizer
) -> web.StreamResponse:
    """For the object or its status. Raises what `Registry.update`, the patch and the admission raise."""
    if call.http.content_type == APPLY:
        return await apply(call, registry, admission, authorizer)
    info, resource = call.info, call.resource
    dry_run = call.dry_run
    if resource.custom is not None and call.http.content_type == STRATEGIC_MERGE_PATCH:
        raise UnsupportedMediaType.accepting((JSON_PATCH, MERGE_PATCH))
    document = Patch(call.http.content_type, await call.patch(), call.limits)
    check_not_forced(call)
    writer = call.writer("PatchOptions")

    def change(old: Obj) -> Obj:
        new = document.decoded(
            old, resource.gvk, lambda patched: decode_sent(call, patched, document.complaints)
        )
        check_named(new, info.name)
        return new

    watched = Watched(change)
    written = await registry.update(
        resource,
        info.namespace,
        info.name,
        watched,
        gate=admission.gate(call, "UPDATE", dry_run=dry_run),
        subresource=info.subresource,
        writer=writer,
        size=len(await call.body()),
        dry_run=dry_run,
    )
    watched.warn(call)
    return await answer_object(call, written.data)


def check_not_forced(call: Call) -> None:
    """Raises Invalid: only an apply can be forced."""
    if "force" in call.query:
        cause = Cause.forbidden("force", "may not be specified for non-apply patch")
        raise Invalid.of("meta.k8s.io", "PatchOptions", "", [cause])
