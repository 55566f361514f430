"""Whole documents: every path that is served and every type that they use."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from wellhead.api.definitions import (
    KUBERNETES_VERSION,
    META_PREFIX,
    RawDefinitions,
    definition_name,
)
from wellhead.api.meta import GroupVersionKind, Obj
from wellhead.api.openapi.custom import custom_definitions
from wellhead.api.openapi.form import Form
from wellhead.api.openapi.operations import operations
from wellhead.api.resource import Resource
from wellhead.api.resources import RESOURCES

_META_ROOTS = tuple(META_PREFIX + kind for kind in ("DeleteOptions", "Status", "Patch", "WatchEvent"))


def group_paths() -> tuple[str, ...]:
    """`api/v1`, `apis/apps/v1` …: the groups and versions that have a document."""
    return tuple(sorted({group_path_of(resource) for resource in RESOURCES}))


def openapi_v2() -> Obj:
    """The document of /openapi/v2."""
    form = Form(2)
    return {
        "swagger": "2.0",
        "info": _info(),
        "paths": _paths(RESOURCES, form),
        "definitions": form.schemas(RawDefinitions().reachable(_roots(RESOURCES))),
    }


def openapi_v3(group_path: str, custom: Iterable[tuple[Resource, Obj]] = ()) -> Obj | None:
    """The document of /openapi/v3/GROUP_PATH; None if there is no such group and version.

    `custom` are the custom resources of it, with their schemas.
    """
    resources = [resource for resource in RESOURCES if group_path_of(resource) == group_path]
    defined = list(custom)
    if not resources and not defined:
        return None
    form = Form(3)
    schemas = form.schemas(RawDefinitions().reachable(_roots([*resources, *(each for each, _ in defined)])))
    for resource, schema in defined:
        schemas |= custom_definitions(resource, schema, form)
    return {
        "openapi": "3.0.0",
        "info": _info(),
        "paths": _paths([*resources, *(each for each, _ in defined)], form),
        "components": {"schemas": schemas},
    }


def openapi_v2_part(resource: Resource, schema: Obj) -> Obj:
    """What a custom resource adds to the document of /openapi/v2."""
    form = Form(2)
    return {"paths": _paths([resource], form), "definitions": custom_definitions(resource, schema, form)}


def openapi_v3_index(custom: Mapping[str, str] | None = None) -> Obj:
    """The document of /openapi/v3. The hash lets clients keep documents for good.

    `custom` has the groups and versions of custom resources, and what is other when they are.
    """
    fingerprint = _hashed(f"{KUBERNETES_VERSION} {RESOURCES}")
    hashes = dict.fromkeys(group_paths(), fingerprint)
    for path, state in (custom or {}).items():
        hashes[path] = _hashed(hashes.get(path, "") + state)
    return {
        "paths": {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={hashes[path]}"} for path in sorted(hashes)
        }
    }


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32].upper()


def _info() -> Obj:
    return {"title": "Kubernetes", "version": KUBERNETES_VERSION}


def group_path_of(resource: Resource) -> str:
    """`api/v1`, `apis/apps/v1`."""
    return f"apis/{resource.api_version}" if resource.group else f"api/{resource.version}"


def _paths(resources: Iterable[Resource], form: Form) -> Obj:
    return {path: methods for resource in resources for path, methods in operations(resource, form)}


def _roots(resources: Iterable[Resource]) -> Iterator[str]:
    yield from _META_ROOTS
    for resource in resources:
        if resource.custom is None:
            yield definition_name(resource.gvk)
            yield definition_name(GroupVersionKind(resource.group, resource.version, resource.list_kind))
        else:
            yield from (META_PREFIX + kind for kind in ("ObjectMeta", "ListMeta"))
        for name in sorted(resource.subresources):
            sub = resource.subresource(name)
            yield definition_name(GroupVersionKind(sub.group, sub.version, sub.kind))
