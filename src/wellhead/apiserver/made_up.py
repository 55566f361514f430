"""Answers of objects that are nowhere stored: they are made up when somebody asks."""

from __future__ import annotations

from aiohttp import web

from wellhead.api.meta import Obj
from wellhead.apiserver.answers import answer_json, form_of, partial_metadata, table
from wellhead.apiserver.call import Call
from wellhead.storage.encoding import encode_json


async def answer_one(call: Call, obj: Obj) -> web.StreamResponse:
    """One of the call's resource. Raises NotAcceptable."""
    form = form_of(call)
    if form.projection == "Table":
        obj = table(call.resource, [obj], call, form, "")
    elif form.projection:
        obj = partial_metadata(obj, form)
    return await answer_json(call, encode_json(obj), encoding=form.encoding)


async def answer_list(call: Call, found: list[Obj]) -> web.StreamResponse:
    """A list of the call's resource. Raises NotAcceptable."""
    form = form_of(call)
    resource = call.resource
    document: Obj
    if form.projection == "Table":
        document = table(resource, found, call, form, "")
    elif form.projection:
        items = [partial_metadata(each, form) for each in found]
        version = f"meta.k8s.io/{form.version}"
        document = {
            "kind": "PartialObjectMetadataList",
            "apiVersion": version,
            "metadata": {},
            "items": items,
        }
    else:
        document = {"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": {}}
        document["items"] = [
            {name: value for name, value in each.items() if name not in ("apiVersion", "kind")}
            for each in found
        ]
    return await answer_json(call, encode_json(document), encoding=form.encoding)
