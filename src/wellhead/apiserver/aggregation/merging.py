"""Discovery with the groups that other servers answer for: pure, on discovery's own documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wellhead.api.meta import Obj
from wellhead.apiserver.aggregation.local import priority
from wellhead.apiserver.aggregation.services import Remote

ResourcesOf = Callable[[Remote], Sequence[Obj]]


def with_groups(groups: Sequence[Obj], remotes: Sequence[Remote]) -> list[Obj]:
    """APIGroups, those of higher priority first."""
    merged = {each["name"]: each for each in groups}
    for remote in _in_order(remotes):
        entry = {"groupVersion": f"{remote.group}/{remote.version}", "version": remote.version}
        known = merged.get(remote.group)
        versions = [each for each in (known or {}).get("versions", ()) if each != entry]
        merged[remote.group] = {
            "name": remote.group,
            "versions": [*versions, entry],
            "preferredVersion": versions[0] if versions else entry,
        }
    return _sorted(list(merged.values()), lambda each: str(each["name"]), remotes)


def with_items(items: Sequence[Obj], remotes: Sequence[Remote], resources_of: ResourcesOf) -> list[Obj]:
    """The items of an aggregated document."""
    merged = {each["metadata"]["name"]: each for each in items}
    for remote in _in_order(remotes):
        version = {
            "version": remote.version,
            "resources": _aggregated(resources_of(remote)),
            "freshness": "Current" if remote.available else "Stale",
        }
        known = merged.get(remote.group)
        versions = [each for each in (known or {}).get("versions", ()) if each["version"] != remote.version]
        metadata = {"name": remote.group, "creationTimestamp": None}
        merged[remote.group] = {"metadata": metadata, "versions": [*versions, version]}
    return _sorted(list(merged.values()), lambda each: str(each["metadata"]["name"]), remotes)


def _in_order(remotes: Sequence[Remote]) -> list[Remote]:
    return sorted(remotes, key=lambda each: (each.group, -each.version_priority, each.version))


def _sorted(groups: list[Obj], name_of: Callable[[Obj], str], remotes: Sequence[Remote]) -> list[Obj]:
    own = {each.group: each.group_priority for each in remotes}
    return sorted(groups, key=lambda each: -max(own.get(name_of(each), 0), _local(name_of(each), own)))


def _local(group: str, remote: dict[str, int]) -> int:
    return 0 if group in remote else priority(group)


def _aggregated(resources: Sequence[Obj]) -> list[Obj]:
    """APIResources as the aggregated document has them: subresources within their resources."""
    found: dict[str, Obj] = {}
    for each in resources:
        plural, _, subresource = each["name"].partition("/")
        kind = {"group": each["group"], "version": each["version"], "kind": each["kind"]}
        if subresource:
            if plural in found:
                entry = {"subresource": subresource, "responseKind": kind, "verbs": each["verbs"]}
                found[plural].setdefault("subresources", []).append(entry)
            continue
        found[plural] = {
            "resource": plural,
            "responseKind": kind,
            "scope": "Namespaced" if each["namespaced"] else "Cluster",
            "singularResource": each["singularName"],
            "verbs": each["verbs"],
        }
        for field in ("shortNames", "categories"):
            if each[field]:
                found[plural][field] = each[field]
    return list(found.values())
