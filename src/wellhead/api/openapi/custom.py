"""Custom kinds in OpenAPI: their schemas, with what every object has beside.

Upstream: apiextensions' controller/openapi. Version 2 can say less, and what its readers would take
wrongly is left out of it: null, alternatives, and the fields of what may have others.
"""

from __future__ import annotations

from wellhead.api.custom.schemas import is_embedded, items, preserves, properties, values
from wellhead.api.definitions import META_PREFIX
from wellhead.api.meta import Obj
from wellhead.api.openapi.form import Form
from wellhead.api.openapi.operations import name_of
from wellhead.api.resource import Resource

_MORE = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
_API_VERSION: Obj = {
    "description": (
        "APIVersion defines the versioned schema of this representation of an object. Servers should convert "
        "recognized schemas to the latest internal value, and may reject unrecognized values. More info: "
        f"{_MORE}#resources"
    ),
    "type": "string",
}
_KIND: Obj = {
    "description": (
        "Kind is a string value representing the REST resource this object represents. Servers may infer "
        "this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. "
        f"More info: {_MORE}#types-kinds"
    ),
    "type": "string",
}
_METADATA = f"Standard object's metadata. More info: {_MORE}#metadata"
_LIST_METADATA = f"Standard list metadata. More info: {_MORE}#types-kinds"
_ALTERNATIVES = ("allOf", "anyOf", "oneOf", "not")


def custom_definitions(resource: Resource, schema: Obj, form: Form) -> dict[str, Obj]:
    """The definitions of a kind and its list, by name."""
    kind, of_list = (name_of(resource, name) for name in (resource.kind, resource.list_kind))
    item = form.ref(kind)
    listed: Obj = {
        "description": f"{resource.list_kind} is a list of {resource.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": _API_VERSION,
            "items": {
                "description": f"List of {resource.plural}. More info: {_MORE}",
                "type": "array",
                "items": item,
            },
            "kind": _KIND,
            "metadata": _referred(form, "ListMeta", _LIST_METADATA),
        },
    }
    return {
        kind: _object(schema, form) | _named(resource, resource.kind),
        of_list: listed | _named(resource, resource.list_kind),
    }


def _named(resource: Resource, kind: str) -> Obj:
    names = {"group": resource.group, "version": resource.version, "kind": kind}
    return {"x-kubernetes-group-version-kind": [names]}


def _object(schema: Obj, form: Form) -> Obj:
    if form.version == 2 and preserves(schema):
        return {"type": "object"}
    shown = _schema(schema, form)
    known = {**(shown.get("properties") or {}), "apiVersion": _API_VERSION, "kind": _KIND}
    return shown | {"properties": known | {"metadata": _referred(form, "ObjectMeta", _METADATA)}}


def _referred(form: Form, kind: str, description: str) -> Obj:
    target = form.ref(META_PREFIX + kind)
    if form.version == 2:
        return {"description": description} | target
    return {"description": description, "allOf": [target]}


def _schema(schema: Obj, form: Form) -> Obj:
    shown = {name: value for name, value in schema.items() if name not in ("properties", "items")}
    if known := properties(schema):
        shown["properties"] = {name: _schema(each, form) for name, each in known.items()}
    if (of := items(schema)) is not None:
        shown["items"] = _schema(of, form)
    if (of := values(schema)) is not None:
        shown["additionalProperties"] = _schema(of, form)
    if form.version == 2:
        _simplify(shown, schema)
    if is_embedded(schema) and not (form.version == 2 and preserves(schema)):
        more = {"apiVersion": _API_VERSION, "kind": _KIND}
        more["metadata"] = _referred(form, "ObjectMeta", _METADATA)
        shown["properties"] = {**(shown.get("properties") or {}), **more}
        required = list(shown.get("required") or ())
        shown["required"] = [*required, *(name for name in ("kind", "apiVersion") if name not in required)]
    return shown


def _simplify(shown: Obj, schema: Obj) -> None:
    """What version 2 has no word for, or its readers no use."""
    for name in (*_ALTERNATIVES, "nullable"):
        shown.pop(name, None)
    if schema.get("nullable"):
        for name in ("type", "items", "properties"):
            shown.pop(name, None)
    if preserves(schema):
        shown.pop("items", None)
        shown.pop("properties", None)
        if shown.get("type") == "object":
            shown.pop("type")
    if shown.get("type") == "array" and "items" not in shown:
        shown.pop("type")
    nullable = {name for name, each in properties(schema).items() if each.get("nullable")}
    required = [name for name in shown.get("required") or () if name not in nullable]
    if (of := values(schema)) is not None and of.get("nullable"):
        required = []
    if required:
        shown["required"] = required
    else:
        shown.pop("required", None)
