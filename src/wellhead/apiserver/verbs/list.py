"""list: the objects that a selection covers, whole or in pieces."""

from __future__ import annotations

from aiohttp import web

from wellhead.api.errors import BadRequest, Gone, NotAcceptable
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.apiserver.answers import answer_json, form_of, partial_metadata, table
from wellhead.apiserver.call import Call
from wellhead.apiserver.negotiation import Format
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.revisions import (
    Continue,
    check_options,
    decode_continue,
    encode_continue,
    expired_continue,
    fresh,
    requested_revision,
)
from wellhead.apiserver.selection import Selection, selection
from wellhead.storage.encoding import decode, encode_json
from wellhead.storage.event_log import Item
from wellhead.storage.store import Compacted


async def list_objects(call: Call, registry: Registry) -> web.StreamResponse:
    """Raises BadRequest, Gone, NotAcceptable, and Timeout for a version that hasn't happened."""
    form = list_form(call)
    items, metadata = await listed(call, registry)
    return await answer_list(call, form, metadata, registry.presented(call.resource, items))


def list_form(call: Call) -> Format:
    """In which form a list is wanted. Raises NotAcceptable."""
    form = form_of(call)
    if form.projection == "PartialObjectMetadata":
        raise NotAcceptable(f"you requested {form.projection}, but the requested object is a list")
    return form


async def answer_list(call: Call, form: Format, metadata: Obj, documents: list[bytes]) -> web.StreamResponse:
    """These objects as a list, in that form."""
    if form.projection:
        size = sum(map(len, documents))
        data = await call.bodies.apart.run(size, lambda: _projected(call, form, documents, metadata))
    else:
        data = joined(call.resource, metadata, documents)
    return await answer_json(call, data, encoding=form.encoding)


async def listed(call: Call, registry: Registry) -> tuple[list[Item], Obj]:
    """What the call selects, by its selectors, version, limit and continuation; and the list's metadata.

    The items are prepared to be presented. Raises what `list_objects` does.
    """
    check_options(call)
    chosen = selection(call, registry)
    revision, exact = requested_revision(call)
    if revision:
        await fresh(registry.cache, revision)
    start = decode_continue(call.query["continue"]) if call.query.get("continue") else None
    items, current = _found(call, registry, chosen, revision, exact, start)
    if chosen.converted:
        await registry.prepare(call.resource, items)
    items, metadata = _page(call, chosen, items, current, start)
    await registry.prepare(call.resource, items)
    return items, metadata


def joined(resource: Resource, metadata: Obj, documents: list[bytes]) -> bytes:
    """A list of these objects. It may be large: its bytes are copied once.

    A list of built-in kind says itself what its items are; they don't, as in Go. Custom ones do.
    """
    fields = {"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": metadata}
    head = encode_json(fields)[:-1] + b',"items":['
    if not documents:
        return head + b"]}"
    if resource.custom is not None:
        return b"".join((head, b",".join(documents), b"]}"))
    identity = encode_json({"apiVersion": resource.api_version, "kind": resource.kind})[:-1] + b","
    start = len(identity)
    items = b",{".join(
        memoryview(each if each.startswith(identity) else _reordered(each))[start:] for each in documents
    )
    return b"".join((head, b"{", items, b"]}"))


def _reordered(document: bytes) -> bytes:
    """The same object, its kind first: another version's may be made otherwise."""
    obj = decode(document)
    identity = {name: obj[name] for name in ("apiVersion", "kind")}
    return encode_json(identity | obj)


def _projected(call: Call, form: Format, documents: list[bytes], metadata: Obj) -> bytes:
    """The objects as a Table, or as a list of their metadata."""
    if form.projection == "Table":
        objects = [decode(document) for document in documents]
        result = table(call.resource, objects, call, form, metadata["resourceVersion"])
        return encode_json(result | {"metadata": metadata})
    items = [partial_metadata(decode(document), form) for document in documents]
    head = {"kind": "PartialObjectMetadataList", "apiVersion": f"meta.k8s.io/{form.version}"}
    return encode_json({**head, "metadata": metadata, "items": items})


def _found(
    call: Call,
    registry: Registry,
    chosen: Selection,
    revision: int | None,
    exact: bool,
    start: Continue | None,
) -> tuple[list[Item], int]:
    """Among which items the selection chooses, as of which revision: of one moment, which ends here."""
    collection = registry.collection(call.resource)
    current = registry.cache.revision
    if start is not None and start.revision > current:
        raise BadRequest("continue key is not valid: its revision hasn't happened yet")
    if start is not None and start.revision >= 0:
        revision, exact = start.revision, True
    if exact and revision is not None and revision != current:
        try:
            if revision < registry.cache.compacted:
                raise Compacted
            items = collection.items_at(revision, chosen.namespace)
        except Compacted:
            if start is not None:
                raise expired_continue(start) from None
            raise Gone("The resourceVersion for the provided list is too old.") from None
        current = revision
    elif chosen.name is not None and chosen.namespace is not None:
        item = collection.get(chosen.namespace, chosen.name)
        items = [] if item is None else [item]
    else:
        items = collection.items(chosen.namespace)
    return items, current


def _page(
    call: Call, chosen: Selection, items: list[Item], current: int, start: Continue | None
) -> tuple[list[Item], Obj]:
    """The items of this list or piece of one, and the list's metadata."""
    limit = max(call.number("limit") or 0, 0)
    if start is not None:
        after = (start.namespace, start.name)
        items = [item for item in items if (item.namespace, item.name) > after]
    if chosen.matches is not None:
        items = list(filter(chosen.matches, items))
    metadata: Obj = {"resourceVersion": str(current)}
    if limit and len(items) > limit:
        last = items[limit - 1]
        metadata["continue"] = encode_continue(Continue(current, last.namespace, last.name))
        if chosen.matches is None:
            metadata["remainingItemCount"] = len(items) - limit
        items = items[:limit]
    return items, metadata
