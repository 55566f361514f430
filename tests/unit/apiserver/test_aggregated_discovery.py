"""Groups of other servers stand among this one's by their priority."""

from __future__ import annotations

from dataclasses import replace

from wellhead.api.meta import Obj
from wellhead.api.resources import RESOURCES
from wellhead.apiserver.aggregation.local import wanted
from wellhead.apiserver.aggregation.merging import with_groups, with_items
from wellhead.apiserver.aggregation.services import Remote

REMOTE = Remote("v1.x", "x", "v1", "default", "s", 443, "", False, 2000, 10, True)


def group(name: str, *versions: str) -> Obj:
    entries = [{"groupVersion": f"{name}/{each}", "version": each} for each in versions]
    return {"name": name, "versions": entries, "preferredVersion": entries[0]}


def test_a_groups_place_is_its_priority() -> None:
    own = [group("apps", "v1"), group("batch", "v1"), group("custom.example.com", "v1")]
    found = with_groups(own, [REMOTE])
    assert [each["name"] for each in found] == ["apps", "batch", "x", "custom.example.com"]
    low = with_groups(own, [replace(REMOTE, group_priority=100)])
    assert [each["name"] for each in low][-1] == "x"


def test_versions_of_a_group_are_in_the_order_of_their_priorities() -> None:
    newer = replace(REMOTE, name="v2.x", version="v2", version_priority=20)
    [found] = with_groups([], [REMOTE, newer])
    assert [each["version"] for each in found["versions"]] == ["v2", "v1"]
    assert found["preferredVersion"]["version"] == "v2"


def test_a_group_may_have_versions_here_and_there() -> None:
    [found] = with_groups([group("x", "v2")], [REMOTE])
    assert [each["version"] for each in found["versions"]] == ["v2", "v1"]


def test_what_a_server_that_is_gone_served_is_stale() -> None:
    pears = {
        "name": "pears",
        "singularName": "pear",
        "kind": "Pear",
        "namespaced": False,
        "verbs": ["get"],
        "group": "",
        "version": "",
        "shortNames": ["p"],
        "categories": [],
    }
    [item] = with_items([], [replace(REMOTE, available=False)], lambda _: [pears])
    [version] = item["versions"]
    assert version["freshness"] == "Stale"
    assert version["resources"] == [
        {
            "resource": "pears",
            "responseKind": {"group": "", "version": "", "kind": "Pear"},
            "scope": "Cluster",
            "singularResource": "pear",
            "verbs": ["get"],
            "shortNames": ["p"],
        }
    ]


def test_every_version_that_is_served_has_its_own() -> None:
    names = wanted(RESOURCES)
    assert {f"{each.version}.{each.group}" for each in RESOURCES} == set(names)
    assert names["v1."]["spec"] == {"version": "v1", "groupPriorityMinimum": 18000, "versionPriority": 1}
