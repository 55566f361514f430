"""Load for a cluster: pods that serve slow downloads, and a crowd of clients outside."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.lab import BIN, ECHOSERVER, Lab, Obj

KINDS = {"forwarder": "wellhead.dev/forwarder", "proxy": "wellhead.dev/proxy"}
"""The load-balancer class of each kind."""

ENDLESS, FINITE, SHORT = "/endless", "/finite", "/short"
FINITE_BYTES = 4096
"""At 1 kB/s, it takes four seconds."""

_NGINX = """\
daemon off;
user nobody nogroup;
worker_processes 1;
pid /tmp/nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
    access_log off;
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;
    default_type application/octet-stream;
    add_header Seen $remote_addr;
    add_header Pod $hostname;
    sendfile_max_chunk 256;  # with the rate: four pieces a second
    server {
        listen 8080 backlog=4096;
        listen [::]:8080 ipv6only=on backlog=4096;
        location = /endless { limit_rate 1k; alias /usr/sbin/nginx; }
        location = /finite { limit_rate 1k; alias /config/finite; }
        location = /short { return 200 "here\\n"; }
    }
}
"""

DOWNLOADS = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "data": {"nginx.conf": _NGINX, "finite": "x" * FINITE_BYTES},
}
"""The servers' configuration, without metadata: in each namespace its own, called `downloads`."""


def server(**container: Any) -> Obj:
    """What a pod's spec says to be such a server on port 8080."""
    main = {
        "name": "main",
        "image": ECHOSERVER,
        "command": ["nginx", "-c", "/config/nginx.conf"],
        "volumeMounts": [{"name": "config", "mountPath": "/config"}],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1, "timeoutSeconds": 30},
        **container,
    }
    return {"containers": [main], "volumes": [{"name": "config", "configMap": {"name": "downloads"}}]}


def balanced(lab: Lab, namespace: str, name: str, kind: str, app: str, **spec: object) -> str:
    """Make a Service of that kind for the pods labelled app=APP; its VIP."""
    lab.expose(name, app, namespace, type="LoadBalancer", loadBalancerClass=KINDS[kind], **spec)
    address = "jsonpath={.status.loadBalancer.ingress[0].ip}"
    lab.kubectl("wait", f"--for={address}", f"service/{name}", "-n", namespace, "--timeout=60s")
    return lab.kubectl("get", "service", name, "-n", namespace, "-o", address)


@dataclass(frozen=True)
class Download:
    """How far one download has come."""

    url: str
    seen: str
    """The client's address as the server saw it: under policy Cluster, the node's that it came in by."""
    pod: str
    received: int
    state: str
    """`running`, `complete`, or what ended it."""


class Crowd:
    """Many clients on one host."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def download(self, url: str, count: int) -> list[Download]:
        """Begin so many at once; those that began are `running`."""
        return self._downloads({"download": url, "count": count})

    def report(self) -> list[Download]:
        """All downloads, in the order in which they were begun."""
        return self._downloads({"report": None})

    def ask(self, *urls: str, every: float) -> None:
        """From now on, ask for each of these every so many seconds."""
        self._command({"ask": urls, "every": every})

    def count(self) -> int:
        """How often it was asked until now."""
        count: int = self._command({"count": None})
        return count

    def asked(self) -> Obj:
        """Stop asking; `count`, `late` (a SYN was repeated), `failures` in words; `by_url`: these counts."""
        answer: Obj = self._command({"asked": None})
        return answer

    def _downloads(self, command: Obj) -> list[Download]:
        return [Download(**each) for each in self._command(command)]

    def _command(self, command: Obj) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def crowd(lab: Lab, host: str = "client") -> Iterator[Crowd]:
    """Clients on a host, while the block runs."""
    script = str(Path(__file__).with_name("load_client.py"))
    command = [str(BIN / "wellhead"), "exec", "--name", lab.name, host, "--", "python3", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Crowd(process)
        finally:
            process.terminate()
