"""Discovery: which groups, versions and resources there are, in the old documents and the aggregated one."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from wellhead.api.errors import NotFound
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource, Subresource
from wellhead.api.resources import RESOURCES
from wellhead.api.versions import version_place
from wellhead.apiserver.aggregation.merging import with_groups, with_items
from wellhead.apiserver.aggregation.services import Remote, Remotes
from wellhead.apiserver.custom.kinds import CustomKinds
from wellhead.apiserver.negotiation import JSON, media_ranges
from wellhead.storage.encoding import encode_json

Resources = Sequence[Resource]

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


class Discovery:
    """What there is to discover: built-in kinds, and the custom ones of the moment."""

    def __init__(self, custom: CustomKinds | None = None, remotes: Remotes | None = None) -> None:
        self._custom = custom
        self._remotes = remotes
        self._made_for = (-1, -1)
        self._resources: tuple[Resource, ...] = RESOURCES
        self._aggregated: dict[tuple[str, str], tuple[bytes, str, str]] = {}

    @property
    def resources(self) -> tuple[Resource, ...]:
        """All that are served, group by group."""
        state = (
            0 if self._custom is None else self._custom.changes,
            0 if self._remotes is None else self._remotes.changes,
        )
        if state != self._made_for:
            self._made_for = state
            self._aggregated.clear()
            custom = () if self._custom is None else sorted(self._custom.all(), key=_custom_place)
            self._resources = (*RESOURCES, *custom)
        return self._resources

    def groups(self) -> list[Obj]:
        """Every APIGroup."""
        resources = self.resources
        groups = [_group(resources, each) for each in _groups(resources) if each]
        remotes = self._others()
        return with_groups(groups, remotes) if remotes else groups

    def _others(self) -> list[Remote]:
        return [] if self._remotes is None else list(self._remotes)

    def aggregated(self, root: str, version: str) -> tuple[bytes, str, str]:
        """The aggregated document under `root` (api or apis), its content type, and its ETag."""
        resources = self.resources
        found = self._aggregated.get((root, version))
        if found is None:
            items = _items(resources, root)
            if root == "apis" and self._remotes is not None and (remotes := self._others()):
                items = with_items(items, remotes, self._remotes.resources)
            found = self._aggregated[root, version] = _aggregated(items, version)
        return found


def _custom_place(resource: Resource) -> tuple[str, tuple[int, int, int, str], str]:
    return resource.group, version_place(resource.version), resource.plural


def aggregated(resources: Resources, root: str, version: str) -> tuple[bytes, str, str]:
    """The aggregated document under `root` (api or apis), its content type, and its ETag."""
    return _aggregated(_items(resources, root), version)


def _items(resources: Resources, root: str) -> list[Obj]:
    return [
        {
            "metadata": {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None},
            "versions": [
                {
                    "version": group_version,
                    "resources": [
                        _aggregated_resource(r) for r in _resources(resources, group, group_version)
                    ],
                    "freshness": "Current",
                }
                for group_version in _versions(resources, group)
            ],
        }
        for group in _groups(resources)
        if bool(group) == (root == "apis")
    ]


def _aggregated(items: Sequence[Obj], version: str) -> tuple[bytes, str, str]:
    document = {
        "kind": _AGGREGATED_KIND,
        "apiVersion": f"{_AGGREGATED_GROUP}/{version}",
        "metadata": {},
        "items": list(items),
    }
    data = encode_json(document)
    content_type = f"{JSON};g={_AGGREGATED_GROUP};v={version};as={_AGGREGATED_KIND}"
    return data, content_type, f'"{hashlib.sha256(data).hexdigest().upper()}"'


def core_versions(resources: Resources, server_address: str) -> Obj:
    """/api"""
    return {
        "kind": "APIVersions",
        "versions": list(_versions(resources, "")),
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
    }


def group_list(groups: Sequence[Obj]) -> Obj:
    """/apis"""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": list(groups)}


def group_document(groups: Sequence[Obj], name: str) -> Obj:
    """/apis/GROUP. Raises NotFound."""
    for group in groups:
        if group["name"] == name:
            return {"kind": "APIGroup", "apiVersion": "v1"} | group
    raise NotFound.path()


def resource_list(resources: Resources, group: str, version: str) -> Obj:
    """/api/VERSION and /apis/GROUP/VERSION. Raises NotFound."""
    served = _resources(resources, group, version)
    if not served:
        raise NotFound.path()
    entries: list[Obj] = []
    for resource in served:
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
        if not (resource.is_review or resource.measured):
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


def paths(resources: Resources) -> list[str]:
    """/ lists them."""
    groups = [group for group in _groups(resources) if group]
    found = ["/api", "/api/v1", "/apis", "/apis/"]
    found += [f"/apis/{group}" for group in groups]
    found += [f"/apis/{group}/{version}" for group in groups for version in _versions(resources, group)]
    return sorted(
        [*found, "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
    )


def _groups(resources: Resources) -> list[str]:
    return list(dict.fromkeys(resource.group for resource in resources))


def _versions(resources: Resources, group: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(r.version for r in resources if r.group == group))


def _resources(resources: Resources, group: str, version: str) -> list[Resource]:
    return [r for r in resources if (r.group, r.version) == (group, version)]


def _subresources(resource: Resource) -> list[Subresource]:
    return [resource.subresource(name) for name in sorted(resource.subresources)]


def _group(resources: Resources, name: str) -> Obj:
    versions = [
        {"groupVersion": f"{name}/{version}", "version": version} for version in _versions(resources, name)
    ]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _aggregated_resource(resource: Resource) -> Obj:
    entry: Obj = {
        "resource": resource.plural,
        "responseKind": _response_kind(resource),
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


def _response_kind(resource: Resource) -> Obj:
    # Empty: the same as the document's around it. Upstream says it in full of custom kinds.
    if resource.custom is None:
        return {"group": "", "version": "", "kind": resource.kind}
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


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
