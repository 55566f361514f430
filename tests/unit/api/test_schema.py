import pytest

from wellhead.api.errors import BadRequest
from wellhead.api.meta import GroupVersionKind, Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import (
    CONFIGMAPS,
    DEPLOYMENTS,
    ENDPOINTSLICES,
    LEASES,
    PODS,
    RESOURCES,
    SECRETS,
    SERVICES,
)
from wellhead.api.schema import decode, decode_metadata

POD: Obj = {
    "metadata": {"name": "x", "creationTimestamp": None},
    "spec": {"containers": [{"name": "a", "foo": 1, "ports": [{"containerPort": 80}]}], "bar": 2},
}


def refusal(resource: Resource, body: object) -> str:
    with pytest.raises(BadRequest) as refused:
        decode(body, resource.gvk)
    return refused.value.message


def test_unknown_fields_are_refused_when_strict() -> None:
    with pytest.raises(BadRequest) as refused:
        decode(POD, PODS.gvk, "Strict")
    assert refused.value.message == (
        'Pod in version "v1" cannot be handled as a Pod: strict decoding error: '
        'unknown field "spec.bar", unknown field "spec.containers[0].foo"'
    )


def test_unknown_fields_are_pruned_with_or_without_a_warning() -> None:
    warned = decode(POD, PODS.gvk, "Warn")
    assert warned.warnings == ('unknown field "spec.bar"', 'unknown field "spec.containers[0].foo"')
    ignored = decode(POD, PODS.gvk, "Ignore")
    assert ignored.warnings == ()
    assert warned.object == ignored.object
    container = {"name": "a", "ports": [{"containerPort": 80}], "resources": {}}
    assert ignored.object["spec"] == {"containers": [container]}


def test_an_unknown_field_that_is_null_is_told_too() -> None:
    body: Obj = {"spec": {"nothing": None}}
    assert decode(body, PODS.gvk, "Warn").warnings == ('unknown field "spec.nothing"',)


def test_of_many_unknown_fields_a_hundred_are_told() -> None:
    body: Obj = {"spec": {"containers": [{"name": "c", "x": number} for number in range(12_000)]}}
    decoded = decode(body, PODS.gvk, "Warn")
    assert len(decoded.warnings) == 100
    assert decoded.object["spec"]["containers"][-1] == {"name": "c", "resources": {}}


def test_the_body_is_left_alone_and_nulls_vanish() -> None:
    decoded = decode(POD, PODS.gvk).object
    assert decoded["metadata"] == {"name": "x"}
    assert POD["spec"]["bar"] == 2


def test_empty_lists_and_maps_vanish_as_in_go() -> None:
    body: Obj = {
        "metadata": {
            "name": "x",
            "labels": {},
            "annotations": {},
            "finalizers": [],
            "ownerReferences": [],
        },
        "spec": {
            "selector": {},
            "externalIPs": [],
            "loadBalancerSourceRanges": [],
            "sessionAffinityConfig": {},
        },
    }
    decoded = decode(body, SERVICES.gvk).object
    assert decoded["metadata"] == {"name": "x"}
    assert decoded["spec"] == {"sessionAffinityConfig": {}}


def test_null_in_a_list_or_map_is_the_zero_of_its_type_as_in_go() -> None:
    spec = {
        "containers": [{"args": [None, "a"], "resources": {"limits": {"cpu": None}}, "ports": [None]}],
        "securityContext": {"supplementalGroups": [None]},
    }
    body = {"metadata": {"labels": {"a": None}, "ownerReferences": [None]}, "spec": spec}
    decoded = decode(body, PODS.gvk).object
    assert decoded["metadata"] == {
        "labels": {"a": ""},
        "ownerReferences": [{"apiVersion": "", "kind": "", "name": "", "uid": ""}],
    }
    [container] = decoded["spec"]["containers"]
    assert container["args"] == ["", "a"]
    assert container["resources"] == {"limits": {"cpu": "0"}}
    assert container["ports"] == [{"containerPort": 0}]
    assert decoded["spec"]["securityContext"] == {"supplementalGroups": [0]}


def test_empty_structs_and_required_lists_stay() -> None:
    spec = {"containers": [], "volumes": [{"name": "v", "emptyDir": {}}], "nodeSelector": {}}
    affinity: Obj = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}}
    decoded = decode({"spec": {**spec, "affinity": affinity}}, PODS.gvk).object
    assert decoded["spec"] == {
        "containers": [],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "affinity": {"podAntiAffinity": {}},
    }
    fields = [{"manager": "m", "fieldsV1": {"f:metadata": {"f:labels": {}}}}]
    assert (
        decode({"metadata": {"managedFields": fields}}, PODS.gvk).object["metadata"]["managedFields"]
        == fields
    )


