import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.api.errors import BadRequest, Invalid, PlainError, RequestEntityTooLarge
from wellhead.api.meta import Obj
from wellhead.api.patch import (
    apply_json_patch,
    apply_merge_patch,
    apply_strategic_merge_patch,
    unknown_fields,
)
from wellhead.api.resources import DEPLOYMENTS, NODES, PODS, SERVICES

_values = st.recursive(
    st.booleans() | st.integers(0, 3) | st.sampled_from(["", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
_objects = st.dictionaries(st.sampled_from("abc"), _values, max_size=3)


def _same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other) or (one == other and str(type(one)) == str(type(other)))


def merge_diff(old: Obj, new: Obj) -> Obj:
    diff: Obj = {name: None for name in old if name not in new}
    for name, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(name), dict):
            diff[name] = merge_diff(old[name], value)
        elif name not in old or not _same(old[name], value):
            diff[name] = value
    return diff


def json_diff(old: Obj, new: Obj) -> list[Obj]:
    removed = [{"op": "remove", "path": f"/{name}"} for name in old if name not in new]
    return removed + [{"op": "add", "path": f"/{name}", "value": value} for name, value in new.items()]


@given(_objects, _objects)
def test_merge_patch_of_the_difference_gives_the_new_object(old: Obj, new: Obj) -> None:
    before = copy.deepcopy(old)
    assert apply_merge_patch(old, merge_diff(old, new)) == new
    assert old == before


@given(_objects, _objects)
def test_merge_patch_twice_is_merge_patch_once(old: Obj, patch: Obj) -> None:
    once = apply_merge_patch(old, patch)
    assert apply_merge_patch(once, patch) == once


@given(_objects, _objects)
def test_json_patch_of_the_difference_gives_the_new_object(old: Obj, new: Obj) -> None:
    before = copy.deepcopy(old)
    assert apply_json_patch(old, json_diff(old, new)) == new
    assert old == before


@pytest.mark.parametrize(
    ("operations", "result"),
    [
        ([{"op": "add", "path": "/a/-", "value": 3}], {"a": [1, 2, 3], "b/c": {}}),
        ([{"op": "add", "path": "/a/0", "value": 0}], {"a": [0, 1, 2], "b/c": {}}),
        ([{"op": "remove", "path": "/a/0"}], {"a": [2], "b/c": {}}),
        ([{"op": "replace", "path": "/a/1", "value": 9}], {"a": [1, 9], "b/c": {}}),
        ([{"op": "add", "path": "/b~1c/x~0y", "value": 1}], {"a": [1, 2], "b/c": {"x~y": 1}}),
        ([{"op": "move", "from": "/a", "path": "/d"}], {"d": [1, 2], "b/c": {}}),
        ([{"op": "copy", "from": "/a/0", "path": "/a/1"}], {"a": [1, 1, 2], "b/c": {}}),
        ([{"op": "test", "path": "/a", "value": [1, 2]}, {"op": "remove", "path": "/a"}], {"b/c": {}}),
    ],
)
def test_json_patch_operations(operations: list[Obj], result: Obj) -> None:
    assert apply_json_patch({"a": [1, 2], "b/c": {}}, operations) == result


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": True},
        {"op": "remove", "path": "/z"},
        {"op": "replace", "path": "/l/7", "value": 1},
        {"op": "test", "path": "/z", "value": 1},
        {"op": "move", "from": "/z", "path": "/y"},
        {"op": "add", "path": "/z/y", "value": 1},
        {"op": "add", "path": "/a/b", "value": 1},
        {"op": "add", "path": "/l/7", "value": 1},
        {"op": "remove", "path": "/l/-2"},
        {"op": "remove", "path": "/l/-"},
        {"op": "add", "path": "/l/-3", "value": 1},
        {"op": "test", "path": "/a", "value": 1.0},
        {"op": "replace", "path": "", "value": 1},
        {"op": "replace", "path": "", "value": []},
        {"op": "replace", "path": "", "value": None},
        {"op": "add", "path": "", "value": {}},
        {"op": "remove", "path": ""},
        {"op": "add", "path": "a", "value": 1},
        {"op": "move", "from": "/l", "path": "/l/0"},
        None,
    ],
)
def test_json_patch_that_does_not_apply_is_invalid(operation: Obj) -> None:
    with pytest.raises(Invalid) as refusal:
        apply_json_patch({"a": 1, "l": [1]}, [operation])
    assert refusal.value.code == 422


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ({"op": "replace", "path": "/z", "value": 1}, {"a": 1, "z": 1}),
        ({"op": "test", "path": "/z", "value": None}, {"a": 1}),
        ({"op": "test", "path": "/z"}, {"a": 1}),
        ({"op": "add", "path": "/a"}, {"a": None}),
        ({"op": "copy", "from": "/z", "path": "/a"}, {"a": None}),
        ({"op": "replace", "path": "", "value": {"b": 1}}, {"b": 1}),
        ({"op": "test", "path": "", "value": {"a": 1}}, {"a": 1}),
    ],
)
def test_a_field_that_is_not_there_is_null_as_upstreams_library_has_it(operation: Obj, result: Obj) -> None:
    assert apply_json_patch({"a": 1}, [operation]) == result


