"""logs, exec and attach: the API server stands between the client and the node's agent."""

from __future__ import annotations

import base64
import logging
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from tests.integration.apiserver.agent import Agent, running_agent
from tests.integration.apiserver.cluster import Cluster, User
from tests.integration.apiserver.objects import PODS, SERVICES, binding, node, pod, service, service_account
from tests.integration.apiserver.pki import Pki
from wellhead.apiserver.subresources import proxy


@pytest.fixture(autouse=True)
def on_loopback(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here pods and agents are where the proxy doesn't go, unless a test is about an `address`."""
    if "address" not in request.fixturenames:
        monkeypatch.setattr(proxy, "check_address", lambda _: None)


@pytest.fixture
async def agent(pki: Pki, admin: User) -> AsyncIterator[Agent]:
    """An agent for node-1, to which the pods `a` and `refused` are bound."""
    async with running_agent(pki) as agent:
        await admin.create("/api/v1/namespaces/default/serviceaccounts", service_account())
        await admin.create("/api/v1/nodes", node("node-1"))
        status = node("node-1", agent.port)["status"]
        await admin.patch("/api/v1/nodes/node-1/status", {"status": status})
        for name in ("a", "refused"):
            await admin.create(PODS, pod(name))
            await admin.create(f"{PODS}/{name}/binding", binding(name))
        await admin.patch(f"{PODS}/a/status", {"status": {"phase": "Running"}})
        yield agent


async def test_logs_pass_parameters_and_lines_through(admin: User, agent: Agent) -> None:
    text = await admin.get(f"{PODS}/a/log", tailLines="3", timestamps="true", pretty="true")
    assert text == "line 0\nline 1\nline 2\n"
    path, query = agent.requests[0]
    assert path == "/containerLogs/default/a/main"
    assert sorted(query) == [("tailLines", "3"), ("timestamps", "true")]


@pytest.mark.parametrize("protocol", ["binary.k8s.io", "base64.binary.k8s.io", ""])
async def test_logs_come_over_a_websocket_too(admin: User, agent: Agent, protocol: str) -> None:
    offered = [protocol] if protocol else []
    async with admin.session.ws_connect(f"{admin.url}{PODS}/a/log?tailLines=3", protocols=offered) as socket:
        assert (socket.protocol or "") == protocol
        received = [message.data async for message in socket]
    assert not received[0]  # it begins
    whole = [base64.b64decode(each) for each in received] if protocol.startswith("base64") else received
    assert b"".join(whole) == b"line 0\nline 1\nline 2\n"


async def test_logs_over_a_websocket_of_another_kind_are_refused(admin: User, agent: Agent) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await admin.session.ws_connect(f"{admin.url}{PODS}/a/log", protocols=["v4.channel.k8s.io"])
    assert refused.value.status == 400


async def test_what_the_agent_refuses_becomes_a_status(admin: User, agent: Agent) -> None:
    status = (await admin.call("GET", f"{PODS}/a/log", query={"previous": "true"})).expect(400)
    assert status["message"] == 'previous terminated container "main" in pod "a" not found'
    wrong = (await admin.call("GET", f"{PODS}/a/log", query={"container": "x"})).expect(400)
    assert wrong["message"] == "container x is not valid for pod a"
    bad = await admin.call("GET", f"{PODS}/a/log", query={"tailLines": "-1"})
    assert bad.code in (400, 422)


async def test_a_log_that_breaks_off_does_not_look_complete(
    admin: User, agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    agent.breaks_off = True
    with pytest.raises(aiohttp.ClientError):
        await admin.call("GET", f"{PODS}/a/log")
    with pytest.raises(aiohttp.ClientError):
        await admin.call("GET", "/api/v1/nodes/node-1/proxy/containerLogs/default/a/main")
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "broke off" in caplog.text


@pytest.mark.parametrize(
    "path", [f"{PODS}/a/log", "/api/v1/nodes/node-1/proxy/containerLogs/default/a/main", f"{PODS}?watch=true"]
)
async def test_a_client_that_leaves_early_is_no_error(
    admin: User, agent: Agent, path: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(response: web.StreamResponse, data: bytes) -> None:
        raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr(web.StreamResponse, "write", gone)
    caplog.set_level(logging.INFO)
    with pytest.raises(aiohttp.ClientError):
        await admin.call("GET", path)
    assert not [record for record in caplog.records if record.name != "aiohttp.access"]


async def test_an_agent_that_is_away_is_named(admin: User, agent: Agent) -> None:
    status = node("node-1", 1)["status"]
    await admin.patch("/api/v1/nodes/node-1/status", {"status": status})
    refused = (await admin.call("GET", f"{PODS}/a/log")).expect(500)
    why = "error dialing backend: dial tcp 127.0.0.1:1: connect: connection refused"
    assert refused["message"] == f"Internal error occurred: {why}: is the node's agent running?"
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
    answer = await admin.call("GET", f"{PODS}/a/exec?command=ls&stdout=true", headers=upgrade)
    assert "error dialing backend" in answer.expect(500)["message"]


async def test_exec_relays_both_ways(cluster: Cluster, admin: User, agent: Agent) -> None:
    url = f"{admin.url}{PODS}/a/exec?command=cat&command=-&stdin=true&stdout=true"
    async with admin.session.ws_connect(url, protocols=["v5.channel.k8s.io"]) as socket:
        assert socket.protocol == "v5.channel.k8s.io"
        for number in range(50):
            await socket.send_bytes(b"\x00line %d" % number)
            assert await socket.receive_bytes() == b"\x01LINE %d" % number
        await socket.send_bytes(b"\xff\x00")
        assert b"Success" in await socket.receive_bytes()
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    path, query = agent.requests[0]
    assert path == "/exec/default/a/main"
    assert query == [("command", "cat"), ("command", "-"), ("input", "1"), ("output", "1")]


async def test_a_client_that_goes_takes_the_agents_connection_with_it(admin: User, agent: Agent) -> None:
    url = f"{admin.url}{PODS}/a/attach?stdin=true&stdout=true"
    socket = await admin.session.ws_connect(url, protocols=["v4.channel.k8s.io"])
    await socket.send_bytes(b"\x00x")
    assert await socket.receive_bytes() == b"\x01X"
    await socket.close()
    assert agent.requests[0][0] == "/attach/default/a/main"


async def test_exec_needs_a_websocket_a_command_and_a_stream(admin: User, agent: Agent) -> None:
    for query, said in (
        ("command=ls&stdout=true", "Upgrade request required"),
        ("stdout=true", "at least one command"),
        ("command=ls", "at least 1 of stdin, stdout, stderr"),
    ):
        status = (await admin.call("POST", f"{PODS}/a/exec?{query}")).expect(400)
        assert said in status["message"]


async def test_a_refused_upgrade_says_why(admin: User, agent: Agent) -> None:
    url = f"{admin.url}{PODS}/refused/exec?command=ls&stdout=true"
    with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
        await admin.session.ws_connect(url, protocols=["v5.channel.k8s.io"])
    assert raised.value.status == 400


@pytest.mark.parametrize("protocol", ["websocket", "SPDY/3.1", ""])
async def test_whichever_protocol_is_asked_for_the_first_error_is_said(
    admin: User, agent: Agent, protocol: str
) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": protocol} if protocol else {}
    if protocol == "websocket":
        headers |= {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    for query, said in (
        ("command=ls&stdout=true", 'container not found ("main")'),
        ("command=ls&stdout=true&container=x", "container x is not valid for pod refused"),
        ("stdout=true", "at least one command"),
    ):
        status = (await admin.call("GET", f"{PODS}/refused/exec?{query}", headers=headers)).expect(400)
        assert said in status["message"]


@pytest.fixture
async def web_server() -> AsyncIterator[int]:
    """The port of a server that says what it was asked."""

    async def echo(request: web.Request) -> web.Response:
        text = f"{request.method} {request.path_qs} {await request.text()}"
        return web.Response(text=text, status=202, headers={"X-Mine": "yes"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", echo)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "::1", "fe80::1"]
)
async def test_nothing_is_handed_on_to_the_servers_own_loopback_or_links(
    admin: User, agent: Agent, address: str
) -> None:
    await admin.patch(f"{PODS}/a/status", {"status": {"podIP": address, "podIPs": [{"ip": address}]}})
    for path in (f"{PODS}/a:1/proxy/", f"{PODS}/https:a:1/proxy/x", "/api/v1/nodes/node-1/proxy/pods"):
        assert "address not allowed" in (await admin.call("GET", path)).expect(400)["message"]


async def test_requests_are_handed_on_to_pods_and_services(
    admin: User, agent: Agent, web_server: int
) -> None:
    status = {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
    await admin.patch(f"{PODS}/a/status", {"status": status})
    answer = await admin.call("GET", f"{PODS}/a:{web_server}/proxy/some/path?x=1&y=%2F")
    assert answer.expect(202) == "GET /some/path?x=1&y=/ "
    assert answer.headers["X-Mine"] == "yes"
    posted = await admin.call("POST", f"{PODS}/http:a:{web_server}/proxy/", {"a": 1})
    assert posted.expect(202) == 'POST / {"a":1}'
    away = (await admin.call("GET", f"{PODS}/a:1/proxy/")).expect(503)
    assert "to reach service: dial tcp 127.0.0.1:1: connect: connection refused" in away["message"]
    await admin.patch(f"{PODS}/a/status", {"status": {"podIP": "::1"}})
    away = (await admin.call("GET", f"{PODS}/a:1/proxy/")).expect(503)
    assert "to reach service: dial tcp [::1]:1: connect: " in away["message"]
    (await admin.call("GET", f"{PODS}/none:1/proxy/")).expect(404)
    await admin.create(SERVICES, service("web", selector=None))
    none = (await admin.call("GET", f"{SERVICES}/web:80/proxy/")).expect(404)
    assert none["details"]["kind"] == "endpoints"


async def test_requests_are_handed_on_to_the_nodes_agent(admin: User, agent: Agent) -> None:
    answer = await admin.call("GET", "/api/v1/nodes/node-1/proxy/containerLogs/default/a/main")
    assert answer.expect(200) == "line 0\nline 1\nline 2\n"


async def test_kubectl_logs_exec_and_attach(cluster: Cluster, agent: Agent) -> None:
    assert await cluster.ok("logs", "a", "-f") == "line 0\nline 1\nline 2\n"
    assert await cluster.ok("exec", "a", "--", "ls") == "hello\n"
    assert "HELLO THERE" in await cluster.ok("exec", "-i", "a", "--", "cat", stdin="hello there\n")
    agent.exit_code = 3
    code, output = await cluster.kubectl("exec", "a", "--", "ls")
    assert (code, output) == (3, "hello\ncommand terminated with exit code 3\n")


async def test_an_agent_sends_nobody_to_another_node(admin: User, agent: Agent, pki: Pki) -> None:
    """There, it would be the API server that asks: with its certificate, for what the client wanted here."""
    async with running_agent(pki) as other:
        agent.redirects_to = f"https://127.0.0.1:{other.port}/exec/default/b/main?command=id&output=1"
        (await admin.call("GET", f"{PODS}/a/log")).expect(500)
        with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
            await admin.session.ws_connect(f"{admin.url}{PODS}/a/exec?command=ls&stdout=true")
        assert raised.value.status == 500
        handed_on = await admin.session.get(
            f"{admin.url}/api/v1/nodes/node-1/proxy/containerLogs/default/a/main", allow_redirects=False
        )
        assert handed_on.status == 307
        assert len(agent.requests) == 3
        assert other.requests == []


async def test_what_pods_use_is_asked_of_their_nodes(cluster: Cluster, admin: User, agent: Agent) -> None:
    agent.measured = [(await admin.get(f"{PODS}/a"))["metadata"]["uid"]]
    usage = {"cpu": "500000000n", "memory": "1024Ki"}
    found = await admin.get("/apis/metrics.k8s.io/v1beta1/namespaces/default/pods")
    [metrics] = found["items"]
    assert metrics["metadata"]["name"] == "a"
    assert (metrics["window"], metrics["timestamp"]) == ("15s", "2026-01-01T00:00:00Z")
    assert metrics["containers"] == [{"name": "main", "usage": usage}]
    node = await admin.get("/apis/metrics.k8s.io/v1beta1/nodes/node-1")
    assert node["usage"] == usage
    missing = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/refused"
    status = (await admin.call("GET", missing)).expect(404)
    assert status["message"] == 'podmetrics.metrics.k8s.io "default/refused" not found'
    assert "500m" in await cluster.ok("top", "pod")


async def test_what_a_node_says_of_its_pods_may_be_anything(admin: User, agent: Agent) -> None:
    uid = (await admin.get(f"{PODS}/a"))["metadata"]["uid"].encode()
    used = (
        b'"cpu":{"usageNanoCores":1,"windowSeconds":1e308,"time":"\\u001b[2J"},"memory":{"workingSetBytes":1}'
    )
    for hostile, count in (
        (b"", 0),
        (b"[" * 100_000, 0),
        (b'{"node":[],"pods":{}}', 0),
        (b'{"node":{"cpu":{"usageNanoCores":"x"},"memory":[]},"pods":[{"podRef":"x"}]}', 0),
        (b'{"pods":[{"podRef":{"uid":"%b"},"containers":[1]}]}' % uid, 0),
        (b'{"pods":[{"podRef":{"uid":"%b"},"containers":null},null]}' % uid, 0),
        (b'{"node":{"cpu":{"usageNanoCores":%b},"memory":{"workingSetBytes":1}}}' % (b"9" * 10_000), 0),
        (b'{"pods":[],"x":"%b"}' % (b"x" * (9 << 20)), 0),
        (b"\xff\xfe", 0),
        (b'{"node":{%b},"pods":[{"podRef":{"uid":"%b"},"containers":[{%b}]}]}' % (used, uid, used), 1),
    ):
        agent.summarises = hostile
        for kind in ("nodes", "namespaces/default/pods"):
            found = await admin.get(f"/apis/metrics.k8s.io/v1beta1/{kind}")
            assert len(found["items"]) == count, hostile[:100]
            assert "\x1b" not in str(found)
