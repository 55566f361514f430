"""Whatever a request holds, the answer is the client's error, in words that can be printed."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.hostile.mangling import mangled
from tests.integration.apiserver.cluster import Answer, Cluster, User, serve
from tests.integration.apiserver.objects import (
    CONFIGMAPS,
    DEPLOYMENTS,
    NODES,
    PODS,
    configmap,
    deployment,
    node,
    pod,
    service_account,
)
from tests.integration.apiserver.pki import Pki
from tests.patience import PATIENCE
from wellhead.api.meta import Obj
from wellhead.apiserver.subresources import proxy

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"

sharing = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with serve(pki, tmp_path_factory.mktemp("filled")) as cluster:
        admin = await cluster.user()
        await admin.create(CONFIGMAPS, configmap("a"))
        await admin.create(ACCOUNTS, service_account())
        await admin.create(PODS, pod("x"))
        await admin.create(NODES, node("n"))
        bad = node("bad")
        bad["status"]["addresses"] = [{"address": "x"}, {"type": "InternalIP", "address": "a b/../\r\n"}]
        await admin.create(NODES, bad)
        status = {"status": {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}}
        await admin.patch(f"{PODS}/x/status", status)
        yield cluster


@pytest.fixture
def shared(filled: Cluster, calm: None) -> Cluster:
    """A server for requests that change nothing, with something to ask about."""
    return filled


async def _raw(cluster: Cluster, request: bytes) -> bytes:
    """What the server answers to these bytes, until it closes."""
    address = urlsplit(cluster.url)
    context: ssl.SSLContext = cluster.pki.client_context("admin")
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(address.hostname, address.port, ssl=context)
        writer.write(request)
        answer = await reader.read()
        writer.close()
    return answer


async def test_an_unknown_field_with_control_characters_is_a_warning(admin: User) -> None:
    body = {**configmap("a"), 'b\r\nSet-Cookie: x\x1b[31m"\u202e': 1}
    answer = await admin.call("POST", CONFIGMAPS, body)
    answer.expect(201)
    assert answer.headers.getall("Warning") == [
        '299 - "unknown field \\"b\\\\r\\\\nSet-Cookie: x\\\\x1b[31m\\\\\\"\\\\u202e\\""'
    ]
    strict = await admin.call("POST", CONFIGMAPS, body, query={"fieldValidation": "Strict"})
    assert "\x1b" not in strict.expect(400)["message"]


async def test_many_warnings_are_cut(admin: User) -> None:
    body = {**configmap("many"), **{f"{number}" + "x" * 1000: 1 for number in range(1000)}}
    answer = await admin.call("POST", CONFIGMAPS, body)
    answer.expect(201)
    warnings = answer.headers.getall("Warning")
    assert len(warnings) == 16
    assert sum(map(len, warnings)) < 8000


async def test_duplicate_fields_are_told_of_and_refused_when_strict(admin: User) -> None:
    text = b'{"metadata":{"name":"twice","name":"twice"},"data":{"a":"1","a":"2"}}'
    strict = await admin.call("POST", CONFIGMAPS, text, query={"fieldValidation": "Strict"})
    message = strict.expect(400)["message"]
    assert 'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: ' in message
    assert 'duplicate field "metadata.name"' in message
    assert 'duplicate field "data.a"' in message
    warned = await admin.call("POST", CONFIGMAPS, text)
    assert warned.expect(201)["data"] == {"a": "2"}
    assert '299 - "duplicate field \\"data.a\\""' in warned.headers.getall("Warning")
    patch = await admin.call(
        "PATCH",
        f"{CONFIGMAPS}/twice",
        b'{"data":{"a":"1","a":"3"}}',
        content_type="application/merge-patch+json",
        query={"fieldValidation": "Strict"},
    )
    assert 'strict decoding error: duplicate field "data.a"' in patch.expect(422)["message"]


async def test_a_compressed_body_is_not_unpacked(admin: User) -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    answer = await admin.call("POST", CONFIGMAPS, bomb, headers={"Content-Encoding": "gzip"})
    assert answer.expect(415)["reason"] == "UnsupportedMediaType"


async def test_an_object_has_a_largest_size(admin: User) -> None:
    annotations = {f"a{number}": "x" * 2000 for number in range(100)}
    body: Obj = {**configmap("large"), "data": {"a": "x" * 1_000_000}}
    body["metadata"]["annotations"] = annotations
    body["binaryData"] = {}
    (await admin.call("POST", CONFIGMAPS, body)).expect(201)
    large: Obj = pod("large", containers=[{"name": "c", "image": "c", "args": ["x" * 1_600_000]}])
    await admin.create(ACCOUNTS, service_account())
    for query in ({}, {"dryRun": "All"}):
        answer = (await admin.call("POST", PODS, large, query=query)).expect(413)
        assert "etcdserver: request is too large" in answer["message"]
    labels = {f"l{number}": "" for number in range(60_000)}
    assert (await admin.call("POST", CONFIGMAPS, configmap("labels", labels))).code == 413
    annotations["b"] = "x" * 100_000
    too_long = (await admin.call("PUT", f"{CONFIGMAPS}/large", body)).expect(422)
    assert "may not be more than 262144 bytes" in too_long["message"]


@pytest.mark.parametrize(
    ("method", "path", "query", "code"),
    [
        ("GET", CONFIGMAPS, "resourceVersion=²", 400),
        ("GET", CONFIGMAPS, "resourceVersion=-1", 400),
        ("GET", CONFIGMAPS, "resourceVersion=" + "9" * 5000, 400),
        ("GET", CONFIGMAPS, "watch=1&resourceVersion=٣", 400),
        ("GET", CONFIGMAPS, "limit=²", 400),
        ("GET", CONFIGMAPS, "limit=1_0", 400),
        ("GET", CONFIGMAPS, "limit=" + "9" * 30, 400),
        ("GET", CONFIGMAPS, "limit=9223372036854775807", 200),
        ("GET", CONFIGMAPS, "continue=%FF", 400),
        ("GET", CONFIGMAPS, "continue=²", 400),
        ("GET", CONFIGMAPS, "continue=" + "W1tb" * 1000, 400),
        ("GET", CONFIGMAPS, "labelSelector=a>²", 400),
        ("GET", CONFIGMAPS, "labelSelector=a>" + "9" * 60, 400),
        ("GET", CONFIGMAPS, "labelSelector=" + "%20" * 2500, 200),
        ("GET", CONFIGMAPS, "labelSelector=" + "a," * 200 + "a", 400),
        ("GET", CONFIGMAPS, "labelSelector=a in (" + "," * 3000, 400),
        ("GET", CONFIGMAPS, "fieldSelector=" + "metadata.name!=a," * 200, 400),
        ("GET", CONFIGMAPS, "fieldSelector=metadata.name=%5C", 400),
        ("GET", CONFIGMAPS, "fieldSelector=metadata.name=a=b", 400),
        ("GET", CONFIGMAPS, "&".join(f"a{n}" for n in range(1500)), 200),
        ("GET", f"{CONFIGMAPS}/%00", "", 404),
        ("GET", f"{CONFIGMAPS}/%ff%fe", "", 404),
        ("GET", f"{CONFIGMAPS}/%zz", "", 404),
        ("GET", "/api/v1/namespaces/%0d%0a/configmaps", "", 200),
        ("GET", "/api/v1/%1b[31m", "", 404),
        ("GET", "/apis/a/b/c/d/e/f/g", "", 404),
        ("GET", "//api/v1/pods", "", 404),
        ("DELETE", f"{CONFIGMAPS}/x", "gracePeriodSeconds=²", 400),
        ("DELETE", f"{CONFIGMAPS}/x", "propagationPolicy=x", 422),
        ("GET", f"{PODS}/x/log", "tailLines=²", 400),
        ("GET", f"{PODS}/x:99999/proxy/", "", 400),
        ("GET", f"{PODS}/x:http/proxy/", "", 400),
        ("GET", f"{PODS}/a:b:c:d/proxy/", "", 400),
        ("GET", f"{PODS}/x/proxy/%0d%0aX: y", "", 503),
        ("GET", f"{NODES}/n:22/proxy/", "", 400),
        ("GET", f"{NODES}/bad/proxy/", "", 503),
        ("TRACE", CONFIGMAPS, "", 405),
        ("PROPFIND", "/", "", 405),
    ],
)
@sharing
async def test_paths_and_queries(
    shared: Cluster,
    method: str,
    path: str,
    query: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(proxy, "check_address", lambda _: None)
    raw = f"{method} {path}{'?' if query else ''}{query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer = await _raw(shared, raw.replace("X: y", "X%3ay").encode())
    assert int(answer.split(b" ", 2)[1]) == code, answer
    assert b"\x1b" not in answer


DELETE_OPTIONS: list[object] = [
    {"gracePeriodSeconds": "1"},
    {"gracePeriodSeconds": True},
    {"gracePeriodSeconds": 1.5},
    {"gracePeriodSeconds": 1 << 70},
    {"propagationPolicy": ["x"]},
    {"propagationPolicy": {}},
    {"preconditions": "x"},
    {"preconditions": {"uid": {}}},
    {"preconditions": {"resourceVersion": 1}},
    {"dryRun": 1},
    {"dryRun": [["All"]]},
    {"dryRun": ["x"]},
    {"kind": ["DeleteOptions"]},
    {"kind": "Pod"},
    {"apiVersion": 1, "kind": {}},
    {"orphanDependents": "true"},
    [],
    "x",
    1,
]


@pytest.mark.parametrize("options", DELETE_OPTIONS, ids=str)
@sharing
async def test_delete_options(shared: Cluster, options: object) -> None:
    admin = await shared.user()
    answer = await admin.call("DELETE", f"{CONFIGMAPS}/a", options)
    assert answer.code in (400, 422), answer.body
    await admin.get(f"{CONFIGMAPS}/a")
    assert (await admin.call("DELETE", CONFIGMAPS, options)).code in (400, 422)


async def test_any_grace_period_can_be_waited_for(admin: User) -> None:
    await admin.create(ACCOUNTS, service_account())
    await admin.create(PODS, pod("a", nodeName="n", terminationGracePeriodSeconds=(1 << 63) - 1))
    await admin.create(PODS, pod("b", nodeName="n"))
    for name, options in (("a", None), ("b", {"gracePeriodSeconds": (1 << 63) - 1})):
        deleted = await admin.delete(f"{PODS}/{name}", options)
        assert deleted["metadata"]["deletionTimestamp"].startswith("20")


_BINDING: Obj = {"metadata": {"name": "p"}, "target": {"name": "n", "kind": "Node"}}
_EVICTION: Obj = {"metadata": {"name": "p"}, "deleteOptions": {"preconditions": {"uid": "x"}}}
_BOUND: Obj = {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": "u"}
_TOKEN: Obj = {"spec": {"audiences": ["a"], "expirationSeconds": 600, "boundObjectRef": _BOUND}}
_SELF_REVIEW: Obj = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
_PATH: Obj = {"verb": "get", "path": "/"}
_REVIEW: Obj = {"spec": {"user": "u", "groups": ["g"], "extra": {"a": ["b"]}, "nonResourceAttributes": _PATH}}
_STATUS: Obj = {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}], "conditions": [{"type": "Ready"}]}
_FINALIZE: Obj = {"metadata": {"name": "default"}, "spec": {"finalizers": ["a/b"]}}
BODIES: list[tuple[str, str, Obj]] = [
    ("PUT", f"{DEPLOYMENTS}/d/scale", {"metadata": {"name": "d"}, "spec": {"replicas": 1}}),
    ("POST", f"{PODS}/p/binding", _BINDING),
    ("POST", f"{PODS}/p/eviction", _EVICTION),
    ("POST", f"{ACCOUNTS}/default/token", _TOKEN),
    ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", _SELF_REVIEW),
    ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", _REVIEW),
    ("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {"namespace": "x"}}),
    ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "x", "audiences": ["y"]}}),
    ("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}),
    ("PUT", f"{PODS}/p/status", {"metadata": {"name": "p"}, "status": _STATUS}),
    ("PUT", "/api/v1/namespaces/default/finalize", _FINALIZE),
]


def assert_refused(answer: Answer, sent: object) -> None:
    """Or taken. What upstream answers with a plain error is a 500 without a reason."""
    assert answer.code < 500 or "reason" not in answer.body, (sent, answer.body)


@pytest.mark.parametrize(("method", "path", "body"), BODIES, ids=[f"{m} {p}" for m, p, _ in BODIES])
async def test_bodies_of_subresources_and_reviews(admin: User, method: str, path: str, body: Obj) -> None:
    await admin.create(ACCOUNTS, service_account())
    await admin.create(PODS, pod("p"))
    await admin.create(DEPLOYMENTS, deployment("d"))
    for bad in mangled(body):
        assert_refused(await admin.call(method, path, bad), bad)


@pytest.mark.parametrize("kind", ["json-patch", "merge-patch", "strategic-merge-patch"])
async def test_patches_of_anything(admin: User, kind: str) -> None:
    await admin.create(ACCOUNTS, service_account())
    await admin.create(PODS, pod("p"))
    body: Obj = {
        "metadata": {"name": "p", "finalizers": ["a/b"], "$deleteFromPrimitiveList/finalizers": ["a/b"]},
        "spec": {
            "$setElementOrder/containers": [{"name": "main"}],
            "$retainKeys": ["containers"],
            "containers": [{"name": "main", "$patch": "merge", "env": [{"name": "a", "$patch": "delete"}]}],
        },
    }
    patches = list(mangled(body))
    if kind == "json-patch":
        operations = [{"op": "copy", "from": "/spec", "path": "/metadata"}, {"op": "add", "path": "/a"}]
        whole = [each for each in mangled({"patch": operations}) if isinstance(each, dict)]
        patches = [each["patch"] for each in whole if "patch" in each]
    for patch in patches:
        answer = await admin.call(
            "PATCH", f"{PODS}/p", patch, content_type=f"application/{kind}+json", query={"dryRun": "All"}
        )
        assert_refused(answer, patch)


async def _with_header(cluster: Cluster, line: bytes, path: str = "/api/v1/nodes") -> int:
    head = f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n".encode()
    answer = await _raw(cluster, head + line + b"\r\n\r\n")
    return int(answer.split(b" ")[1])


@pytest.mark.parametrize("name", ["Impersonate-User", "Content-Type", "Accept", "Authorization", "X"])
@sharing
async def test_headers_that_are_not_text(shared: Cluster, name: str) -> None:
    assert await _with_header(shared, name.encode() + b": Bearer \xff") == 400


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"Accept: " + b"," * 4000, 200),
        (b"Accept: a;q=\xd9\xa3", 406),
        (b"Accept: application/json;q=nan", 200),
        (b"Accept: application/json;q=1_0", 200),
        (b"If-None-Match: \x01", 400),
        (b"Content-Length: \xc2\xb2", 400),
        (b"X: " + b"a" * 40_000, 400),
    ],
)
@sharing
async def test_headers_of_any_kind(shared: Cluster, line: bytes, code: int) -> None:
    assert await _with_header(shared, line) == code


async def test_a_handshake_that_is_none(admin: User, cluster: Cluster) -> None:
    await admin.create(ACCOUNTS, service_account())
    await admin.create(PODS, pod("p", nodeName="n"))
    await admin.create(NODES, node("n", 1))
    for protocols in ("a b", "\u0416", "," * 1000):
        line = f"Upgrade: websocket\r\nSec-WebSocket-Protocol: {protocols}".encode()
        # An agent that isn't there is a 500 upstream, too.
        assert await _with_header(cluster, line, f"{PODS}/p/exec?command=x&stdout=1") in (400, 500)