def test_an_empty_slice_has_its_lists() -> None:
    body: Obj = {"endpoints": [], "ports": []}
    assert decode(body, ENDPOINTSLICES.gvk).object.items() > body.items()


def test_kind_and_version_are_filled_in_and_must_match() -> None:
    empty = decode({}, PODS.gvk).object
    assert (empty["apiVersion"], empty["kind"]) == ("v1", "Pod")
    assert "does not match the expected API version (v1)" in refusal(PODS, {"apiVersion": "apps/v1"})
    assert "cannot be handled as a Pod" in refusal(PODS, {"kind": "Service"})


@pytest.mark.parametrize(
    ("resource", "body", "message"),
    [
        (
            DEPLOYMENTS,
            {"spec": {"replicas": "3"}},
            'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string '
            "into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            CONFIGMAPS,
            {"data": {"a": 1}},
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into '
            "Go struct field ConfigMap.data of type string",
        ),
        (
            PODS,
            {"spec": {"containers": {}}},
            'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal object into '
            "Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            PODS,
            {"spec": {"containers": [{"env": [{"name": "a", "value": 1}]}]}},
            'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number into '
            "Go struct field EnvVar.spec.containers.env.value of type string",
        ),
        (
            SERVICES,
            {"spec": {"ports": [{"port": 99999999999}]}},
            'Service in version "v1" cannot be handled as a Service: json: cannot unmarshal number '
            "99999999999 into Go struct field ServicePort.spec.ports.port of type int32",
        ),
        (
            SECRETS,
            {"data": {"a": "*"}},
            'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 0',
        ),
    ],
)
def test_wrong_types_are_said_as_go_says_them(resource: Resource, body: Obj, message: str) -> None:
    assert refusal(resource, body) == message


def test_int_or_string_and_quantities_take_both() -> None:
    for target in (80, "http"):
        decode({"spec": {"ports": [{"port": 80, "targetPort": target}]}}, SERVICES.gvk, "Strict")
    for amount in (1, 0.5, "100m"):
        limits = {"resources": {"limits": {"cpu": amount}}}
        decode({"spec": {"containers": [{"name": "a", **limits}]}}, PODS.gvk, "Strict")


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: str(resource.gvk))
def test_every_served_kind_has_a_schema(resource: Resource) -> None:
    assert decode({"metadata": {"name": "a"}}, resource.gvk, "Strict").object["kind"] == resource.kind


@pytest.mark.parametrize(
    "gvk",
    [
        GroupVersionKind("autoscaling", "v1", "Scale"),
        GroupVersionKind("", "v1", "Binding"),
        GroupVersionKind("policy", "v1", "Eviction"),
        GroupVersionKind("authentication.k8s.io", "v1", "TokenRequest"),
        GroupVersionKind("", "v1", "DeleteOptions"),
    ],
    ids=str,
)
def test_the_kinds_of_subresources_have_a_schema(gvk: GroupVersionKind) -> None:
    assert decode({}, gvk, "Strict").object["apiVersion"] == gvk.api_version


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05Z"),
        ("2026-01-02T05:04:05.678+02:00", "2026-01-02T03:04:05Z"),
    ],
)
def test_a_moment_is_written_in_utc_whatever_zone_it_came_in(sent: str, written: str) -> None:
    body = {"metadata": {"name": "x", "creationTimestamp": sent}}
    assert decode(body, PODS.gvk).object["metadata"]["creationTimestamp"] == written
    custom = decode_metadata({"name": "x", "creationTimestamp": sent})
    assert custom["creationTimestamp"] == written


def test_a_lease_counts_microseconds() -> None:
    spec = {"acquireTime": "2026-01-02T05:04:05.500000+02:00", "renewTime": "2026-01-02T03:04:05.000001Z"}
    lease = decode({"spec": spec}, LEASES.gvk).object
    assert lease["spec"] == {
        "acquireTime": "2026-01-02T03:04:05.500000Z",
        "renewTime": "2026-01-02T03:04:05.000001Z",
    }


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("2026-01-02T03:04:05Z", 'cannot parse "Z" as ".000000"'),
        ("2026-01-02T03:04:05.5Z", 'cannot parse ".5Z" as ".000000"'),
        ("2026-01-02T03:04:05.1234567Z", 'cannot parse "7Z" as "Z07:00"'),
    ],
)
def test_microseconds_have_six_digits_as_go_reads_them(sent: str, said: str) -> None:
    assert said in refusal(LEASES, {"spec": {"renewTime": sent}})


def test_base64_may_be_wrapped_into_lines() -> None:
    data = {"a": "YWJj\nZGVm\n", "b": "YQ=="}
    assert decode({"data": data}, SECRETS.gvk).object["data"] == {"a": "YWJjZGVm", "b": "YQ=="}
    assert "illegal base64 data" in refusal(SECRETS, {"data": {"a": "YWJj ZGVm"}})
