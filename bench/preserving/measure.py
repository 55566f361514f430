"""A cluster, a server behind Services of each kind, and a client outside that dials them in turn."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import Result, median
from wellhead.api.meta import Obj
from wellhead.api.names import PRESERVE_CLIENT_IP_ANNOTATION
from wellhead.lab.cluster import Cluster
from wellhead.proxy.mode import ProxyMode

NAME = "bench-preserving"
_CLIENT, _PATIENCE = "198.51.100.79", 30.0
_EXTERNAL_IP = {"here": "192.0.2.11", "elsewhere": "192.0.2.12"}
"""The ExternalIPs of the endpoint's node, and of another."""
_BIN = Path(sys.executable).parent
_NGINX = """\
daemon off; user nobody nogroup; pid /tmp/nginx.pid; error_log stderr crit; worker_processes 1;
events { worker_connections 4096; }
http {
    access_log off; sendfile on; keepalive_requests 1000000; default_type application/octet-stream;
    client_body_temp_path /tmp/1; proxy_temp_path /tmp/2; fastcgi_temp_path /tmp/3; uwsgi_temp_path /tmp/4;
    scgi_temp_path /tmp/5;
    server {
        listen 8080 backlog=4096;
        location = /bulk { alias /usr/sbin/nginx; }
        location = /seen { return 200 $remote_addr; }
    }
}
"""
_KINDS: dict[str, Obj] = {
    "masqueraded": {"spec": {"externalTrafficPolicy": "Cluster"}},
    "preserved": {
        "spec": {"externalTrafficPolicy": "Cluster"},
        "annotations": {PRESERVE_CLIENT_IP_ANNOTATION: "true"},
    },
    "local": {"spec": {"externalTrafficPolicy": "Local"}},
}


def _run(*command: str, stdin: str = "") -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _wellhead(*arguments: str) -> str:
    return _run(str(_BIN / "wellhead"), arguments[0], "--name", NAME, *arguments[1:])


def _kubectl(*arguments: str, stdin: str = "") -> str:
    kubeconfig = str(Cluster(NAME).kubeconfig("admin"))
    return _run(str(_BIN / "kubectl"), "--kubeconfig", kubeconfig, *arguments, stdin=stdin)


@contextmanager
def _cluster(mode: ProxyMode) -> Iterator[None]:
    try:
        _wellhead("up", "--nodes", "3", "--proxy-mode", mode)
        yield
    finally:
        _wellhead("down")


def _make() -> dict[tuple[str, str], str]:
    """Make the pod and its Services; by kind and node, where the client finds them."""
    container = {
        "name": "main",
        "image": "k8s.gcr.io/echoserver:1.4",
        "command": ["nginx", "-c", "/config/nginx.conf"],
        "volumeMounts": [{"name": "config", "mountPath": "/config"}],
    }
    volume = {"name": "config", "configMap": {"name": "nginx"}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "server", "labels": {"app": "server"}},
        "spec": {"nodeName": "node-1", "containers": [container], "volumes": [volume]},
    }
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nginx"}}
    services = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "annotations": facts.get("annotations", {})},
            "spec": {
                "type": "NodePort",
                "selector": {"app": "server"},
                "ports": [{"port": 80, "targetPort": 8080}],
                **facts["spec"],
            },
        }
        for name, facts in _KINDS.items()
    ]
    items = [{**config, "data": {"nginx.conf": _NGINX}}, pod, *services]
    _kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    _kubectl("wait", "--for=condition=Ready", "pod/server", "--timeout=30s")
    found = {}
    for kind in _KINDS:
        port = _kubectl("get", "service", kind, "-o", "jsonpath={.spec.ports[0].nodePort}")
        for where, address in _EXTERNAL_IP.items():
            if (kind, where) != ("local", "elsewhere"):
                found[kind, where] = f"http://{address}:{port}"
    return found


def _await_what_is_seen(urls: dict[tuple[str, str], str]) -> None:
    """Wait until each kind shows the server what it should: otherwise something else is measured."""
    for (kind, where), url in urls.items():
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                seen = _wellhead("exec", "client", "--", "curl", "-s", "-m", "2", f"{url}/seen")
            except RuntimeError:
                seen = ""
            if seen and (seen == _CLIENT) == (kind != "masqueraded"):
                break
            if time.monotonic() > deadline:
                raise RuntimeError(f"{kind}, dialled {where}: the server sees {seen or 'nothing'}")
            time.sleep(0.2)


def measure(mode: ProxyMode) -> list[Result]:
    """Throughput and new connections a second, each kind against masquerading in the same rounds."""
    with _cluster(mode):
        urls = _make()
        _await_what_is_seen(urls)
        bulk = {key: f"{url}/bulk" for key, url in urls.items()}
        script = str(Path(__file__).with_name("client.py"))
        found = json.loads(_wellhead("exec", "client", "--", sys.executable, script, *bulk.values()))
    rows = []
    for (kind, where), url in bulk.items():
        samples, masqueraded = found[url], found[bulk["masqueraded", where]]
        case = f"{kind}, {where}"
        rows += [
            _row("download", [each / 1e9 for each in samples["bits"]], "Gbit/s", case),
            _row("new connections", samples["connections"], "1/s", case),
            _ratio("download ÷ masqueraded", samples["bits"], masqueraded["bits"], case),
            _ratio("connections ÷ masqueraded", samples["connections"], masqueraded["connections"], case),
        ]
    return rows


def _row(name: str, samples: list[float], unit: str, case: str) -> Result:
    found = median(
        name, samples, unit, "TCP, client outside to node port of the endpoint's node (here) or of another"
    )
    return Result(found.name, found.value, unit, found.method, found.samples, case)


def _ratio(name: str, samples: list[float], to: list[float], case: str) -> Result:
    ratios = tuple(ours / theirs for ours, theirs in zip(samples, to, strict=True))
    return Result(name, statistics.median(ratios), "", "rounds in turn; median of ratios", ratios, case)
