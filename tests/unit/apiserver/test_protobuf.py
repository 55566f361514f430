"""Bodies in Protobuf become the objects that JSON would have given."""

from __future__ import annotations

import pytest

from wellhead.api.errors import BadRequest
from wellhead.api.resources import RESOURCES
from wellhead.apiserver.protobuf.decoding import decode_protobuf
from wellhead.apiserver.protobuf.messages import messages


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def body(api_version: str, kind: str, message: bytes) -> bytes:
    return b"k8s\x00" + field(1, field(1, api_version) + field(2, kind)) + field(2, message)


def metadata(**fields: object) -> bytes:
    return field(1, field(1, "a") + field(2, "") + field(7, 0) + field(8, b""))


def test_zero_values_are_left_out_unless_they_are_pointers() -> None:
    # replicas is a *int32, minReadySeconds an int32, paused a bool.
    spec = field(1, 0) + field(5, 0) + field(7, 0) + field(8, 0)
    obj = decode_protobuf(body("apps/v1", "Deployment", metadata() + field(2, spec) + field(3, b"")))
    assert obj == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a"},
        "spec": {"replicas": 0},
    }


def test_maps_lists_bytes_and_negative_numbers() -> None:
    labels = field(11, field(1, "x") + field(2, "y")) + field(11, field(1, "empty") + field(2, ""))
    data = field(2, field(1, "k") + field(2, b"\x00\xff"))
    secret = decode_protobuf(
        body("v1", "Secret", field(1, field(1, "a") + labels) + data + field(3, "Opaque"))
    )
    assert secret["metadata"]["labels"] == {"x": "y", "empty": ""}
    assert (secret["data"], secret["type"]) == ({"k": "AP8="}, "Opaque")
    options = decode_protobuf(body("v1", "DeleteOptions", field(1, -1) + field(4, "Foreground")))
    assert (options["gracePeriodSeconds"], options["propagationPolicy"]) == (-1, "Foreground")


def test_inline_structs_int_or_string_quantities_and_times() -> None:
    volume = field(1, "v") + field(2, field(2, b""))  # the source is inline; emptyDir is a pointer
    probe = field(1, field(2, field(1, "/x") + field(2, field(1, 1) + field(2, 0) + field(3, "web"))))
    resources = field(1, field(1, "cpu") + field(2, field(1, "1500m")))
    container = field(1, "c") + field(8, resources) + field(11, probe)
    spec = field(1, volume) + field(2, container)
    created = field(8, field(1, 86400) + field(2, 0))
    pod = decode_protobuf(body("v1", "Pod", field(1, field(1, "a") + created) + field(2, spec)))
    assert pod["metadata"]["creationTimestamp"] == "1970-01-02T00:00:00Z"
    assert pod["spec"]["volumes"] == [{"name": "v", "emptyDir": {}}]
    (found,) = pod["spec"]["containers"]
    assert found["readinessProbe"] == {"httpGet": {"path": "/x", "port": "web"}}
    assert found["resources"] == {"limits": {"cpu": "1500m"}}


def test_named_lists_aremessages() -> None:
    spec = field(3, "u") + field(5, field(1, "k") + field(2, field(1, "a") + field(1, "b")))
    review = body("authorization.k8s.io/v1", "SubjectAccessReview", field(2, spec))
    assert decode_protobuf(review)["spec"] == {"user": "u", "extra": {"k": ["a", "b"]}}


def test_unknown_fields_are_skipped() -> None:
    message = metadata() + field(99, "x") + field(98, 7) + varint(97 << 3 | 1) + bytes(8)
    assert decode_protobuf(body("v1", "ConfigMap", message))["metadata"] == {"name": "a"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{}", "does not appear to be a protobuf message"),
        (b"k8s\x00\xff", "unexpected EOF"),
        (body("v1", "ConfigMap", b"\x0a\x05x"), "unexpected EOF"),
        (body("v1", "ConfigMap", b"\x0b"), "wire type 3"),
        (body("v1", "ConfigMap", field(1, 5)), "bytes were expected"),
        (body("v1", "ConfigMap", field(1, field(1, b"\xff"))), "not UTF-8"),
        (body("v1", "ConfigMap", b"\xff" * 12), "too long"),
        (body("example.com/v1", "Thing", b""), 'no kind "Thing" is registered for version "example.com/v1"'),
    ],
)
def test_what_is_no_such_body_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        decode_protobuf(data)


def test_unions_of_schemas() -> None:
    text = field(5, "string")
    schema = (
        field(5, "object")
        + field(8, field(1, b'{"a":1}'))
        + field(30, field(1, 1) + field(2, text))
        + field(20, field(1, b'"x"'))
        + field(29, field(1, "list") + field(2, field(24, field(1, text))))
        + field(29, field(1, "tuple") + field(2, field(24, field(2, text) + field(2, text))))
        + field(29, field(1, "closed") + field(2, field(30, field(1, 0))))
        + field(32, field(1, "k") + field(2, field(2, "needed")))
    )
    version = field(1, "v1") + field(4, field(1, schema)) + field(5, field(1, b""))
    definition = decode_protobuf(
        body("apiextensions.k8s.io/v1", "CustomResourceDefinition", metadata() + field(2, field(7, version)))
    )
    [found] = definition["spec"]["versions"]
    assert found["subresources"] == {"status": {}}
    assert found["schema"]["openAPIV3Schema"] == {
        "type": "object",
        "default": {"a": 1},
        "additionalProperties": {"type": "string"},
        "enum": ["x"],
        "properties": {
            "list": {"items": {"type": "string"}},
            "tuple": {"items": [{"type": "string"}, {"type": "string"}]},
            "closed": {"additionalProperties": False},
        },
        "dependencies": {"k": ["needed"]},
    }


def test_every_kind_that_can_be_written_can_be_sent_so() -> None:
    names = {
        f"{resource.group.partition('.')[0] or 'core'}/{resource.version}.{resource.kind}"
        for resource in RESOURCES
        if "create" in resource.verbs
    }
    assert names - messages().keys() == set()
