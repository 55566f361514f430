"""Whole documents: every path that is served and every type that they use."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from wellhead.api.definitions import (
    KUBERNETES_VERSION,
    META_PREFIX,
    RawDefinitions,
    definition_name,
)
from wellhead.api.meta import GroupVersionKind, Obj
from wellhead.api.openapi.form import Form
from wellhead.api.openapi.operations import operations
from wellhead.api.resource import Resource
from wellhead.api.resources import RESOURCES

_META_ROOTS = tuple(META_PREFIX + kind for kind in ("DeleteOptions", "Status", "Patch", "WatchEvent"))


def group_paths() -> tuple[str, ...]:
    """`api/v1`, `apis/apps/v1` …: the groups and versions that have a document."""
    return tuple(sorted({_group_path(resource) for resource in RESOURCES}))


def openapi_v2() -> Obj:
    """The document of /openapi/v2."""
    form = Form(2)
    return {
        "swagger": "2.0",
        "info": _info(),
        "paths": _paths(RESOURCES, form),
        "definitions": form.schemas(RawDefinitions().reachable(_roots(RESOURCES))),
    }


def openapi_v3(group_path: str) -> Obj | None:
    """The document of /openapi/v3/GROUP_PATH; None if there is no such group and version."""
    resources = [resource for resource in RESOURCES if _group_path(resource) == group_path]
    if not resources:
        return None
    form = Form(3)
    return {
        "openapi": "3.0.0",
        "info": _info(),
        "paths": _paths(resources, form),
        "components": {"schemas": form.schemas(RawDefinitions().reachable(_roots(resources)))},
    }


def openapi_v3_index() -> Obj:
    """The document of /openapi/v3. The hash lets clients keep documents for good."""
    fingerprint = hashlib.sha256(f"{KUBERNETES_VERSION} {RESOURCES}".encode()).hexdigest()[:32].upper()
    return {
        "paths": {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={fingerprint}"} for path in group_paths()
        }
    }


def _info() -> Obj:
    return {"title": "Kubernetes", "version": KUBERNETES_VERSION}


def _group_path(resource: Resource) -> str:
    return f"apis/{resource.api_version}" if resource.group else f"api/{resource.version}"


def _paths(resources: Iterable[Resource], form: Form) -> Obj:
    return {path: methods for resource in resources for path, methods in operations(resource, form)}


def _roots(resources: Iterable[Resource]) -> Iterator[str]:
    yield from _META_ROOTS
    for resource in resources:
        yield definition_name(resource.gvk)
        yield definition_name(GroupVersionKind(resource.group, resource.version, resource.list_kind))
        for name in sorted(resource.subresources):
            sub = resource.subresource(name)
            yield definition_name(GroupVersionKind(sub.group, sub.version, sub.kind))
