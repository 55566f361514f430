"""A container's variables."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.unit.node import pods
from wellhead.node import downward
from wellhead.node.pods.environment import VariableError, expand, service_variables, variables
from wellhead.node.references import Reference

OBJECTS = {
    Reference("ConfigMap", "shop", "settings"): {"kind": "ConfigMap", "data": {"a": "1", "bad=name": "x"}},
    Reference("Secret", "shop", "key"): {
        "kind": "Secret",
        "data": {"pw": base64.b64encode(b"s3cret").decode()},
    },
}


async def _get(reference: Reference) -> dict[str, Any] | None:
    return OBJECTS.get(reference)


async def _variables(container: dict[str, Any]) -> dict[str, str]:
    known = {"SVC": "1.2.3.4"}
    return await variables(pods.pod(container), container, known, _get, {"memory": "64Mi"}, _read)


FILES = {("v", "p"): b"A='1'\n# B\n", ("v", "bad"): b"A\n"}


async def _read(volume: str, path: str) -> bytes:
    if (volume, path) not in FILES:
        raise FileNotFoundError(path)
    return FILES[volume, path]


async def test_a_variable_may_come_from_a_file_that_is_optional_if_it_is_said_to_be() -> None:
    def entry(name: str, path: str, key: str, **fields: Any) -> dict[str, Any]:
        reference = {"volumeName": "v", "path": path, "key": key, **fields}
        return {"name": name, "valueFrom": {"fileKeyRef": reference}}

    found = await _variables(
        pods.container(
            "main",
            env=[
                entry("X", "p", "A"),
                entry("Y", "p", "B", optional=True),
                entry("Z", "none", "B", optional=True),
                {"name": "REF", "value": "$(X)"},
            ],
        )
    )
    assert (found["X"], found["REF"]) == ("1", "1")
    assert not {"Y", "Z"} & found.keys()


def test_references_expand_and_unknown_ones_stay() -> None:
    known = {"A": "1", "B": "$(A)"}
    assert expand("$(A) $(B) $(C) $$(A) $$ $", known) == "1 $(A) $(C) $(A) $ $"


async def test_values_come_from_all_kinds_of_sources_and_the_spec_wins() -> None:
    found = await _variables(
        pods.container(
            "main",
            resources={"limits": {"cpu": "500m"}},
            envFrom=[{"prefix": "P_", "configMapRef": {"name": "settings"}}],
            env=[
                {"name": "SVC", "value": "mine"},
                {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
                {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "key", "key": "pw"}}},
                {"name": "URL", "value": "http://$(SVC)/$(P_a)"},
            ],
        )
    )
    assert found == {
        "SVC": "mine",
        "P_a": "1",
        "NAME": "web",
        "CPU": "1",
        "MEM": str(64 << 20),
        "PW": "s3cret",
        "URL": "http://mine/1",
    }


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "a"}}, 'configmap "none" not found'),
        ({"secretKeyRef": {"name": "key", "key": "none"}}, "couldn't find key none in Secret shop/key"),
        ({"fieldRef": {"fieldPath": "spec.nothing"}}, "unsupported fieldPath: spec.nothing"),
        ({"fileKeyRef": {"volumeName": "v", "path": "p", "key": "k"}}, 'key "k" not found in file "p"'),
        ({"fileKeyRef": {"volumeName": "v", "path": "none", "key": "k"}}, "file 'none' not found"),
        ({"fileKeyRef": {"volumeName": "v", "path": "bad", "key": "k"}}, "line 1: missing '='"),
        ({"newestKeyRef": {}}, "valueFrom.newestKeyRef is not supported"),
    ],
)
async def test_what_is_missing_is_named(source: dict[str, Any], message: str) -> None:
    with pytest.raises(VariableError, match=message):
        await _variables(pods.container("main", env=[{"name": "X", "valueFrom": source}]))


async def test_an_optional_source_may_be_missing() -> None:
    source = {"configMapKeyRef": {"name": "none", "key": "a", "optional": True}}
    found = await _variables(
        pods.container(
            "main",
            env=[{"name": "X", "valueFrom": source}],
            envFrom=[{"secretRef": {"name": "none", "optional": True}}],
        )
    )
    assert found == {"SVC": "1.2.3.4"}


def _service(name: str, namespace: str, ip: str, *ports: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": ip, "ports": ports}}


def test_services_of_the_pods_namespace_become_variables() -> None:
    services = [
        _service("kubernetes", "default", "10.0.0.1", {"name": "https", "port": 443, "protocol": "TCP"}),
        _service("my-db", "shop", "10.0.0.9", {"port": 5432}),
        _service("headless", "shop", "None", {"port": 1}),
        _service("other", "elsewhere", "10.0.0.8", {"port": 1}),
    ]
    found = service_variables(services, "shop", links=True)
    assert found["MY_DB_SERVICE_HOST"] == "10.0.0.9"
    assert found["MY_DB_PORT_5432_TCP"] == found["MY_DB_PORT"] == "tcp://10.0.0.9:5432"
    assert found["KUBERNETES_SERVICE_PORT_HTTPS"] == "443"
    assert not any(name.startswith(("HEADLESS", "OTHER")) for name in found)
    only = service_variables(services, "shop", links=False)
    assert {name.partition("_")[0] for name in only} == {"KUBERNETES"}


def test_labels_as_one_field_are_quoted_and_sorted() -> None:
    pod = pods.pod()
    pod["metadata"]["labels"] = {"b": 'say "hi"', "a": "1"}
    assert downward.field(pod, "metadata.labels") == 'a="1"\nb="say \\"hi\\""'
    assert downward.field(pod, "metadata.labels['b']") == 'say "hi"'


def test_a_resource_is_given_in_units_of_its_divisor_rounded_up() -> None:
    container = pods.container("main", resources={"requests": {"memory": "65Mi"}})
    reference = {"resource": "requests.memory", "divisor": "10Mi"}
    assert downward.resource(pods.pod(), container, reference, {}) == "7"
    with pytest.raises(downward.FieldError):
        downward.resource(pods.pod(), container, {"resource": "nothing"}, {})