@pytest.mark.parametrize(
    ("path", "result"), [("-1", [1, 2, 9]), ("-2", [1, 9, 2]), ("+1", [1, 9, 2]), ("01", [1, 9, 2])]
)
def test_negative_indices_count_from_the_end(path: str, result: list[int]) -> None:
    added = apply_json_patch({"l": [1, 2]}, [{"op": "add", "path": f"/l/{path}", "value": 9}])
    assert added == {"l": result}
    for operation, left in (("remove", [1]), ("replace", [1, None])):
        assert apply_json_patch({"l": [1, 2]}, [{"op": operation, "path": "/l/-1"}]) == {"l": left}
    apply_json_patch({"l": [1, 2]}, [{"op": "test", "path": "/l/-2", "value": 1}])


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({}, "object into Go value of type []handlers.jsonPatchOp"),
        ([1], "number into Go value of type handlers.jsonPatchOp"),
        ([{"op": "add", "path": 1}], "number into Go struct field jsonPatchOp.path of type string"),
        ([{"op": []}], "array into Go struct field jsonPatchOp.op of type string"),
    ],
)
def test_malformed_json_patch_is_a_bad_request(patch: object, said: str) -> None:
    with pytest.raises(BadRequest) as refused:
        apply_json_patch({}, patch)
    assert refused.value.message == f"error decoding patch: json: cannot unmarshal {said}"


def test_null_is_a_json_patch_without_operations() -> None:
    assert apply_json_patch({"a": 1}, None) == {"a": 1}


def test_unknown_fields_of_operations_are_told() -> None:
    patch = [{"op": "remove", "path": "/a"}, {"op": "add", "path": "/a", "extra": 1}, None]
    assert list(unknown_fields(patch)) == ['unknown field "[1].extra"']
    assert not list(unknown_fields({"x": 1}))


@pytest.mark.parametrize("operation", [{"op": "frob", "path": "/a"}, {"op": "add"}])
def test_an_operation_that_is_none_is_invalid(operation: Obj) -> None:
    with pytest.raises(Invalid):
        apply_json_patch({}, [operation])


def service(*ports: Obj) -> Obj:
    return {"metadata": {"name": "s"}, "spec": {"ports": list(ports)}}


def strategic(obj: Obj, patch: Obj) -> Obj:
    before = copy.deepcopy(obj)
    patched = apply_strategic_merge_patch(obj, patch, SERVICES.gvk)
    assert obj == before
    return patched


def test_ports_merge_by_port() -> None:
    old = service({"port": 80, "nodePort": 30080}, {"port": 443})
    patched = strategic(old, {"spec": {"ports": [{"port": 80, "name": "http"}, {"port": 53}]}})
    assert patched["spec"]["ports"] == [
        {"port": 80, "nodePort": 30080, "name": "http"},
        {"port": 53},
        {"port": 443},
    ]


def test_patching_one_field_of_a_service() -> None:
    old = service({"port": 80})
    patched = strategic(old, {"spec": {"externalTrafficPolicy": "Local"}})
    assert patched["spec"] == {"ports": [{"port": 80}], "externalTrafficPolicy": "Local"}


def test_delete_directive_removes_a_list_item() -> None:
    patched = strategic(
        service({"port": 80}, {"port": 443}), {"spec": {"ports": [{"port": 80, "$patch": "delete"}]}}
    )
    assert patched["spec"]["ports"] == [{"port": 443}]


def test_replace_directive_replaces_a_list_and_a_map() -> None:
    old = service({"port": 80}, {"port": 443})
    assert strategic(old, {"spec": {"ports": [{"$patch": "replace"}, {"port": 1}]}})["spec"]["ports"] == [
        {"port": 1}
    ]
    assert strategic(old, {"spec": {"$patch": "replace", "type": "ClusterIP"}})["spec"] == {
        "type": "ClusterIP"
    }


