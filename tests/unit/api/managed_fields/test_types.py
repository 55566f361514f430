"""What the schemas say of merging."""

from __future__ import annotations

import pytest

from wellhead.api.managed_fields import types
from wellhead.api.managed_fields.types import Type, custom_type, type_of
from wellhead.api.meta import GroupVersionKind
from wellhead.api.resources import KINDS

SERVICE = GroupVersionKind("", "v1", "Service")
POD = GroupVersionKind("", "v1", "Pod")


def at(root: Type, *path: str) -> Type:
    for name in path:
        if name == "[]":
            assert root.list is not None
            root = root.list.element
            continue
        assert root.map is not None
        field = root.map.field(name)
        assert field is not None, name
        root = field.type
    return root


def test_ports_have_their_list_map_keys_not_their_merge_key() -> None:
    ports = at(type_of(SERVICE), "spec", "ports").list
    assert ports is not None
    assert (ports.keys, ports.defaults) == (("port", "protocol"), {"protocol": "TCP"})


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (SERVICE, ("spec", "selector")),
        (GroupVersionKind("apps", "v1", "Deployment"), ("spec", "selector")),
        (POD, ("spec", "nodeSelector")),
        (
            GroupVersionKind("", "v1", "Pod"),
            ("spec", "containers", "[]", "env", "[]", "valueFrom", "fieldRef"),
        ),
        (POD, ("metadata", "ownerReferences", "[]")),
    ],
)
def test_some_structs_and_maps_are_one_value(kind: GroupVersionKind, path: tuple[str, ...]) -> None:
    found = at(type_of(kind), *path).map
    assert found is not None
    assert found.atomic


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.resource.api_version}-{kind.resource.kind}")
def test_every_kind_has_its_types(kind: object) -> None:
    root = kind.fields  # type: ignore[attr-defined]
    assert root.map is not None
    metadata = root.map.field("metadata")
    assert metadata is None or metadata.always


def test_the_order_in_which_types_are_made_doesnt_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for first in (SERVICE, GroupVersionKind("", "v1", "ConfigMap")):
        monkeypatch.setattr(types, "_types", {})
        type_of.cache_clear()
        type_of(first)
        root = type_of(GroupVersionKind("apps", "v1", "Deployment")).map
        assert root is not None
        found.append([field.name for field in root.always])
    assert found == [["metadata", "spec", "status"]] * 2
    type_of.cache_clear()


def test_a_custom_resource_merges_as_its_schema_says() -> None:
    root = custom_type(
        {
            "type": "object",
            "properties": {
                "spec": {
                    "type": "object",
                    "properties": {
                        "items": {
                            "type": "array",
                            "x-kubernetes-list-type": "map",
                            "x-kubernetes-list-map-keys": ["name", "kind"],
                            "items": {
                                "type": "object",
                                "properties": {"kind": {"type": "string", "default": "x"}},
                            },
                        },
                        "tags": {
                            "type": "array",
                            "x-kubernetes-list-type": "set",
                            "items": {"type": "string"},
                        },
                        "list": {"type": "array", "items": {"type": "string"}},
                        "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        "port": {"x-kubernetes-int-or-string": True},
                        "whole": {
                            "type": "object",
                            "x-kubernetes-map-type": "atomic",
                            "additionalProperties": {"type": "integer"},
                        },
                    },
                }
            },
        }
    )
    items = at(root, "spec", "items").list
    assert items is not None
    assert (items.keys, items.defaults, items.atomic) == (("kind", "name"), {"kind": "x"}, False)
    tags, plain = at(root, "spec", "tags").list, at(root, "spec", "list").list
    assert tags is not None
    assert plain is not None
    assert (tags.atomic, plain.atomic) == (False, True)
    assert at(root, "spec", "any", "a", "b") is types.DEDUCED
    assert at(root, "spec", "port").scalar == "untyped"
    whole = at(root, "spec", "whole").map
    assert whole is not None
    assert whole.atomic
    assert at(root, "metadata", "labels").map is not None
