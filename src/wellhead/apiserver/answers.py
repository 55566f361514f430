"""Writing answers: objects, lists and errors, in the form that the client asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import yaml
from aiohttp import web
from multidict import CIMultiDict

from wellhead.api.errors import ApiError, NotAcceptable
from wellhead.api.meta import Obj
from wellhead.api.printer import Printer
from wellhead.api.resource import Resource
from wellhead.api.tables import to_table
from wellhead.apiserver.call import Call
from wellhead.apiserver.negotiation import ALL, TYPES, Encoding, Format, object_format
from wellhead.apiserver.protobuf.encoding import encode_protobuf
from wellhead.apiserver.warnings import warning_headers
from wellhead.storage.encoding import decode, encode_json

# As upstream: below this, compressing costs more than it saves.
_GZIP_FROM = 128 * 1024
_GZIP_LEVEL = 1
_FOR_PEOPLE = ("curl", "Wget", "Mozilla/5.0")
_NICE_YAML = 64 * 1024  # bytes of JSON
_PROTOBUF_WORK = 20  # times as much as JSON of the same size
_HEADERS: dict[Encoding, dict[str, str]] = {
    encoding: {"Content-Type": content_type, "Cache-Control": "no-cache, private"}
    for encoding, content_type in TYPES.items()
}


def form_of(call: Call, *, projections: bool = True, tables: bool = True, messages: bool = True) -> Format:
    """In which form the call's answer is wanted: see `object_format`. Raises NotAcceptable.

    `messages` says whether there is a Protobuf message of what is answered.
    """
    resource = call.info.resource
    # Of what somebody has defined, nobody knows a Protobuf message; its Scale is anybody's.
    if resource is not None and call.info.subresource != "scale":
        messages = messages and resource.custom is None and not resource.measured
    encodings = ALL if messages else ALL[:-1]
    accept = call.http.headers.get("Accept", "")
    return object_format(accept, projections=projections, tables=tables, encodings=encodings)


async def answer_object(call: Call, data: bytes, code: int = 200) -> web.Response:
    """An object of the call's resource, from its JSON."""
    form = form_of(call)
    if form.projection == "PartialObjectMetadataList":
        raise NotAcceptable(f"you requested {form.projection}, but the requested object is not a list")
    if form.projection:
        return await answer_json(call, encode_json(project(call, form, decode(data))), code, form.encoding)
    return await answer_json(call, data, code, form.encoding)


async def answer_value(call: Call, value: Obj, code: int = 200, *, tables: bool = True) -> web.Response:
    """An object that has no other form: a Status, a review, a Scale.

    Who asks for a Table gets the object all the same, unless without `tables`: then NotAcceptable is raised.
    """
    form = form_of(call, projections=False, tables=tables, messages="kind" in value)
    return await answer_json(call, encode_json(value), code, form.encoding)


async def answer_json(call: Call, data: bytes, code: int = 200, encoding: Encoding = "JSON") -> web.Response:
    """JSON, or the same in another encoding; compressed if it is large and the client can take it."""
    headers = CIMultiDict(_HEADERS[encoding])
    if encoding == "YAML":
        # JSON is YAML, too: what would take long to write nicely is written as it is.
        if len(data) <= _NICE_YAML:
            data = await asyncio.to_thread(_to_yaml, data)
    elif encoding == "Protobuf":
        value = decode(data)
        data = await call.bodies.apart.run(_PROTOBUF_WORK * len(data), lambda: encode_protobuf(value))
    elif _pretty(call):
        data = msgspec.json.format(data, indent=2) + b"\n"
    for warning in warning_headers(call.warnings):
        headers.add("Warning", warning)
    if len(data) > _GZIP_FROM and "gzip" in call.http.headers.get("Accept-Encoding", ""):
        headers.update({"Content-Encoding": "gzip", "Vary": "Accept-Encoding"})
        data = await asyncio.to_thread(_zipped, data)
    return web.Response(body=data, status=code, headers=headers)


def _zipped(data: bytes) -> bytes:
    from isal import igzip  # with the first large answer: most servers in tests have none

    return igzip.compress(data, _GZIP_LEVEL)


def _pretty(call: Call) -> bool:
    """Whether a person is going to read it: who asks for that, or comes by a program for people."""
    if "pretty" in call.query:
        return call.flag("pretty")
    return call.http.headers.get("User-Agent", "").startswith(_FOR_PEOPLE)


def _to_yaml(data: bytes) -> bytes:
    text = yaml.dump(
        msgspec.json.decode(data), Dumper=yaml.CSafeDumper, sort_keys=True, allow_unicode=True, encoding=None
    )
    return str(text).encode()


def error_response(error: ApiError, warnings: Sequence[str] = (), accept: str = "") -> web.Response:
    """A Status, with the headers that belong to its code, and with what the client was to be warned of.

    It is in the encoding that the client accepts, or else in JSON.
    """
    try:
        encoding = object_format(accept, projections=False).encoding
    except NotAcceptable:
        encoding = "JSON"
    headers = CIMultiDict(_HEADERS[encoding])
    for warning in warning_headers(warnings):
        headers.add("Warning", warning)
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    status = error.status
    if error.code == 404 and "details" not in status:
        # kubectl looks into the details of a 404 without asking whether there are any.
        status = status | {"details": {}}
    data = encode_json(status)
    if encoding == "YAML" and len(data) <= _NICE_YAML:
        data = _to_yaml(data)
    elif encoding == "Protobuf":
        data = encode_protobuf(status)
    return web.Response(body=data, status=error.code, headers=headers)


async def answer_printed(call: Call, value: Obj, printer: Printer) -> web.Response:
    """An object of another kind than the call's resource, which has columns of its own: a Scale."""
    form = form_of(call)
    if form.projection == "Table":
        revision = value["metadata"].get("resourceVersion", "")
        value = table(call.resource, [value], call, form, revision, printer)
    elif form.projection:
        value = partial_metadata(value, form)
    return await answer_json(call, encode_json(value), 200, form.encoding)


def project(call: Call, form: Format, obj: Obj) -> Obj:
    """One object as a Table or as its metadata."""
    if form.projection == "Table":
        return table(call.resource, [obj], call, form, obj["metadata"].get("resourceVersion", ""))
    return partial_metadata(obj, form)


def table(
    resource: Resource,
    objects: Sequence[Obj],
    call: Call,
    form: Format,
    revision: str,
    printer: Printer | None = None,
) -> Obj:
    """The Table that kubectl prints."""
    include = call.query.get("includeObject") or "Metadata"
    result = to_table(resource, objects, include_object=include, printer=printer)
    result["apiVersion"] = f"meta.k8s.io/{form.version}"
    result.setdefault("metadata", {})["resourceVersion"] = revision
    return result


def partial_metadata(obj: Obj, form: Format) -> Obj:
    """meta.k8s.io PartialObjectMetadata."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{form.version}",
        "metadata": obj["metadata"],
    }


def success(resource: Resource, name: str, uid: str = "") -> Obj:
    """The Status that says that a write was done, where the object itself isn't the answer."""
    details: Obj = {"name": name, "kind": resource.plural}
    if resource.group:
        details["group"] = resource.group
    if uid:
        details["uid"] = uid
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }
