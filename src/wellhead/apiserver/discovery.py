"""Discovery: which groups, versions and resources there are, in the old documents and the aggregated one."""

from __future__ import annotations

import base64
import hashlib
from functools import cache

from wellhead.api.errors import NotFound
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource, Subresource
from wellhead.api.resources import RESOURCES
from wellhead.apiserver.negotiation import JSON, media_ranges
from wellhead.storage.encoding import encode_json

_AGGREGATED_GROUP = "apidiscovery.k8s.io"
_AGGREGATED_KIND = "APIGroupDiscoveryList"
_AGGREGATED_VERSIONS = ("v2", "v2beta1")


def aggregated_version(accept: str) -> str:
    """The version of the aggregated document that the client prefers; '' if it wants the old one."""
    for media in media_ranges(accept):
        if media.type == JSON and not media.parameter("as"):
            return ""
        if (
            media.type == JSON
            and media.parameter("as") == _AGGREGATED_KIND
            and media.parameter("g") == _AGGREGATED_GROUP
            and media.parameter("v") in _AGGREGATED_VERSIONS
        ):
            return media.parameter("v")
    return ""


@cache
def aggregated(root: str, version: str) -> tuple[bytes, str, str]:
    """The aggregated document under `root` (api or apis), its content type, and its ETag."""
    items = [
        {
            "metadata": {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None},
            "versions": [
                {
                    "version": group_version,
                    "resources": [_aggregated_resource(r) for r in _resources(group, group_version)],
                    "freshness": "Current",
                }
                for group_version in _versions(group)
            ],
        }
        for group in _groups()
        if bool(group) == (root == "apis")
    ]
    document = {
        "kind": _AGGREGATED_KIND,
        "apiVersion": f"{_AGGREGATED_GROUP}/{version}",
        "metadata": {},
        "items": items,
    }
    data = encode_json(document)
    content_type = f"{JSON};g={_AGGREGATED_GROUP};v={version};as={_AGGREGATED_KIND}"
    return data, content_type, f'"{hashlib.sha256(data).hexdigest().upper()}"'


def core_versions(server_address: str) -> Obj:
    """/api"""
    return {
        "kind": "APIVersions",
        "versions": list(_versions("")),
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
    }


def group_list() -> Obj:
    """/apis"""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(g) for g in _groups() if g]}


def group_document(name: str) -> Obj:
    """/apis/GROUP. Raises NotFound."""
    if not name or name not in _groups():
        raise NotFound.path()
    return {"kind": "APIGroup", "apiVersion": "v1"} | _group(name)


def resource_list(group: str, version: str) -> Obj:
    """/api/VERSION and /apis/GROUP/VERSION. Raises NotFound."""
    resources = _resources(group, version)
    if not resources:
        raise NotFound.path()
    entries: list[Obj] = []
    for resource in resources:
        entry: Obj = {
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": sorted(resource.verbs),
        }
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        if not resource.is_review:
            entry["storageVersionHash"] = _storage_version_hash(resource)
        entries.append(entry)
        for sub in _subresources(resource):
            nested: Obj = {
                "name": f"{resource.plural}/{sub.name}",
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": sub.kind,
                "verbs": sorted(sub.verbs),
            }
            if (sub.group, sub.version) != (resource.group, resource.version):
                nested |= {"group": sub.group, "version": sub.version}
            entries.append(nested)
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": entries,
    }


def paths() -> list[str]:
    """/ lists them."""
    groups = [group for group in _groups() if group]
    found = ["/api", "/api/v1", "/apis", "/apis/"]
    found += [f"/apis/{group}" for group in groups]
    found += [f"/apis/{group}/{version}" for group in groups for version in _versions(group)]
    return sorted(
        [*found, "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
    )


def _groups() -> list[str]:
    return list(dict.fromkeys(resource.group for resource in RESOURCES))


def _versions(group: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(r.version for r in RESOURCES if r.group == group))


def _resources(group: str, version: str) -> list[Resource]:
    return [r for r in RESOURCES if (r.group, r.version) == (group, version)]


def _subresources(resource: Resource) -> list[Subresource]:
    return [resource.subresource(name) for name in sorted(resource.subresources)]


def _group(name: str) -> Obj:
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in _versions(name)]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _aggregated_resource(resource: Resource) -> Obj:
    entry: Obj = {
        "resource": resource.plural,
        "responseKind": {"group": "", "version": "", "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": sorted(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [_aggregated_subresource(resource, s) for s in _subresources(resource)]
    return entry


def _aggregated_subresource(resource: Resource, sub: Subresource) -> Obj:
    # An empty group and version say: the same as the document around it.
    own = (sub.group, sub.version) == (resource.group, resource.version)
    return {
        "subresource": sub.name,
        "responseKind": {
            "group": "" if own else sub.group,
            "version": "" if own else sub.version,
            "kind": sub.kind,
        },
        "verbs": sorted(sub.verbs),
    }


def _storage_version_hash(resource: Resource) -> str:
    digest = hashlib.sha256(f"{resource.group}/{resource.version}/{resource.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()
