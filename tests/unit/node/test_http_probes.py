"""What an HTTP probe or hook sends, follows and says: to real servers, as bytes."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.node import pods
from tests.unit.node.world import World, world
from wellhead.node.pods import hooks, http_actions, probing
from wellhead.node.pods.hooks import HookFailed
from wellhead.node.pods.outcome import Outcome

OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CONTAINER = pods.container("main", ports=[{"name": "web", "containerPort": 1}])


class Server:
    """Answers by path; keeps what it was sent."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers
        self.requests: list[str] = []
        self.port = 0
        self.serving: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving.add(asyncio.ensure_future(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(request)
            answer = self.answers.get(request.split(" ")[1], OK)
            writer.write(answer.replace("PORT", str(self.port)).encode("latin-1"))
            await writer.drain()
            if "stall" in answer:
                await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    def headers(self) -> list[str]:
        """The header lines of the last request, sorted, without Host."""
        lines = self.requests[-1].split("\r\n")[1:-2]
        return sorted(line for line in lines if not line.startswith("Host:"))


@contextlib.asynccontextmanager
async def _server(answers: dict[str, str] | None = None) -> AsyncIterator[Server]:
    found = Server(answers or {})
    listener = await asyncio.start_server(found.accept, "127.0.0.1", 0)
    found.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield found
        await asyncio.gather(*found.serving)


@contextlib.asynccontextmanager
async def _pod(tmp_path: Path) -> AsyncIterator[World]:
    """A pod whose address is this machine's."""
    here = world(tmp_path, CONTAINER)
    async with http_actions.session() as http:
        here.state.context = dataclasses.replace(here.state.context, http=http)
        here.state.record.ips = ("127.0.0.1",)
        yield here


async def _probe(tmp_path: Path, port: int, path: str = "/", seconds: float = 5, **action: Any) -> Outcome:
    async with _pod(tmp_path) as here:
        spec = {"httpGet": {"port": port, "path": path, **action}, "timeoutSeconds": seconds}
        return await probing.probe(here.state, CONTAINER, spec)


def _redirect(to: str, status: str = "302 Found") -> str:
    return f"HTTP/1.1 {status}\r\nLocation: {to}\r\nContent-Length: 4\r\n\r\nmove"


async def test_a_probe_sends_what_it_is_told_and_little_more(tmp_path: Path) -> None:
    async with _server() as server:
        assert await _probe(tmp_path, server.port) == Outcome(True)
    assert server.headers() == ["Accept: */*", "Connection: close", "User-Agent: kube-probe/1.37"]


async def test_headers_of_one_name_are_all_sent_and_an_empty_default_is_not(tmp_path: Path) -> None:
    given = [("X-A", "1"), ("X-A", "2"), ("Accept", ""), ("user-agent", ""), ("X-Empty", "")]
    headers = [{"name": name, "value": value} for name, value in given]
    async with _server() as server:
        assert await _probe(tmp_path, server.port, httpHeaders=headers) == Outcome(True)
    assert [line.strip() for line in server.headers()] == [
        "Connection: close",
        "X-A: 1",
        "X-A: 2",
        "X-Empty:",
    ]


async def test_the_host_header_is_the_one_that_is_given(tmp_path: Path) -> None:
    async with _server() as server:
        await _probe(tmp_path, server.port, httpHeaders=[{"name": "Host", "value": "shop.example"}])
    assert server.requests[0].count("Host: ") == 1
    assert "Host: shop.example\r\n" in server.requests[0]


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("", "/"),
        ("x", "/x"),
        ("/a?b=c&d=%20", "/a?b=c&d=%20"),
        ("/%7Ea", "/%7Ea"),
        ("/a b", "/a%20b"),
        ("/ä", "/%C3%A4"),
        ("/a#b", "/a"),
        ("/100%", "/100%25"),
        ("/a\r\nX-Evil: 1", "/a%0D%0AX-Evil:%201"),
    ],
)
async def test_a_path_is_one_and_nothing_else(tmp_path: Path, path: str, sent: str) -> None:
    async with _server() as server:
        assert await _probe(tmp_path, server.port, path) == Outcome(True)
    assert server.requests[0].split("\r\n")[0] == f"GET {sent} HTTP/1.1"


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]
)
async def test_a_redirect_to_the_same_host_is_followed(tmp_path: Path, status: str) -> None:
    answers = {"/": _redirect("/there?x=1", status), "/there?x=1": _redirect("http://127.0.0.1:PORT/end")}
    async with _server(answers) as server:
        assert await _probe(tmp_path, server.port) == Outcome(True)
    assert [request.split(" ")[1] for request in server.requests] == ["/", "/there?x=1", "/end"]


