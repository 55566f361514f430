"""What server-side apply makes of an object."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.api.managed_fields.objects import CONFIGMAP, DEPLOYMENT, POD, SERVICE, Live
from wellhead.api.errors import ApiError, BadRequest, Conflict
from wellhead.api.managed_fields.types import custom_type
from wellhead.api.meta import GroupVersionKind
from wellhead.api.names import LAST_APPLIED_ANNOTATION

CONTAINER = {"name": "c", "image": "a"}


def deployment(**spec: Any) -> Any:
    return {"spec": spec}


def test_who_applies_has_what_he_names_and_nothing_else() -> None:
    live = Live(CONFIGMAP).apply("me", {"metadata": {"labels": {"a": "b"}}, "data": {"a": "1"}})
    assert live.fields("me") == {"f:metadata": {"f:labels": {"f:a": {}}}, "f:data": {"f:a": {}}}
    assert live.object["data"] == {"a": "1"}


def test_what_is_not_applied_any_more_goes() -> None:
    live = Live(CONFIGMAP).apply("me", {"data": {"a": "1", "b": "1"}}).apply("me", {"data": {"b": "1"}})
    assert live.object["data"] == {"b": "1"}
    assert live.fields("me") == {"f:data": {"f:b": {}}}


def test_what_is_not_applied_any_more_stays_while_another_has_it() -> None:
    live = Live(CONFIGMAP).apply("me", {"data": {"a": "1", "b": "1"}}).apply("you", {"data": {"a": "1"}})
    live.apply("me", {"data": {"b": "1"}})
    assert live.object["data"] == {"a": "1", "b": "1"}
    assert live.fields("you") == {"f:data": {"f:a": {}}}


def test_what_others_manage_is_a_conflict() -> None:
    live = Live(DEPLOYMENT).update("one", deployment(replicas=1)).apply("two", deployment(paused=True))
    with pytest.raises(Conflict) as caught:
        live.apply("me", deployment(replicas=2))
    assert caught.value.message == (
        'Apply failed with 1 conflict: conflict with "one" using apps/v1: .spec.replicas'
    )
    assert caught.value.status["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "one" using apps/v1',
            "field": ".spec.replicas",
        }
    ]
    with pytest.raises(Conflict) as caught:
        live.apply("me", deployment(replicas=2, paused=False))
    assert caught.value.message == (
        'Apply failed with 2 conflicts: conflicts with "one" using apps/v1:\n- .spec.replicas\n'
        'conflicts with "two":\n- .spec.paused'
    )


def test_the_same_value_is_shared() -> None:
    live = Live(CONFIGMAP).apply("one", {"data": {"a": "1"}}).apply("two", {"data": {"a": "1"}})
    assert live.fields("one") == live.fields("two") == {"f:data": {"f:a": {}}}
    with pytest.raises(Conflict):
        live.apply("two", {"data": {"a": "2"}})


def test_force_takes_what_others_manage() -> None:
    live = Live(CONFIGMAP).apply("one", {"data": {"a": "1", "b": "1"}})
    live.apply("two", {"data": {"a": "2"}}, force=True)
    assert live.object["data"] == {"a": "2", "b": "1"}
    assert live.fields("one") == {"f:data": {"f:b": {}}}
    assert live.fields("two") == {"f:data": {"f:a": {}}}


def test_ports_are_told_apart_by_port_and_protocol() -> None:
    ports = [{"port": 53, "name": "a"}, {"port": 53, "protocol": "UDP", "name": "b"}]
    live = Live(SERVICE).apply("me", {"spec": {"ports": ports}})
    assert live.fields("me")["f:spec"]["f:ports"].keys() == {
        'k:{"port":53,"protocol":"TCP"}',
        'k:{"port":53,"protocol":"UDP"}',
    }
    live.apply("you", {"spec": {"ports": [{"port": 53, "protocol": "UDP", "targetPort": 1}]}})
    assert live.object["spec"]["ports"] == [ports[0], {**ports[1], "targetPort": 1}]


def test_a_port_without_a_protocol_is_the_one_that_got_the_default() -> None:
    port = {"port": 80, "protocol": "TCP", "nodePort": 30000}
    live = Live(SERVICE).update("other", {"spec": {"ports": [port]}})
    live.apply("me", {"spec": {"ports": [{"port": 80, "name": "http"}]}})
    assert live.object["spec"]["ports"] == [port | {"name": "http"}]


def test_a_key_that_is_left_out_is_the_zero_of_its_type() -> None:
    live = Live(POD).apply("me", {"spec": {"containers": [{"image": "i"}]}})
    assert live.object["spec"] == {"containers": [{"image": "i"}]}
    assert 'k:{"name":""}' in live.fields("me")["f:spec"]["f:containers"]


def test_what_is_atomic_is_replaced_as_a_whole() -> None:
    live = Live(SERVICE).apply("me", {"spec": {"selector": {"a": "1", "b": "1"}}})
    live.apply("me", {"spec": {"selector": {"a": "1"}}})
    assert live.object["spec"]["selector"] == {"a": "1"}
    with pytest.raises(Conflict):
        live.apply("you", {"spec": {"selector": {"a": "1", "c": "1"}}})


def test_finalizers_are_a_set() -> None:
    live = Live(CONFIGMAP).apply("one", {"metadata": {"finalizers": ["a/b"]}})
    live.apply("two", {"metadata": {"finalizers": ["c/d"]}})
    assert live.object["metadata"]["finalizers"] == ["a/b", "c/d"]
    live.apply("one", {})
    assert live.object["metadata"]["finalizers"] == ["c/d"]


def test_a_container_that_another_added_stays() -> None:
    live = Live(POD).apply("me", {"spec": {"containers": [CONTAINER]}})
    injected = {"name": "sidecar", "image": "s"}
    live.update("injector", live.object | {"spec": {"containers": [CONTAINER, injected]}})
    live.apply("me", {"spec": {"containers": [CONTAINER | {"image": "b"}]}})
    assert live.object["spec"]["containers"] == [{"name": "c", "image": "b"}, injected]


def test_defaults_that_nobody_named_stay_when_a_field_beside_them_goes() -> None:
    live = Live(DEPLOYMENT).apply("me", deployment(replicas=3, paused=True))
    live.object["spec"]["revisionHistoryLimit"] = 10
    live.apply("me", deployment(paused=True))
    assert live.object["spec"] == {"paused": True, "revisionHistoryLimit": 10}


def test_an_object_from_before_managed_fields_has_a_manager_for_what_is_there() -> None:
    live = Live(CONFIGMAP)
    live.object = live._named({"data": {"a": "1"}})
    live.apply("me", {"data": {"b": "1"}})
    assert live.fields("before-first-apply", "Update") == {"f:data": {".": {}, "f:a": {}}}
    with pytest.raises(Conflict, match="before-first-apply"):
        live.apply("me", {"data": {"a": "2"}})


def test_kubectl_takes_over_what_client_side_apply_set() -> None:
    text = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":{"a":"1"}}'
    live = Live(CONFIGMAP).update(
        "kubectl-client-side-apply",
        {"metadata": {"annotations": {LAST_APPLIED_ANNOTATION: text}}, "data": {"a": "1", "b": "1"}},
    )
    with pytest.raises(Conflict):
        live.apply("other", {"data": {"a": "2"}})
    with pytest.raises(Conflict, match=r"1 conflict: .*\.data\.b"):
        live.apply("kubectl", {"data": {"a": "2", "b": "2"}})
    live.apply("kubectl", {"data": {"a": "2"}})
    assert live.object["data"] == {"a": "2", "b": "1"}
    assert '"a":"2"' in live.object["metadata"]["annotations"][LAST_APPLIED_ANNOTATION]


def test_applying_the_same_again_changes_nothing() -> None:
    config = {"metadata": {"labels": {"a": "b"}}, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}}
    live = Live(SERVICE).apply("me", config)
    before = live.object
    assert live.apply("me", config).object == before


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "Pod"}, "invalid object type: /v1, Kind=Pod"),
        ({"metadata": {"managedFields": []}}, "metadata.managedFields must be nil"),
    ],
)
def test_what_cant_be_applied_is_a_bad_request(config: Any, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        Live(CONFIGMAP).apply("me", config)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"foo": 1}, ".spec.foo: field not declared in schema"),
        (
            {"ports": [{"port": "a"}]},
            '.spec.ports[port="a",protocol="TCP"].port: expected numeric (int or float), got string',
        ),
        ({"type": 1}, ".spec.type: expected string, got &value.valueUnstructured{Value:1}"),
        ({"selector": ["a"]}, ".spec.selector: expected map, got &{[a]}"),
        ({"ports": {"a": 1}}, ".spec.ports: expected list, got &{map[a:1]}"),
        ({"publishNotReadyAddresses": "a"}, ".spec.publishNotReadyAddresses: expected boolean, got &{a}"),
        (
            {"ports": [{"port": 1}, {"port": 1}]},
            '.spec.ports: duplicate entries for key [port=1,protocol="TCP"]',
        ),
    ],
)
def test_what_doesnt_fit_the_type_is_told_in_upstreams_words(spec: Any, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        Live(SERVICE).apply("me", {"metadata": {"namespace": "n"}, "spec": spec})
    assert caught.value.code == 500
    assert caught.value.message == f"failed to create typed patch object (n/x; /v1, Kind=Service): {message}"


VALUES = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"), max_size=4)
STEPS = st.lists(st.tuples(st.sampled_from(["one", "two"]), st.booleans(), VALUES), max_size=6)


@given(STEPS)
def test_after_a_forced_apply_the_config_is_there_and_its_managers(
    steps: list[tuple[str, bool, dict[str, str]]],
) -> None:
    live = Live(CONFIGMAP).update("creator", {"data": {"a": "0"}})
    for manager, is_apply, data in steps:
        if is_apply:
            live.apply(manager, {"data": data}, force=True)
            assert (live.object.get("data") or {}).items() >= data.items()
            if data:
                assert _keys(live.fields(manager, "Apply")) == set(data)
        else:
            live.update(manager, {"data": data})
            assert (live.object.get("data") or {}) == data
        for entry in live.object["metadata"].get("managedFields") or []:
            assert _keys(entry["fieldsV1"]) <= set(live.object.get("data") or {})


def _keys(fields: Any) -> set[str]:
    return {field[2:] for field in fields.get("f:data", {}) if field != "."}


NESTED = custom_type(
    {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "map": {"type": "object", "additionalProperties": {"type": "string"}},
                    "set": {
                        "type": "array",
                        "x-kubernetes-list-type": "set",
                        "items": {"type": "string"},
                    },
                    "items": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["k"],
                        "items": {
                            "type": "object",
                            "properties": {
                                "k": {"type": "string"},
                                "v": {"type": "integer"},
                                "in": {"type": "object", "additionalProperties": {"type": "string"}},
                            },
                        },
                    },
                },
            }
        },
    }
)
THING = GroupVersionKind("example.com", "v1", "Thing")
_MAP = st.dictionaries(st.sampled_from("ab"), st.just("1"), min_size=1)
_ITEM = st.fixed_dictionaries({}, optional={"v": st.just(1), "in": _MAP})
_SPEC = st.fixed_dictionaries(
    {},
    optional={
        "map": _MAP,
        "set": st.lists(st.sampled_from("ab"), unique=True, min_size=1),
        "items": st.dictionaries(st.sampled_from("ab"), _ITEM, min_size=1).map(
            lambda items: [{"k": name, **item} for name, item in items.items()]
        ),
    },
)


@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), _SPEC), min_size=1, max_size=5))
def test_what_is_there_is_what_somebody_applies(steps: list[tuple[str, Any]]) -> None:
    """Whatever a manager doesn't name any more goes: fields, members of sets, items, and what is in items."""
    live = Live(THING, known=NESTED)
    wanted: dict[str, set[tuple[str, ...]]] = {}
    for manager, spec in steps:
        live.apply(manager, {"spec": spec})
        wanted[manager] = _named(spec)
    assert _named(live.object.get("spec") or {}) == set().union(*wanted.values())


