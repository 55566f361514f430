"""APIServices: this server's own are listed, others' are asked as the user who asks."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec
import pytest
from aiohttp import web

from tests.integration.apiserver.cluster import User
from tests.integration.apiserver.objects import CONFIGMAPS, NAMESPACES
from tests.integration.apiserver.pki import Pki
from tests.patience import reached
from wellhead.api.meta import Obj, condition

APISERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
GROUP = "/apis/fruits.example.com"
RESOURCES: Obj = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": "fruits.example.com/v1",
    "resources": [
        {
            "name": "pears",
            "singularName": "pear",
            "kind": "Pear",
            "namespaced": True,
            "verbs": ["get", "list"],
        },
        {"name": "pears/status", "singularName": "", "kind": "Pear", "namespaced": True, "verbs": ["get"]},
    ],
}


OPENAPI: Obj = {
    "swagger": "2.0",
    "paths": {
        f"{GROUP}/v1/namespaces/{{namespace}}/pears": {
            "get": {"responses": {"200": {"schema": {"$ref": "#/definitions/com.example.PearList"}}}}
        },
        "/apis/others.example.com/v1/": {},
        "/version/": {},
    },
    "definitions": {
        "com.example.PearList": {
            "properties": {
                "items": {"type": "array", "items": {"$ref": "#/definitions/com.example.Pear"}},
                "metadata": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"},
            }
        },
        "com.example.Pear": {"type": "object"},
        "com.example.Unused": {"type": "object"},
        "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta": {"description": "another"},
    },
}


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    """Says by WebSocket who it is told to be, then what it hears."""
    socket = web.WebSocketResponse(protocols=["pears"])
    await socket.prepare(request)
    await socket.send_str(request.headers.get("X-Remote-User", ""))
    async for message in socket:
        await socket.send_str(str(message.data))
    return socket


@dataclass
class Backend:
    """A server of a group of its own; it remembers who asked it what."""

    port: int = 0
    ca: str = ""
    healthy: bool = True
    asked: list[tuple[str, str, dict[str, list[str]]]] = field(default_factory=list)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self.healthy:
            return web.Response(status=500)
        if request.path == f"{GROUP}/v1":
            return web.json_response(RESOURCES)
        if request.path == "/openapi/v2":
            return web.json_response(OPENAPI, headers={"ETag": '"1"'})
        if request.headers.get("Upgrade") == "websocket":
            return await echo(request)
        headers: dict[str, list[str]] = {}
        for name, value in request.headers.items():
            if name.lower().startswith(("x-remote", "authorization", "impersonate")):
                headers.setdefault(name.lower(), []).append(value)
        if (content_type := request.headers.get("Content-Type")) is not None:
            headers["content-type"] = [content_type]
        certificate = request.get_extra_info("peercert") or {}
        headers["certificate"] = [pair[0][1] for pair in certificate.get("subject", ())]
        self.asked.append((request.method, request.raw_path, headers))
        if request.query.get("elsewhere"):
            return web.Response(status=302, headers={"Location": "https://192.0.2.1/"})
        if request.query.get("watch"):
            response = web.StreamResponse()
            await response.prepare(request)
            for number in range(2):
                await response.write(msgspec.json.encode({"type": "ADDED", "object": {"n": number}}) + b"\n")
            return response
        body = await request.read()
        return web.json_response({"kind": "Pear", "got": body.decode()}, status=201 if body else 200)


@pytest.fixture
async def backend(pki: Pki) -> AsyncIterator[Backend]:
    pki.issue("fruits", "fruits", server=True, names=("fruits.default.svc",))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pki.directory / "ca.crt"))
    tls.load_cert_chain(pki.directory / "fruits.crt", pki.directory / "fruits.key")
    tls.verify_mode = ssl.CERT_OPTIONAL
    found = Backend(ca=base64.b64encode((pki.directory / "ca.crt").read_bytes()).decode())
    runner = web.ServerRunner(web.Server(found.handle), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        found.port = runner.addresses[0][1]
        yield found
    finally:
        await runner.cleanup()


async def register(admin: User, backend: Backend, **changed: object) -> None:
    external = {"metadata": {"name": "fruits"}, "spec": {"type": "ExternalName", "externalName": "localhost"}}
    await admin.create(f"{NAMESPACES}/default/services", external)
    spec = {
        "group": "fruits.example.com",
        "version": "v1",
        "groupPriorityMinimum": 1000,
        "versionPriority": 10,
        "caBundle": backend.ca,
        "service": {"name": "fruits", "namespace": "default", "port": backend.port},
    }
    await admin.create(APISERVICES, {"metadata": {"name": "v1.fruits.example.com"}, "spec": spec | changed})


async def available(admin: User, status: str) -> Obj:
    async def found() -> Obj | None:
        obj = await admin.get(f"{APISERVICES}/v1.fruits.example.com")
        entry = condition(obj, "Available")
        return entry if entry is not None and entry["status"] == status else None

    async def is_so() -> bool:
        return await found() is not None

    await reached(is_so)
    entry = await found()
    assert entry is not None
    return entry


async def test_what_this_server_serves_itself_is_listed(admin: User) -> None:
    items = {each["metadata"]["name"]: each for each in (await admin.get(APISERVICES))["items"]}
    groups = await admin.get("/apis")
    wanted = {f"{v['version']}.{each['name']}" for each in groups["groups"] for v in each["versions"]}
    assert set(items) == wanted | {"v1."}
    apps = items["v1.apps"]
    assert apps["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "onstart"}
    assert (apps["spec"]["groupPriorityMinimum"], apps["spec"]["versionPriority"]) == (17800, 15)
    entry = condition(apps, "Available")
    assert entry is not None
    assert (entry["status"], entry["reason"]) == ("True", "Local")


async def test_another_servers_group_is_asked_as_the_user(admin: User, backend: Backend) -> None:
    await register(admin, backend)
    assert (await available(admin, "True"))["reason"] == "Passed"
    path = f"{GROUP}/v1/namespaces/default/pears/a%2Fb?x=1&x=2"
    headers = {"Impersonate-User": "bob", "Impersonate-Extra-Scopes": "s", "X-Remote-User": "root"}
    rule = {"verbs": ["get"], "apiGroups": ["fruits.example.com"], "resources": ["pears"]}
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    await admin.create(f"{rbac}/clusterroles", {"metadata": {"name": "pears"}, "rules": [rule]})
    refused = (await admin.call("GET", path, headers=headers)).expect(403)
    assert 'cannot get resource "pears" in API group "fruits.example.com"' in refused["message"]
    role = {"kind": "ClusterRole", "name": "pears"}
    binding = {"metadata": {"name": "pears"}, "roleRef": role, "subjects": [{"kind": "User", "name": "bob"}]}
    await admin.create(f"{rbac}/clusterrolebindings", binding)
    assert (await admin.call("GET", path, headers=headers)).expect(200)["kind"] == "Pear"
    method, asked, sent = backend.asked[-1]
    assert (method, asked) == ("GET", path)
    assert sent == {
        "x-remote-user": ["bob"],
        "x-remote-group": ["system:authenticated"],
        "x-remote-extra-scopes": ["s"],
        "certificate": ["front-proxy"],
    }
    made = await admin.call("POST", f"{GROUP}/v1/namespaces/default/pears", {"a": 1})
    assert made.expect(201)["got"] == '{"a":1}'
    assert backend.asked[-1][2]["content-type"] == ["application/json"]


async def test_a_watch_passes_through(admin: User, backend: Backend) -> None:
    await register(admin, backend)
    await available(admin, "True")
    async with admin.watch(f"{GROUP}/v1/pears") as watch:
        assert [(await watch.next())[1] for _ in range(2)] == [{"n": 0}, {"n": 1}]


async def test_discovery_shows_another_servers_group(admin: User, backend: Backend) -> None:
    await register(admin, backend)
    await available(admin, "True")
    groups = (await admin.get("/apis"))["groups"]
    assert groups[-1]["preferredVersion"] == {"groupVersion": "fruits.example.com/v1", "version": "v1"}
    assert (await admin.get(GROUP))["name"] == "fruits.example.com"
    assert await admin.get(f"{GROUP}/v1") == RESOURCES
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    found = (await admin.call("GET", "/apis", headers={"Accept": accept})).expect(200)
    item = found["items"][-1]
    assert item["metadata"]["name"] == "fruits.example.com"
    [version] = item["versions"]
    assert version["freshness"] == "Current"
    [pears] = version["resources"]
    assert (pears["resource"], pears["scope"], pears["singularResource"]) == ("pears", "Namespaced", "pear")
    assert pears["subresources"][0]["subresource"] == "status"
    assert "apis/fruits.example.com/v1" in (await admin.get("/openapi/v3"))["paths"]


async def test_a_server_that_does_not_answer_is_unavailable(admin: User, backend: Backend) -> None:
    backend.healthy = False
    await register(admin, backend)
    entry = await available(admin, "False")
    assert entry["reason"] == "FailedDiscoveryCheck"
    assert entry["message"].startswith("bad status from https://fruits.default.svc:")
    answer = (await admin.call("GET", f"{GROUP}/v1/pears")).expect(503)
    assert (answer["message"], answer["reason"]) == ("service unavailable", "ServiceUnavailable")
    backend.healthy = True
    await available(admin, "True")
    await admin.get(f"{GROUP}/v1/pears")
    await admin.delete(f"{APISERVICES}/v1.fruits.example.com")
    (await admin.call("GET", f"{GROUP}/v1/pears")).expect(404)


async def test_a_server_sends_no_client_elsewhere(admin: User, backend: Backend) -> None:
    await register(admin, backend)
    await available(admin, "True")
    url = f"{admin.url}{GROUP}/v1/pears?elsewhere=1"
    async with admin.session.get(url, allow_redirects=False) as answer:
        assert answer.status == 502
        assert "Location" not in answer.headers
        assert "attempted to redirect" in await answer.text()


async def test_a_server_that_is_somebody_else_is_unavailable(admin: User, backend: Backend) -> None:
    await register(admin, backend, caBundle=None)
    assert "x509: certificate signed by unknown authority" in (await available(admin, "False"))["message"]
    patch = {"spec": {"insecureSkipTLSVerify": True}}
    await admin.patch(f"{APISERVICES}/v1.fruits.example.com", patch)
    await available(admin, "True")


async def test_a_service_that_is_missing_is_said(admin: User, backend: Backend) -> None:
    await register(admin, backend)
    await admin.delete(f"{NAMESPACES}/default/services/fruits")
    entry = await available(admin, "False")
    assert (entry["reason"], entry["message"]) == (
        "ServiceNotFound",
        'service/fruits in "default" is not present',
    )


async def test_other_servers_are_told_whom_to_believe(admin: User) -> None:
    path = f"{CONFIGMAPS.replace('default', 'kube-system')}/extension-apiserver-authentication"
    data = (await admin.get(path))["data"]
    assert data["requestheader-allowed-names"] == '["front-proxy"]'
    assert data["requestheader-username-headers"] == '["X-Remote-User"]'
    assert data["client-ca-file"].startswith("-----BEGIN CERTIFICATE-----")


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"version": "v2"}, "metadata.name"),
        ({"groupPriorityMinimum": 0}, "spec.groupPriorityMinimum"),
        ({"versionPriority": 1001}, "spec.versionPriority"),
        ({"service": None}, "spec.caBundle"),
        ({"service": {"name": "a"}}, "spec.service.namespace"),
        ({"insecureSkipTLSVerify": True}, "spec.insecureSkipTLSVerify"),
    ],
)
async def test_an_apiservice_is_validated(admin: User, changed: dict[str, object], field: str) -> None:
    spec = {
        "group": "x.example.com",
        "version": "v1",
        "groupPriorityMinimum": 100,
        "versionPriority": 10,
        "caBundle": "YQ==",
        "service": {"name": "a", "namespace": "b"},
    }
    body = {"metadata": {"name": "v1.x.example.com"}, "spec": spec | changed}
    status = (await admin.call("POST", APISERVICES, body)).expect(422)
    assert [each["field"] for each in status["details"]["causes"]] == [field]


async def test_upgrades_are_passed_on_as_the_user(admin: User, backend: Backend) -> None:
    await register(admin, backend)
    await available(admin, "True")
    url = f"{admin.url}{GROUP}/v1/namespaces/default/pears?watch=true"
    async with admin.session.ws_connect(url, protocols=["pears"]) as socket:
        assert socket.protocol == "pears"
        assert await socket.receive_str() == "kubernetes-admin"
        await socket.send_str("hello")
        assert await socket.receive_str() == "hello"


async def test_openapi_v2_has_its_paths_and_definitions(admin: User, backend: Backend) -> None:
    before = await admin.call("GET", "/openapi/v2")
    await register(admin, backend)
    await available(admin, "True")
    after = await admin.call("GET", "/openapi/v2")
    assert after.headers["ETag"] != before.headers["ETag"]
    assert after.body["paths"].keys() - before.body["paths"].keys() == {
        f"{GROUP}/v1/namespaces/{{namespace}}/pears"
    }
    new = after.body["definitions"].keys() - before.body["definitions"].keys()
    assert new == {"com.example.PearList", "com.example.Pear"}
    meta = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"
    assert after.body["definitions"][meta] == before.body["definitions"][meta]
    protobuf = {"Accept": "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"}
    async with admin.session.get(f"{admin.url}/openapi/v2", headers=protobuf) as answer:
        assert b"com.example.PearList" in await answer.read()
