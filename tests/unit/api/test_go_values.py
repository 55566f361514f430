"""Objects pass through Go's types upstream: zeros that were sent vanish, and others are there unasked."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from wellhead.api.go_values import pointers
from wellhead.api.meta import Obj
from wellhead.api.resources import CONFIGMAPS, DEPLOYMENTS, EVENTS, LEASES, PODS, SERVICES
from wellhead.api.schema import blank_status, decode

_HOMES = {
    "apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.",
    "apiregistration": "io.k8s.kube-aggregator.pkg.apis.",
    "meta": "io.k8s.apimachinery.pkg.apis.",
}


def messages() -> dict[str, list[tuple[str, str]]]:
    """The table of Protobuf messages: name → fields with their types."""
    text = files("wellhead.apiserver.protobuf").joinpath("fields.txt").read_text()
    found = {}
    for line in text.splitlines():
        name, *entries = line.split(" ")
        fields = [entry.split(":") for entry in entries]
        found[name] = [(json, kind) for _, json, kind in fields]
    return found


def test_pointers_are_those_of_the_protobuf_messages() -> None:
    table = messages()

    def scalars(name: str) -> Iterator[str]:
        for json, kind in table[name]:
            if not json:
                yield from scalars(kind)
            elif kind in ("*int", "*bool", "*string", "*float"):
                yield json

    found = {}
    for name in table:
        home = _HOMES.get(name.partition("/")[0], "io.k8s.api.")
        if names := frozenset(scalars(name)):
            found[home + name.replace("/", ".")] = names
    assert pointers() == found


def test_a_zero_that_go_cannot_tell_from_nothing_vanishes() -> None:
    container: Obj = {
        "name": "a",
        "tty": False,
        "workingDir": "",
        "ports": [{"containerPort": 1, "hostPort": 0}],
    }
    spec: Obj = {"hostNetwork": False, "nodeName": "", "containers": [container]}
    decoded = decode({"metadata": {"name": "a", "generateName": ""}, "spec": spec}, PODS.gvk).object
    assert decoded["metadata"] == {"name": "a"}
    assert decoded["spec"] == {
        "containers": [{"name": "a", "ports": [{"containerPort": 1}], "resources": {}}],
    }


def test_a_zero_behind_a_pointer_stays() -> None:
    spec: Obj = {"replicas": 0, "paused": False, "minReadySeconds": 0, "revisionHistoryLimit": 0}
    decoded = decode({"spec": spec}, DEPLOYMENTS.gvk).object["spec"]
    assert {name: decoded[name] for name in decoded if name in spec} == {
        "replicas": 0,
        "revisionHistoryLimit": 0,
    }
    assert decode({"spec": {"type": "", "loadBalancerClass": ""}}, SERVICES.gvk).object["spec"] == {
        "loadBalancerClass": ""
    }


def test_a_zero_of_a_map_is_a_value() -> None:
    assert decode({"data": {"a": ""}}, CONFIGMAPS.gvk).object["data"] == {"a": ""}


def test_what_is_held_by_value_is_always_there() -> None:
    assert decode({}, LEASES.gvk).object["spec"] == {}
    condition = decode({"status": {"conditions": [{"type": "Ready"}]}}, PODS.gvk).object["status"]
    assert condition["conditions"] == [
        {"type": "Ready", "status": "", "lastProbeTime": None, "lastTransitionTime": None}
    ]
    event = decode({"metadata": {"name": "a"}}, EVENTS.gvk).object
    assert event["involvedObject"] == event["source"] == {}
    assert (event["eventTime"], event["reportingComponent"]) == (None, "")


def test_a_new_status_is_what_go_writes_of_nothing() -> None:
    assert blank_status(SERVICES.gvk) == {"loadBalancer": {}}
    assert blank_status(PODS.gvk) == {}