async def test_a_redirect_to_another_host_is_not_followed_and_a_warning(tmp_path: Path) -> None:
    answers = {"/": _redirect("http://localhost:PORT/evil")}
    async with _server(answers) as server:
        outcome = await _probe(tmp_path, server.port)
    assert outcome == Outcome(True, "Probe terminated redirects, Response body: move")
    assert len(server.requests) == 1


async def test_redirects_end_after_ten(tmp_path: Path) -> None:
    async with _server({"/": _redirect("/")}) as server:
        outcome = await _probe(tmp_path, server.port)
    url = f"http://127.0.0.1:{server.port}/"
    assert outcome == Outcome(False, f'Get "{url}": stopped after 10 redirects')
    assert len(server.requests) == 10


@pytest.mark.parametrize("location", ["", "Location: http://[\r\n"])
async def test_a_redirect_that_leads_nowhere(tmp_path: Path, location: str) -> None:
    answer = f"HTTP/1.1 302 Found\r\n{location}Content-Length: 0\r\n\r\n"
    async with _server({"/": answer}) as server:
        outcome = await _probe(tmp_path, server.port)
    assert outcome.ok == (not location)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("HTTP/1.1 503 No\r\nContent-Length: 6\r\n\r\nsecret", "HTTP probe failed with statuscode: 503"),
        ("", 'Get "URL": EOF'),
        (
            "garbage\r\n\r\n",
            'Get "URL": net/http: HTTP/1.x transport connection broken: malformed HTTP response',
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nstall",
            'Get "URL": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
        ),
    ],
)
async def test_a_bad_answer_is_told_in_gos_words(tmp_path: Path, answer: str, message: str) -> None:
    async with _server({"/": answer}) as server:
        outcome = await _probe(tmp_path, server.port, seconds=0.5)
    url = f"http://127.0.0.1:{server.port}/"
    assert outcome == Outcome(False, message.replace("URL", url))


async def test_nobody_there_is_told_in_gos_words(tmp_path: Path) -> None:
    async with _server() as server:
        pass
    where = f"127.0.0.1:{server.port}"
    outcome = await _probe(tmp_path, server.port)
    assert outcome == Outcome(False, f'Get "http://{where}/": dial tcp {where}: connect: connection refused')
    async with _pod(tmp_path) as here:
        tcp = await probing.probe(here.state, CONTAINER, {"tcpSocket": {"port": server.port}})
    assert tcp == Outcome(False, f"dial tcp {where}: connect: connection refused")


async def test_cookies_and_compressed_bodies_are_left_alone(tmp_path: Path) -> None:
    bomb = "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nnot"
    async with _pod(tmp_path) as here, _server({"/": bomb}) as server:
        for _ in range(2):
            spec = {"httpGet": {"port": server.port, "host": "127.0.0.1"}}
            assert await probing.probe(here.state, CONTAINER, spec) == Outcome(True)
    assert "Cookie" not in server.requests[1]


# Hooks


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "500 Oops"])
async def test_any_status_satisfies_a_hook(tmp_path: Path, status: str) -> None:
    answer = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"
    async with _pod(tmp_path) as here, _server({"/hook": answer}) as server:
        await hooks.run(here.state, CONTAINER, {"httpGet": {"port": server.port, "path": "/hook"}})
    assert server.headers() == ["Accept: */*", "Connection: close", "User-Agent: kube-lifecycle/1.37"]
    assert here.recorder.events == []


async def test_a_hook_over_https_falls_back_to_http_without_its_secrets(tmp_path: Path) -> None:
    """As a server that speaks no TLS answers its greeting: in HTTP."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(4096))
        status = "200 OK" if seen[-1].startswith(b"GET") else "400 Bad Request"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with _pod(tmp_path) as here, await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        headers = [{"name": "Authorization", "value": "secret"}]
        action = {"port": port, "scheme": "HTTPS", "path": "/x", "httpHeaders": headers}
        await hooks.run(here.state, CONTAINER, {"httpGet": action})
    assert seen[-1].startswith(b"GET /x HTTP/1.1")
    assert b"secret" not in seen[-1]
    message = f"request to HTTPS lifecycle hook 127.0.0.1:{port} got HTTP response, retry with HTTP succeeded"
    assert here.recorder.events == [("LifecycleHTTPFallback", message)]


async def test_a_hook_without_an_answer_fails(tmp_path: Path) -> None:
    async with _server() as server:
        pass
    async with _pod(tmp_path) as here:
        for scheme in ("HTTP", "HTTPS"):
            action = {"port": server.port, "scheme": scheme}
            with pytest.raises(HookFailed, match=r"HTTP lifecycle hook .* connection refused"):
                await hooks.run(here.state, CONTAINER, {"httpGet": action})
        with pytest.raises(HookFailed, match="couldn't find port"):
            await hooks.run(here.state, CONTAINER, {"httpGet": {"port": "none"}})
        with pytest.raises(HookFailed, match="invalid handler"):
            await hooks.run(here.state, CONTAINER, {"tcpSocket": {"port": 1}})
