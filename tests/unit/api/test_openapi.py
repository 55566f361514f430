from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from wellhead.api.definitions import RawDefinitions
from wellhead.api.meta import Obj
from wellhead.api.openapi import group_paths, openapi_v2, openapi_v3, openapi_v3_index
from wellhead.api.resources import RESOURCES


def v3(group_path: str) -> Obj:
    document = openapi_v3(group_path)
    assert document is not None
    return document


def refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for part in value.values():
            yield from refs(part)
    elif isinstance(value, list):
        for part in value:
            yield from refs(part)


def resolve(document: Obj, ref: str) -> Any:
    value: Any = document
    for part in ref.removeprefix("#/").split("/"):
        value = value[part]
    return value


@pytest.mark.parametrize("path", ["v2", *group_paths()])
def test_every_reference_leads_somewhere(path: str) -> None:
    document = openapi_v2() if path == "v2" else v3(path)
    for ref in set(refs(document)):
        assert isinstance(resolve(document, ref), dict)


def test_no_json_schema_is_left() -> None:
    for document in (openapi_v2(), v3("api/v1")):
        text = str(document)
        assert "$defs" not in text
        assert "'null'" not in text
        assert "'additionalProperties': False" not in text


def test_service_spec_as_kubectl_explain_reads_it() -> None:
    document = v3("api/v1")
    get = document["paths"]["/api/v1/namespaces/{namespace}/services/{name}"]["get"]
    assert get["x-kubernetes-group-version-kind"] == {"group": "", "version": "v1", "kind": "Service"}
    service = resolve(document, get["responses"]["200"]["content"]["application/json"]["schema"]["$ref"])
    assert service["x-kubernetes-group-version-kind"] == [{"group": "", "version": "v1", "kind": "Service"}]
    spec = resolve(document, service["properties"]["spec"]["allOf"][0]["$ref"])
    assert spec["properties"]["clusterIP"]["type"] == "string"
    assert spec["properties"]["ports"]["x-kubernetes-patch-merge-key"] == "port"


@pytest.mark.parametrize(
    "resource", [r for r in RESOURCES if "patch" in r.verbs], ids=lambda resource: str(resource.gvk)
)
def test_patch_of_every_kind_knows_field_validation(resource: Any) -> None:
    group_path = f"apis/{resource.api_version}" if resource.group else f"api/{resource.version}"
    document = v3(group_path)
    patch = document["paths"][resource.path("{namespace}", "{name}")]["patch"]
    assert {"fieldValidation", "dryRun", "force"} <= {each["name"] for each in patch["parameters"]}


def test_operation_ids_are_unique() -> None:
    found = Counter(
        operation["operationId"]
        for methods in openapi_v2()["paths"].values()
        for method, operation in methods.items()
        if method != "parameters"
    )
    assert max(found.values()) == 1


def test_index_leads_to_every_group() -> None:
    paths = openapi_v3_index()["paths"]
    assert paths["apis/apps/v1"]["serverRelativeURL"].startswith("/openapi/v3/apis/apps/v1?hash=")
    assert set(paths) == set(group_paths())
    assert openapi_v3("apis/none/v1") is None


def test_values_that_a_field_may_have_are_listed() -> None:
    pod, service = "io.k8s.api.core.v1.PodSpec", "io.k8s.api.core.v1.ServiceSpec"
    for schemas in (v3("api/v1")["components"]["schemas"], openapi_v2()["definitions"]):
        assert schemas[pod]["properties"]["restartPolicy"]["enum"] == ["Always", "Never", "OnFailure"]
        assert schemas[service]["properties"]["ipFamilies"]["items"]["enum"] == ["", "IPv4", "IPv6"]


def test_defaults_are_what_go_has_where_nothing_was_sent() -> None:
    schemas = v3("api/v1")["components"]["schemas"]

    def defaults(kind: str) -> Obj:
        properties = schemas[f"io.k8s.api.core.v1.{kind}"]["properties"]
        return {name: each["default"] for name, each in properties.items() if "default" in each}

    assert defaults("ContainerPort") == {"containerPort": 0, "protocol": "TCP"}
    assert defaults("Container") == {"name": "", "resources": {}}
    assert defaults("PodList") == {"metadata": {}}
    assert defaults("SecretKeySelector") == {"key": "", "name": ""}
    assert defaults("HTTPGetAction") == {}
    assert "default" not in openapi_v2()["definitions"]["io.k8s.api.core.v1.Container"]["properties"]["name"]


def test_answers_are_told_with_their_codes() -> None:
    document, old = v3("api/v1")["paths"], openapi_v2()["paths"]
    path = "/api/v1/namespaces/{namespace}/pods"
    for methods, codes in (
        (document[path], {"get": "200 401", "post": "200 201 202 401", "delete": "200 401"}),
        (old[f"{path}/{{name}}"], {"put": "200 201 401", "patch": "200 201 401", "delete": "200 202 401"}),
    ):
        assert {verb: " ".join(methods[verb]["responses"]) for verb in codes} == codes
    assert document[path]["get"]["responses"]["401"] == {"description": "Unauthorized"}
    assert "application/json;stream=watch" in document[path]["get"]["responses"]["200"]["content"]
    assert "required" not in document[path]["delete"]["requestBody"]


def test_every_enumeration_has_its_field() -> None:
    known = RawDefinitions()
    for line in files("wellhead.api.openapi").joinpath("enums.txt").read_text().splitlines():
        name, *fields = line.split("\t")
        if name in known:
            properties = known[name]["properties"]
            assert {field.partition("=")[0] for field in fields} <= properties.keys()
