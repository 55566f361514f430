"""schemathesis makes up requests from our own OpenAPI documents; no answer says that the server failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.corpus import PODS, SERVICES, pod
from tests.hostile.effort import MUCH
from tests.hostile.server import Server, request, serve

# Objects of these names are there, so that most requests get past a 404.
_CONFIGURATION = """
[parameters]
"path.name" = "a"
"path.namespace" = "default"
"""
# What is behind an agent that isn't there answers 500 upstream, too: it can't be dialled.
_AGENTS = "/(proxy|exec|attach|portforward|log)$"
_DOCUMENTS = (
    "/openapi/v2",
    "/openapi/v3/api/v1",
    "/openapi/v3/apis/apps/v1",
    "/openapi/v3/apis/discovery.k8s.io/v1",
)
_FEW = ("/openapi/v3/apis/coordination.k8s.io/v1",)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("document", _DOCUMENTS if MUCH else _FEW)
def test_no_request_of_schemathesis_makes_the_server_fail(tmp_path: Path, document: str) -> None:
    (tmp_path / "schemathesis.toml").write_text(_CONFIGURATION)
    with serve(tmp_path) as server:
        _prepare(server)
        found = _run(tmp_path, server, document)
    assert found.returncode == 0, found.stdout[-10_000:] + found.stderr[-2_000:]


def _prepare(server: Server) -> None:
    named = {"metadata": {"name": "a"}}
    objects = {
        "/api/v1/namespaces/default/serviceaccounts": {"metadata": {"name": "default"}},
        PODS: pod("a"),
        SERVICES: {**named, "spec": {"ports": [{"port": 80}]}},
        "/api/v1/namespaces/default/configmaps": named,
        "/api/v1/namespaces/default/secrets": named,
        "/api/v1/nodes": named,
        "/api/v1/namespaces": named,
        "/apis/coordination.k8s.io/v1/namespaces/default/leases": named,
    }
    with server.connection() as connection:
        for path, obj in objects.items():
            code, body = connection.ask(request("POST", path, obj))
            assert code == 201, body


def _run(directory: Path, server: Server, document: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "schemathesis")]
    command += ["--config-file", str(directory / "schemathesis.toml")]
    command += ["run", f"{server.url}{document}", "--url", server.url, "--no-color"]
    command += [
        "--request-cert",
        str(directory / "admin.crt"),
        "--request-cert-key",
        str(directory / "admin.key"),
    ]
    command += ["--tls-verify", str(directory / "ca.crt"), "--request-timeout", "60"]
    command += ["--checks", "not_a_server_error", "--phases", "coverage,fuzzing" if MUCH else "fuzzing"]
    command += ["--max-examples", "20" if MUCH else "3", "--seed", "1", "--continue-on-failure"]
    command += ["--suppress-health-check", "all", "--exclude-path-regex", _AGENTS]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
