"""A real registry, Debian's docker-registry (unpacked, never installed), and one that means harm."""

from __future__ import annotations

import contextlib
import fcntl
import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.archives import Layout
from tests.patience import PATIENCE, until
from tests.ports import free_port
from wellhead.images import packages
from wellhead.linux import trees

_CACHE = Path("/var/cache/wellhead/tests")


def program() -> str:
    """The registry's program, downloaded once."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    found = _CACHE / "docker-registry/usr/bin/docker-registry"
    with (_CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists():
            archives = _CACHE / "archives"
            trees.delete(archives) if archives.exists() else None
            [archive] = packages.download(["docker-registry"], archives)
            packages.run("dpkg-deb", "-x", str(archive), str(_CACHE / "docker-registry"))
            trees.delete(archives)
    return str(found)


@dataclass(frozen=True)
class Registry:
    """One that runs on loopback. `authorization` is what who pushes says of himself."""

    port: int
    authorization: str = ""

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    def push(self, layout: Layout, repository: str, tag: str, top: dict[str, object]) -> str:
        """Push a layout's blobs and the image or index `top`; the image's name."""
        for name, data in layout.files.items():
            if not name.startswith("blobs/"):
                continue
            digest = name.removeprefix("blobs/").replace("/", ":")
            place = self._call("POST", f"/v2/{repository}/blobs/uploads/")
            self._call("PUT", f"{place}&digest={digest}", data, "application/octet-stream")
        descriptors = [*_inside(layout, top), top]
        for each in descriptors:
            reference = tag if each is top else each["digest"]
            data = layout.files[f"blobs/{str(each['digest']).replace(':', '/')}"]
            self._call("PUT", f"/v2/{repository}/manifests/{reference}", data, str(each["mediaType"]))
        return f"{self.host}/{repository}:{tag}"

    def _call(self, method: str, path: str, data: bytes = b"", kind: str = "") -> str:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            path = path[path.index("/v2/") :]
            headers = {"Content-Type": kind, "Authorization": self.authorization}
            connection.request(method, path, data, {key: value for key, value in headers.items() if value})
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status < 300, (method, path, answer.status, body)
            return answer.headers.get("Location") or ""
        finally:
            connection.close()


def _inside(layout: Layout, top: dict[str, object]) -> list[dict[str, object]]:
    document = json.loads(layout.files[f"blobs/{str(top['digest']).replace(':', '/')}"])
    return list(document.get("manifests") or [])


@contextlib.contextmanager
def running(directory: Path, users: dict[str, str] | None = None) -> Iterator[Registry]:
    """A registry with its files in `directory`. With `users` (bcrypt hashes), nobody else is let in."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    lines = [
        "version: 0.1",
        f"storage: {{filesystem: {{rootdirectory: {directory}/data}}}}",
        f'http: {{addr: "127.0.0.1:{port}", relativeurls: true}}',
        "log: {level: error}",
    ]
    if users:
        (directory / "htpasswd").write_text("".join(f"{name}:{word}\n" for name, word in users.items()))
        lines.append(f"auth: {{htpasswd: {{realm: r, path: {directory}/htpasswd}}}}")
    (directory / "config.yml").write_text("\n".join(lines))
    with (
        (directory / "log").open("wb") as log,
        subprocess.Popen(
            [program(), "serve", str(directory / "config.yml")], stdout=log, stderr=log
        ) as process,
    ):
        try:
            _wait_for(port)
            yield Registry(port)
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    def listens() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    until(listens)


Answer = Callable[[BaseHTTPRequestHandler], None]


@contextlib.contextmanager
def hostile(answer: Answer, *, everything: bool = False) -> Iterator[Registry]:
    """A registry of which every GET is answered so; the first, whether it is one, only with `everything`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/v2/" and not everything:
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            with contextlib.suppress(OSError):
                answer(self)

        do_HEAD = do_GET  # noqa: N815 http.server's name

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Registry(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
