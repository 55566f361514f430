"""An API server in this process on a loopback socket, and ways to talk to it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Self

import aiohttp
import msgspec
import yaml
from multidict import CIMultiDict

from tests.integration.apiserver.pki import Pki
from tests.patience import PATIENCE, reached
from wellhead.api.limits import DEFAULTS, Limits
from wellhead.api.meta import Obj
from wellhead.apiserver.audit.options import AuditOptions
from wellhead.apiserver.main import Config, run
from wellhead.apiserver.watches import BOOKMARK_SECONDS

KUBECTL = Path(sys.executable).parent / "kubectl"


@dataclass
class Answer:
    """An HTTP answer, with its body decoded if it is JSON."""

    code: int
    body: Any
    headers: CIMultiDict[str]

    def expect(self, code: int) -> Any:
        assert self.code == code, self.body
        return self.body


class User:
    """A client with one identity."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
    ) -> Answer:
        encoded = body if isinstance(body, bytes) else None if body is None else msgspec.json.encode(body)
        data = None if encoded is None else io.BytesIO(encoded)
        sent = {"Content-Type": content_type, **(headers or {})} if data is not None else headers
        async with self.session.request(
            method, self.url + path, data=data, headers=sent, params=query
        ) as response:
            text = await response.read()
            decoded: Any = text.decode()
            if response.content_type == "application/json" and text:
                decoded = msgspec.json.decode(text)
            return Answer(response.status, decoded, response.headers.copy())

    async def get(self, path: str, **query: str) -> Any:
        return (await self.call("GET", path, query=query)).expect(200)

    async def create(self, path: str, body: object, **query: str) -> Any:
        return (await self.call("POST", path, body, query=query)).expect(201)

    async def update(self, path: str, body: object, **query: str) -> Any:
        return (await self.call("PUT", path, body, query=query)).expect(200)

    async def patch(self, path: str, body: object, kind: str = "merge-patch", **query: str) -> Any:
        content_type = f"application/{kind}+json"
        return (await self.call("PATCH", path, body, content_type=content_type, query=query)).expect(200)

    async def delete(self, path: str, body: object = None, **query: str) -> Any:
        return (await self.call("DELETE", path, body, query=query)).expect(200)

    @contextlib.asynccontextmanager
    async def watch(self, path: str, accept: str = "application/json", **query: str) -> AsyncIterator[Watch]:
        query = {"watch": "true"} | query
        async with self.session.get(
            self.url + path, params=query, headers={"Accept": accept}, timeout=aiohttp.ClientTimeout(None)
        ) as response:
            if response.status != 200:
                raise AssertionError(await response.text())
            yield Watch(response)


class Watch:
    """The events of a watch, one at a time."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> tuple[str, Obj]:
        async with asyncio.timeout(PATIENCE):
            line = await self.response.content.readline()
        if not line:
            raise EOFError
        event = msgspec.json.decode(line)
        return event["type"], event["object"]

    async def names(self, count: int) -> list[tuple[str, str]]:
        events = [await self.next() for _ in range(count)]
        return [(kind, obj["metadata"]["name"]) for kind, obj in events]


@dataclass
class Cluster:
    """A running server."""

    url: str
    pki: Pki
    directory: Path
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def user(self, identity: str | None = "admin", token: str = "") -> User:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connector = aiohttp.TCPConnector(ssl=self.pki.client_context(identity))
        session = aiohttp.ClientSession(connector=connector, headers=headers)
        return User(self.url, await self._stack.enter_async_context(session))

    def kubeconfig(self, identity: str = "admin") -> Path:
        path = self.directory / f"{identity}.kubeconfig"
        certificates = self.pki.directory
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [
                        {
                            "name": "c",
                            "cluster": {
                                "server": self.url,
                                "certificate-authority": str(certificates / "ca.crt"),
                            },
                        }
                    ],
                    "users": [
                        {
                            "name": "u",
                            "user": {
                                "client-certificate": str(certificates / f"{identity}.crt"),
                                "client-key": str(certificates / f"{identity}.key"),
                            },
                        }
                    ],
                    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                    "current-context": "x",
                }
            )
        )
        return path

    async def kubectl(
        self,
        *arguments: str,
        stdin: str = "",
        identity: str = "admin",
        environment: Mapping[str, str] | None = None,
    ) -> tuple[int, str]:
        """Exit code, and standard output and error together."""
        process = await asyncio.create_subprocess_exec(
            KUBECTL,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={
                **os.environ,
                "KUBECONFIG": str(self.kubeconfig(identity)),
                "HOME": str(self.directory),
                **(environment or {}),
            },
        )
        output, _ = await process.communicate(stdin.encode())
        assert process.returncode is not None
        return process.returncode, output.decode()

    async def ok(self, *arguments: str, stdin: str = "", environment: Mapping[str, str] | None = None) -> str:
        code, output = await self.kubectl(*arguments, stdin=stdin, environment=environment)
        assert code == 0, output
        return output


@contextlib.asynccontextmanager
async def serve(
    pki: Pki,
    directory: Path,
    storage: str = "memory:",
    node_ports: range = range(30000, 32768),
    service_ranges: str = "10.0.0.0/16",
    plugins: tuple[str, ...] = (),
    limits: Limits = DEFAULTS,
    advertised: str = "",
    bookmark_seconds: float = BOOKMARK_SECONDS,
    audit: AuditOptions | None = None,
    admission: Path | None = None,
) -> AsyncIterator[Cluster]:
    """A server that is ready, until the context ends. Its address is of the first range's family."""
    ranges = tuple(map(ip_network, service_ranges.split(",")))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    certificates = pki.directory
    config = Config(
        storage=storage,
        tls_cert_file=certificates / "server.crt",
        tls_private_key_file=certificates / "server.key",
        client_ca_file=certificates / "ca.crt",
        kubelet_client_certificate=certificates / "admin.crt",
        kubelet_client_key=certificates / "admin.key",
        service_account_key_file=certificates / "service-account.key",
        advertise_address=ip_address(
            advertised or ("192.0.2.1" if ranges[0].version == 4 else "2001:db8::1")
        ),
        secure_port=port,
        listen_fds=(listener.detach(),),
        service_cluster_ip_ranges=ranges,
        service_node_port_range=node_ports,
        enable_admission_plugins=plugins,
        proxy_client_cert_file=certificates / "front-proxy.crt",
        proxy_client_key_file=certificates / "front-proxy.key",
        requestheader_client_ca_file=certificates / "ca.crt",
        requestheader_allowed_names=("front-proxy",),
        limits=limits,
        bookmark_seconds=bookmark_seconds,
        audit=audit or AuditOptions(),
        admission_control_config_file=admission,
    )
    task = asyncio.create_task(run(config))
    async with Cluster(f"https://127.0.0.1:{port}", pki, directory) as cluster:
        probe = await cluster.user(None)
        try:

            async def is_ready() -> bool:
                if task.done():
                    task.result()
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    return (await probe.call("GET", "/readyz")).code == 200
                return False

            await reached(is_ready)
            yield cluster
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
