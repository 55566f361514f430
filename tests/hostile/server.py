"""An API server in a process of its own, whose work and memory can be measured."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.integration.apiserver.pki import Pki
from tests.patience import PATIENCE, until


class Connection:
    """One connection to the server: a request, its answer, and so on."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext) -> None:
        # What may compute for ten seconds takes minutes where many others compute.
        plain = socket.create_connection(address, timeout=5 * PATIENCE)
        self._socket = context.wrap_socket(plain, server_hostname=address[0])
        self._buffer = b""

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """The code and the body of the answer to a raw request; 0 if the connection ends instead."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            self._socket.sendall(request)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            return self._answer()
        return 0, b""

    def send(self, request: bytes) -> None:
        """Ask, and don't wait for an answer."""
        self._socket.sendall(request)

    def limit_receiving(self, size: int) -> None:
        """Let the kernel keep no more than about so many bytes that nobody has read."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def _answer(self) -> tuple[int, bytes]:
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status, *lines = head.decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        if headers.get("transfer-encoding") == "chunked":
            return int(status.split()[1]), b""
        length = int(headers.get("content-length", 0))
        while len(self._buffer) < length:
            self._more()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return int(status.split()[1]), body

    def _more(self) -> None:
        chunk = self._socket.recv(1 << 16)
        if not chunk:
            raise ConnectionAbortedError
        self._buffer += chunk

    def close(self) -> None:
        self._socket.close()


@dataclass
class Server:
    """A running server."""

    pid: int
    address: tuple[str, int]
    pki: Pki

    @property
    def url(self) -> str:
        return f"https://{self.address[0]}:{self.address[1]}"

    @contextlib.contextmanager
    def connection(self, identity: str | None = "admin") -> Iterator[Connection]:
        connection = Connection(self.address, self.pki.client_context(identity))
        try:
            yield connection
        finally:
            connection.close()

    @property
    def cpu(self) -> float:
        """Seconds that the server has computed, all its threads together: load of others doesn't count."""
        nanoseconds = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                nanoseconds += int((task / "schedstat").read_text().split()[0])
        return nanoseconds / 1e9

    def forget_peak(self) -> None:
        """From here on, `peak` is new."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    @property
    def resident(self) -> int:
        """Bytes of memory."""
        return self._status("VmRSS")

    @property
    def peak(self) -> int:
        """Bytes of memory, at most, since `forget_peak`."""
        return self._status("VmHWM")

    def _status(self, name: str) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))

    def metric(self, name: str) -> float:
        """The value of a metric without labels."""
        with self.connection() as connection:
            _, text = connection.ask(request("GET", "/metrics"))
        return next(
            float(line.split()[1]) for line in text.decode().splitlines() if line.startswith(f"{name} ")
        )


def request(
    method: str, path: str, body: object = None, content_type: str = "application/json", *headers: str
) -> bytes:
    """A raw request. Bytes are sent as they are, anything else as JSON."""
    data = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
    lines = [f"{method} {path} HTTP/1.1", "Host: a", *headers]
    if body is not None:
        lines += [f"Content-Type: {content_type}", f"Content-Length: {len(data)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + data


@contextlib.contextmanager
def serve(directory: Path, storage: str = "memory:") -> Iterator[Server]:
    """A server that is ready, until the context ends; without a failure that nobody foresaw."""
    pki = Pki(directory)
    pki.issue("server", "kube-apiserver", server=True)
    pki.issue("admin", "kubernetes-admin", "system:masters")
    pki.issue("proxy", "system:kube-proxy")
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()[:2]
    files = {
        "tls-cert-file": "server.crt",
        "tls-private-key-file": "server.key",
        "client-ca-file": "ca.crt",
        "kubelet-client-certificate": "admin.crt",
        "kubelet-client-key": "admin.key",
        "service-account-key-file": "service-account.key",
    }
    command = [str(Path(sys.executable).parent / "wellhead"), "apiserver", "--storage", storage]
    command += ["--listen-fd", str(listener.fileno()), "--advertise-address", "192.0.2.1"]
    command += [f"--{option}={directory / name}" for option, name in files.items()]
    command += ["--max-request-seconds", "300"]  # what is within bounds is answered, whatever others do
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, pass_fds=[listener.fileno()], stderr=log)
    listener.close()
    server = Server(process.pid, address, pki)
    try:
        _wait_until_ready(server, process)
        yield server
        assert process.poll() is None, "the server died"
        assert server.metric("apiserver_defects_total") == 0, (directory / "log").read_text()[-10_000:]
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _wait_until_ready(server: Server, process: subprocess.Popen[bytes]) -> None:
    def is_ready() -> bool:
        assert process.poll() is None, "the server ended at its start"
        with contextlib.suppress(ConnectionError, ssl.SSLError), server.connection() as connection:
            return connection.ask(request("GET", "/readyz"))[0] == 200
        return False

    until(is_ready)
