"""The built-in kinds: what upstream serves by default, and as what."""

from __future__ import annotations

import pytest

from wellhead.api import catalogue
from wellhead.api.definitions import RawDefinitions, definition_name
from wellhead.api.resources import RESOURCES, by_kind, kind_of


def test_every_kind_has_a_schema() -> None:
    schemas = RawDefinitions()
    assert [each for each in RESOURCES if definition_name(each.gvk) not in schemas] == []


def test_groups_are_in_the_order_of_discovery_and_kinds_in_that_of_their_names() -> None:
    groups = list(dict.fromkeys(each.group for each in RESOURCES))
    assert groups == [group for group in catalogue.GROUPS if group in groups]
    for group in groups:
        plurals = [each.plural for each in RESOURCES if each.group == group]
        assert plurals == sorted(plurals)


@pytest.mark.parametrize(
    ("api_version", "kind", "path", "scope"),
    [
        ("v1", "ReplicationController", "replicationcontrollers", "namespaced"),
        ("apps/v1", "StatefulSet", "statefulsets", "namespaced"),
        ("apiregistration.k8s.io/v1", "APIService", "apiservices", "cluster"),
        ("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", "cluster"),
        ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema", "flowschemas", "cluster"),
    ],
)
def test_a_row_says_what_a_kind_is(api_version: str, kind: str, path: str, scope: str) -> None:
    resource = by_kind(api_version, kind)
    assert resource is not None
    assert resource.plural == path
    assert resource.namespaced == (scope == "namespaced")


def test_a_row_says_how_a_kind_behaves() -> None:
    lists = by_kind("apps/v1", "StatefulSet")
    assert lists is not None
    assert lists.short_names == ("sts",)
    assert lists.categories == ("all",)
    assert lists.subresources == {"status", "scale"}
    roles = by_kind("rbac.authorization.k8s.io/v1", "Role")
    assert roles is not None
    strategy = kind_of(roles).strategy
    assert (strategy.created_by_update, strategy.counts_generations) == (True, False)
    assert strategy.name_check("system:Any.thing") == []