def _named(spec: Any) -> set[tuple[str, ...]]:
    """The leaves of such a spec."""
    found: set[tuple[str, ...]] = {("map", name) for name in spec.get("map") or ()}
    found |= {("set", each) for each in spec.get("set") or ()}
    for item in spec.get("items") or ():
        found.add(("items", item["k"]))
        found |= {("items", item["k"], "v")} if "v" in item else set()
        found |= {("items", item["k"], "in", name) for name in item.get("in") or ()}
    return found


def test_managers_are_told_of_conflicts_level_by_level() -> None:
    """As upstream lists them: what is at a level itself before what is below it."""
    spec = {"containers": [CONTAINER], "nodeSelector": {"a": "1"}}
    live = Live(DEPLOYMENT).apply("you", deployment(replicas=1, template={"spec": spec}))
    spec = {"containers": [CONTAINER | {"image": "b"}], "nodeSelector": {"a": "2"}}
    with pytest.raises(Conflict) as caught:
        live.apply("me", deployment(replicas=2, template={"spec": spec}))
    assert caught.value.message.splitlines()[1:] == [
        "- .spec.replicas",
        "- .spec.template.spec.nodeSelector",
        '- .spec.template.spec.containers[name="c"].image',
    ]


NAMES = st.lists(st.sampled_from("abcde"), unique=True, max_size=5)


@given(NAMES, NAMES)
def test_a_merged_list_has_all_and_the_configs_in_their_order(live: list[str], wanted: list[str]) -> None:
    pod = Live(POD).update("other", {"spec": {"containers": [{"name": name} for name in live]}})
    pod.apply("me", {"spec": {"containers": [{"name": name} for name in wanted]}})
    names = [container["name"] for container in pod.object["spec"].get("containers") or []]
    assert sorted(names) == sorted({*live, *wanted})
    assert [name for name in names if name in wanted] == wanted