def test_element_order_is_the_clients_and_the_servers_own_stay_in_place() -> None:
    old = service({"port": 1}, {"port": 2}, {"port": 3})
    patch = {"$setElementOrder/ports": [{"port": 3}, {"port": 4}, {"port": 1}], "ports": [{"port": 4}]}
    ports = strategic(old, {"spec": patch})["spec"]["ports"]
    assert [port["port"] for port in ports] == [2, 3, 4, 1]


def test_finalizers_are_a_set() -> None:
    old = {"metadata": {"finalizers": ["a/x", "a/y"]}}
    assert strategic(old, {"metadata": {"finalizers": ["a/y", "a/z"]}})["metadata"]["finalizers"] == [
        "a/x",
        "a/y",
        "a/z",
    ]
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/x"]}}
    assert strategic(old, patch)["metadata"]["finalizers"] == ["a/y"]


def test_labels_merge_and_null_removes_one() -> None:
    old = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    assert strategic(old, {"metadata": {"labels": {"a": None, "c": "3"}}})["metadata"]["labels"] == {
        "b": "2",
        "c": "3",
    }


def test_containers_merge_by_name_and_their_args_are_replaced() -> None:
    old = {
        "spec": {
            "template": {"spec": {"containers": [{"name": "a", "image": "x", "args": ["1"]}, {"name": "b"}]}}
        }
    }
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "a", "args": ["2"]}]}}}}
    patched = apply_strategic_merge_patch(old, patch, DEPLOYMENTS.gvk)
    assert patched["spec"]["template"]["spec"]["containers"] == [
        {"name": "a", "image": "x", "args": ["2"]},
        {"name": "b"},
    ]


def test_retain_keys_clears_the_other_volume_sources() -> None:
    old = {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}
    patch = {
        "spec": {"volumes": [{"name": "v", "configMap": {"name": "c"}, "$retainKeys": ["name", "configMap"]}]}
    }
    patched = apply_strategic_merge_patch(old, patch, PODS.gvk)
    assert patched["spec"]["volumes"] == [{"name": "v", "configMap": {"name": "c"}}]


def test_tolerations_have_no_merge_key_and_are_replaced() -> None:
    old = {"spec": {"tolerations": [{"key": "a"}]}}
    patched = apply_strategic_merge_patch(old, {"spec": {"tolerations": [{"key": "b"}]}}, PODS.gvk)
    assert patched["spec"]["tolerations"] == [{"key": "b"}]


def test_conditions_merge_by_type() -> None:
    old = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    patch = {"status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "X", "status": "True"}]}}
    patched = apply_strategic_merge_patch(old, patch, NODES.gvk)
    assert patched["status"]["conditions"] == [
        {"type": "Ready", "status": "True"},
        {"type": "X", "status": "True"},
    ]


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"ports": [{"name": "x"}]}, "map: map[name:x] does not contain declared merge key: port"),
        ({"ports": [{"port": 80, "$patch": "x"}]}, "unknown patch type: x in map: map[$patch:x port:80]"),
        ({"ports": [{"port": 80, "$patch": "merge"}]}, "merging lists cannot yet be specified in the patch"),
        ({"$patch": "merge"}, "unknown patch type: merge in map: map[$patch:merge]"),
        ({"$patch": None}, "unknown patch type: <nil> in map: map[$patch:<nil>]"),
        ({"ports": [1]}, "list element types are not identical: [[map[port:80]] [1]]"),
        ({"$setElementOrder/ports": 1}, "expected a []interface {}, but received a int64"),
        (
            {"$setElementOrder/ports": [{"port": 1}], "ports": [{"port": 2}]},
            "The order in patch list:\n[map[port:2]]\n doesn't match $setElementOrder list:\n[map[port:1]]\n",
        ),
    ],
)
def test_a_strategic_patch_that_upstreams_library_cannot_apply_is_a_plain_error(
    patch: Obj, said: str
) -> None:
    with pytest.raises(PlainError) as refused:
        strategic(service({"port": 80}), {"spec": patch})
    assert (refused.value.code, refused.value.reason, refused.value.message) == (500, "", said)


@pytest.mark.parametrize("keys", [1, ["type"]])
def test_what_a_patch_sets_it_retains(keys: object) -> None:
    with pytest.raises(BadRequest, match="invalid patch format of retainKeys"):
        strategic(service(), {"spec": {"$retainKeys": keys, "clusterIP": "None"}})


