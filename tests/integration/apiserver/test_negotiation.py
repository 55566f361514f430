"""Forms of answers and bodies: JSON, YAML, tables, metadata only, compressed; discovery and health."""

from __future__ import annotations

import asyncio
import gzip
import os
import sys
from typing import Any

import aiohttp
import msgspec
import pytest
import yaml

from tests.integration.apiserver.cluster import Cluster, User
from tests.integration.apiserver.objects import CONFIGMAPS, DEPLOYMENTS, configmap, deployment
from wellhead.apiserver.negotiation import Format, media_ranges, object_format
from wellhead.apiserver.protobuf.decoding import decode_protobuf
from wellhead.apiserver.protobuf.messages import PROTOBUF

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


async def get(user: User, path: str, accept: str, **query: str) -> Any:
    return (await user.call("GET", path, headers={"Accept": accept}, query=query)).expect(200)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", Format()),
        ("*/*", Format()),
        ("application/yaml", Format("YAML")),
        (f"{TABLE},application/json", Format(projection="Table")),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", Format()),
        (f"{PROTOBUF},application/json", Format()),
        (f"{PROTOBUF},*/*", Format()),
        (PROTOBUF, Format("Protobuf")),
        (f"{PROTOBUF};as=Table;v=v1;g=meta.k8s.io,{METADATA}", Format(projection="PartialObjectMetadata")),
        (f"application/json;q=0.5,{TABLE};q=0.9", Format(projection="Table")),
        (METADATA, Format(projection="PartialObjectMetadata")),
    ],
)
def test_the_first_acceptable_form_is_taken(accept: str, expected: Format) -> None:
    assert object_format(accept) == expected


async def test_a_review_is_no_table(admin: User) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    body = {"spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}}
    for accept, code in ((TABLE, 406), (f"{TABLE},application/json", 201)):
        assert (await admin.call("POST", path, body, headers={"Accept": accept})).code == code


def test_alternatives_are_ordered_by_quality_then_place() -> None:
    found = [media.type for media in media_ranges("a/a;q=0.1, b/b, c/c, d/d;q=0")]
    assert found == ["b/b", "c/c", "a/a"]


async def test_nothing_acceptable_is_a_406(admin: User) -> None:
    answer = await admin.call("GET", CONFIGMAPS, headers={"Accept": "text/html"})
    assert answer.expect(406)["reason"] == "NotAcceptable"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "DELETE of all"])
async def test_a_write_that_cannot_be_answered_is_not_done(admin: User, method: str) -> None:
    body = await admin.create(CONFIGMAPS, configmap("a", x="1"))
    before = await admin.get(CONFIGMAPS)
    verb, _, of_all = method.partition(" ")
    path = CONFIGMAPS if of_all or verb == "POST" else f"{CONFIGMAPS}/a"
    sent = {"POST": configmap("b"), "PUT": body | {"data": {"x": "2"}}, "PATCH": {"data": {"x": "2"}}}
    merge = "application/merge-patch+json" if verb == "PATCH" else "application/json"
    answer = await admin.call(verb, path, sent.get(verb), content_type=merge, headers={"Accept": "text/html"})
    assert answer.code == 406
    assert (await admin.get(CONFIGMAPS))["items"] == before["items"]


async def test_errors_are_in_the_form_that_is_accepted(admin: User) -> None:
    answer = await admin.call("GET", f"{CONFIGMAPS}/none", headers={"Accept": "application/yaml"})
    assert answer.headers["Content-Type"] == "application/yaml"
    assert yaml.safe_load(answer.expect(404))["reason"] == "NotFound"
    status = await raw(admin, f"{CONFIGMAPS}/none")
    assert (status["kind"], status["code"]) == ("Status", 404)


async def test_what_is_deleted_is_answered_in_the_form_that_is_accepted(admin: User) -> None:
    await admin.create(CONFIGMAPS, configmap("a", x="1"))
    answer = await admin.call("DELETE", CONFIGMAPS, headers={"Accept": TABLE})
    assert [row["cells"][0] for row in answer.expect(200)["rows"]] == ["a"]


async def raw(user: User, path: str) -> Any:
    async with user.session.get(user.url + path, headers={"Accept": PROTOBUF}) as response:
        assert response.headers["Content-Type"] == PROTOBUF
        return decode_protobuf(await response.read())


async def test_protobuf_is_answered_to_who_takes_nothing_else(admin: User) -> None:
    await admin.create(CONFIGMAPS, configmap("a", x="1"))
    assert (await raw(admin, f"{CONFIGMAPS}/a"))["data"] == {"x": "1"}
    assert (await raw(admin, "/apis/apps/v1"))["groupVersion"] == "apps/v1"
    async with admin.session.get(
        admin.url + CONFIGMAPS, headers={"Accept": f"{PROTOBUF};stream=watch"}, params={"watch": "1"}
    ) as watch:
        assert watch.headers["Content-Type"] == f"{PROTOBUF};stream=watch"
        size = int.from_bytes(await watch.content.readexactly(4), "big")
        event = await watch.content.readexactly(size)
    assert event.startswith(b"\n\x05ADDED\x12")
    assert decode_protobuf(event[event.index(b"k8s\x00") :])["metadata"]["name"] == "a"
    table = await admin.call("GET", CONFIGMAPS, headers={"Accept": f"{PROTOBUF};as=Table;v=v1;g=meta.k8s.io"})
    assert table.code == 406


async def test_yaml_in_and_out(admin: User) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {when: '2020-01-01'}\n"
    answer = await admin.call(
        "POST", CONFIGMAPS, text, content_type="application/yaml", headers={"Accept": "application/yaml"}
    )
    assert answer.headers["Content-Type"] == "application/yaml"
    assert yaml.safe_load(answer.expect(201))["data"] == {"when": "2020-01-01"}
    bad = await admin.call("POST", CONFIGMAPS, b"a: [", content_type="application/yaml")
    assert bad.expect(400)["message"] == (
        "the object provided is unrecognized (must be of type ConfigMap): "
        "yaml: line 1: did not find expected node content (613a205b)"
    )
    other = await admin.call("POST", CONFIGMAPS, b"<a/>", content_type="application/xml")
    assert other.expect(415)["reason"] == "UnsupportedMediaType"


async def test_tables_of_one_of_many_and_in_a_watch(admin: User) -> None:
    for name in ("a", "b"):
        await admin.create(DEPLOYMENTS, deployment(name))
    table = await get(admin, DEPLOYMENTS, TABLE)
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [row["cells"][0] for row in table["rows"]] == ["a", "b"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert int(table["metadata"]["resourceVersion"]) > 0
    one = await get(admin, f"{DEPLOYMENTS}/a", TABLE, includeObject="Object")
    assert one["rows"][0]["object"]["spec"]["replicas"] == 1
    async with admin.watch(DEPLOYMENTS, accept=TABLE) as watch:
        (_, first), (_, second) = await watch.next(), await watch.next()
        assert first["columnDefinitions"]
        assert not second["columnDefinitions"]
        assert second["rows"][0]["cells"][0] == "b"


async def test_metadata_only(admin: User) -> None:
    await admin.create(CONFIGMAPS, configmap("a", x="1"))
    one = await get(admin, f"{CONFIGMAPS}/a", METADATA)
    assert (one["kind"], sorted(one)) == ("PartialObjectMetadata", ["apiVersion", "kind", "metadata"])
    many = await get(admin, CONFIGMAPS, METADATA_LIST)
    assert many["kind"] == "PartialObjectMetadataList"
    assert many["items"][0]["metadata"]["name"] == "a"
    async with admin.watch(CONFIGMAPS, accept=METADATA) as watch:
        _, obj = await watch.next()
        assert obj["kind"] == "PartialObjectMetadata"


async def test_large_answers_are_compressed(admin: User) -> None:
    await admin.create(CONFIGMAPS, configmap("a", x="x" * 200_000))
    async with admin.session.get(
        admin.url + CONFIGMAPS, headers={"Accept-Encoding": "gzip"}, auto_decompress=False
    ) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert msgspec.json.decode(gzip.decompress(await response.read()))["items"][0]["data"]


async def test_pretty_is_indented(admin: User) -> None:
    answer = await admin.call("GET", "/version", query={"pretty": "true"}, headers={"Accept": "*/*"})
    assert answer.expect(200)["major"] == "1"


async def test_discovery_in_both_forms_agrees(admin: User) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    for root in ("api", "apis"):
        answer = await admin.call("GET", f"/{root}", headers={"Accept": accept})
        assert answer.headers["Content-Type"].endswith("as=APIGroupDiscoveryList")
        for group in answer.expect(200)["items"]:
            for version in group["versions"]:
                name = group["metadata"].get("name")
                path = f"/apis/{name}/{version['version']}" if name else f"/api/{version['version']}"
                listed = {entry["name"] for entry in (await admin.get(path))["resources"]}
                found = set()
                for resource in version["resources"]:
                    found.add(resource["resource"])
                    found |= {
                        f"{resource['resource']}/{sub['subresource']}"
                        for sub in resource.get("subresources", ())
                    }
                assert found == listed
        cached = await admin.call(
            "GET", f"/{root}", headers={"Accept": accept, "If-None-Match": answer.headers["ETag"]}
        )
        assert cached.code == 304
    assert (await admin.get("/api"))["versions"] == ["v1"]
    groups = {group["name"] for group in (await admin.get("/apis"))["groups"]}
    assert {"apps", "discovery.k8s.io", "coordination.k8s.io"} <= groups
    assert (await admin.get("/apis/apps"))["preferredVersion"]["groupVersion"] == "apps/v1"
    assert "/api/v1" in (await admin.get("/"))["paths"]
    (await admin.call("GET", "/apis/none")).expect(404)
    (await admin.call("GET", "/apis/apps/v9")).expect(404)


async def test_openapi_documents_are_served_and_cacheable(admin: User) -> None:
    index = (await admin.get("/openapi/v3"))["paths"]
    path = index["apis/apps/v1"]["serverRelativeURL"]
    answer = await admin.call("GET", path)
    assert "io.k8s.api.apps.v1.Deployment" in answer.expect(200)["components"]["schemas"]
    assert "immutable" in answer.headers["Cache-Control"]
    cached = await admin.call("GET", path, headers={"If-None-Match": answer.headers["ETag"]})
    assert cached.code == 304
    plain = await admin.call("GET", path, headers={"Accept-Encoding": "identity"})
    assert plain.expect(200) == answer.body
    assert (await admin.get("/openapi/v2"))["swagger"] == "2.0"
    (await admin.call("GET", "/openapi/v3/apis/none/v1")).expect(404)
    (await admin.call("GET", "/openapi/v3", headers={"Accept": PROTOBUF})).expect(200)
    protobuf = {"Accept": "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"}
    async with admin.session.get(admin.url + index["api/v1"]["serverRelativeURL"], headers=protobuf) as sent:
        assert sent.headers["Content-Type"].endswith("spec.v3.v1.0+protobuf")
        assert (await sent.read()).startswith(b"\n\x053.0.0")


async def test_health_says_what_was_checked(admin: User) -> None:
    assert await admin.get("/readyz") == "ok"
    assert "[+]ping ok" in await admin.get("/readyz", verbose="")
    assert "ready" not in await admin.get("/livez", verbose="")
    (await admin.call("GET", "/readyz/none")).expect(404)


async def test_metrics_count_requests(admin: User) -> None:
    await admin.create(CONFIGMAPS, configmap("a"))
    text = await admin.get("/metrics")
    labels = 'group="",resource="configmaps",scope="namespace",subresource="",verb="CREATE",version="v1"'
    assert f'apiserver_request_total{{code="201",{labels}}} 1.0' in text
    assert f"apiserver_request_duration_seconds_count{{{labels}}} 1.0" in text
    # With the server's own, extension-apiserver-authentication.
    assert 'apiserver_storage_objects{resource="configmaps"} 2.0' in text


async def test_concurrent_requests_on_one_connection_stay_apart(cluster: Cluster, admin: User) -> None:
    names = [f"a{number}" for number in range(20)]
    connector = aiohttp.TCPConnector(ssl=cluster.pki.client_context("admin"), limit=1)
    async with aiohttp.ClientSession(connector=connector) as session:
        user = User(cluster.url, session)
        await asyncio.gather(*(user.create(CONFIGMAPS, configmap(name)) for name in names))
        found = await asyncio.gather(*(user.get(f"{CONFIGMAPS}/{name}") for name in names))
    assert [obj["metadata"]["name"] for obj in found] == names


_PYTHON_CLIENT = """
import sys
from kubernetes import client, config, watch
config.load_kube_config(sys.argv[1])
core, apps = client.CoreV1Api(), client.AppsV1Api()
labels = {"app": "a"}
container = client.V1Container(name="main", image="busybox")
template = client.V1PodTemplateSpec(
    metadata=client.V1ObjectMeta(labels=labels), spec=client.V1PodSpec(containers=[container])
)
spec = client.V1DeploymentSpec(
    replicas=2, selector=client.V1LabelSelector(match_labels=labels), template=template
)
body = client.V1Deployment(metadata=client.V1ObjectMeta(name="a"), spec=spec)
created = apps.create_namespaced_deployment("default", body)
assert created.spec.strategy.type == "RollingUpdate", created
apps.patch_namespaced_deployment_scale("a", "default", {"spec": {"replicas": 3}})
assert apps.read_namespaced_deployment("a", "default").spec.replicas == 3
port = client.V1ServicePort(port=80)
core.create_namespaced_service(
    "default",
    client.V1Service(
        metadata=client.V1ObjectMeta(name="a"),
        spec=client.V1ServiceSpec(type="NodePort", selector=labels, ports=[port]),
    ),
)
events = watch.Watch().stream(core.list_namespaced_service, "default", timeout_seconds=1)
assert sorted(e["object"].metadata.name for e in events) == ["a", "kubernetes"]
first = core.list_namespaced_service("default", limit=1)
assert core.list_namespaced_service("default", limit=1, _continue=first.metadata._continue).items
try:
    core.read_namespaced_pod("none", "default")
except client.ApiException as error:
    assert error.status == 404, error
assert core.delete_namespaced_service("a", "default").metadata.name == "a"
apps.delete_namespaced_deployment("a", "default")
assert not apps.list_namespaced_deployment("default").items
core.delete_collection_namespaced_config_map("default")
"""


async def test_the_python_client_works(cluster: Cluster) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _PYTHON_CLIENT,
        str(cluster.kubeconfig()),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(os.environ),
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