def test_null_is_a_strategic_patch_that_changes_nothing_and_no_merge_patch() -> None:
    obj = service({"port": 80})
    assert apply_strategic_merge_patch(obj, None, SERVICES.gvk) == obj
    with pytest.raises(BadRequest, match="Invalid JSON Patch"):
        apply_merge_patch(obj, None)


def test_whole_numbers_of_a_strategic_patch_are_integers() -> None:
    patched = strategic(service(), {"spec": {"ports": [{"port": 80.0}], "healthCheckNodePort": 1.5}})
    assert patched["spec"] == {"ports": [{"port": 80}], "healthCheckNodePort": 1.5}
    assert isinstance(patched["spec"]["ports"][0]["port"], int)


def test_where_nothing_is_directives_and_nulls_are_left_out() -> None:
    patch = {"a": {"$patch": "x"}, "b": {"c": None, "d": [{"$patch": "delete"}, {"e": {"$patch": "y"}}]}}
    assert strategic({}, patch) == {"b": {"d": [{}]}}


@given(st.lists(st.integers(1, 6), unique=True), st.lists(st.integers(1, 6), unique=True))
def test_strategic_patch_twice_is_once(old: list[int], new: list[int]) -> None:
    patch = {"spec": {"ports": [{"port": port, "name": "n"} for port in new]}}
    once = strategic(service(*({"port": port} for port in old)), patch)
    assert strategic(once, patch) == once
    assert {port["port"] for port in once["spec"]["ports"]} == {*old, *new}


def _doubling(times: int) -> list[Obj]:
    return [{"op": "copy", "from": "/data", "path": f"/data/{number}"} for number in range(times)]


def test_copies_of_a_json_patch_may_add_up_to_three_megabytes() -> None:
    obj = {"data": {"x": "y" * 1000}}
    apply_json_patch(obj, _doubling(10))
    with pytest.raises(Invalid) as refused:
        apply_json_patch(obj, _doubling(20))
    assert refused.value.code == 422
    assert refused.value.bound == "patch-copied-bytes"
    assert "Unable to complete the copy, the accumulated size increase of copy is 4" in refused.value.message
    assert "exceeding the limit 3145728" in refused.value.message


def test_a_json_patch_has_at_most_ten_thousand_operations() -> None:
    test = {"op": "test", "path": "/a", "value": 1}
    assert apply_json_patch({"a": 1}, [test] * 10_000) == {"a": 1}
    with pytest.raises(RequestEntityTooLarge) as refused:
        apply_json_patch({"a": 1}, [test] * 10_001)
    assert refused.value.message == (
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
    )


def test_operations_on_long_lists_are_bounded_by_their_work() -> None:
    insert = {"op": "add", "path": "/a/0", "value": 0}
    with pytest.raises(Invalid) as refused:
        apply_json_patch({"a": [0] * 40_000}, [insert] * 10_000)
    assert refused.value.bound == "patch-moves"


def test_a_json_patch_can_nest_without_end_and_is_refused() -> None:
    deeper = [
        {"op": "add", "path": "/y", "value": {}},
        {"op": "move", "from": "/x", "path": "/y/x"},
        {"op": "move", "from": "/y", "path": "/x"},
    ]
    with pytest.raises(Invalid, match="nested too deep"):
        apply_json_patch({"x": {}}, [*deeper * 3000, {"op": "copy", "from": "/x", "path": "/z"}])


@given(
    _objects,
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"]) | _values,
                "path": st.from_regex(r"(/([abc]|0|1|-|~|²|٣)){0,3}", fullmatch=True) | _values,
                "from": st.from_regex(r"(/[abc]){0,2}", fullmatch=True) | _values,
                "value": _values,
            },
        )
        | _values,
        max_size=5,
    )
    | _values,
)
def test_any_json_patch_applies_or_is_refused(obj: Obj, patch: object) -> None:
    before = copy.deepcopy((obj, patch))
    with contextlib.suppress(BadRequest, Invalid):
        assert isinstance(apply_json_patch(obj, patch), dict)
    assert (obj, patch) == before


def test_a_strategic_patch_changes_no_kind() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "spec": {"type": "ClusterIP"}}
    patch = {"apiVersion": None, "kind": "Pod", "spec": {"type": "NodePort"}}
    assert apply_strategic_merge_patch(service, patch, SERVICES.gvk) == service | {
        "spec": {"type": "NodePort"}
    }
