"""What people type: the real kubectl against the server, without any controller behind it."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest

from tests.integration.apiserver.cluster import Cluster, User
from tests.integration.apiserver.objects import service_account
from tests.patience import reached

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: busybox, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue}
"""


def columns(table: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", line.strip()) for line in table.strip().splitlines()]


@pytest.fixture
async def default_account(admin: User) -> None:
    await admin.create("/api/v1/namespaces/default/serviceaccounts", service_account())


async def test_the_tutorials_commands(cluster: Cluster) -> None:
    run = cluster.ok
    created = await run("create", "deployment", "source-ip-app", "--image=k8s.gcr.io/echoserver:1.4")
    assert created == "deployment.apps/source-ip-app created\n"
    expose = ("expose", "deployment", "source-ip-app", "--port=80", "--target-port=8080")
    exposed = await run(*expose, "--name=clusterip")
    assert exposed == "service/clusterip exposed\n"
    header, row = columns(await run("get", "svc", "clusterip"))
    assert header == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert row[:2] + row[3:5] == ["clusterip", "ClusterIP", "<none>", "80/TCP"]
    await run(*expose, "--name=nodeport", "--type=NodePort")
    port = await run("get", "-o", "jsonpath={.spec.ports[0].nodePort}", "services", "nodeport")
    assert 30000 <= int(port) <= 32767
    patched = await run("patch", "svc", "nodeport", "-p", '{"spec":{"externalTrafficPolicy":"Local"}}')
    assert patched == "service/nodeport patched\n"
    await run(*expose, "--name=loadbalancer", "--type=LoadBalancer")
    assert columns(await run("get", "svc", "loadbalancer"))[1][3] == "<pending>"
    await run("patch", "svc", "loadbalancer", "-p", '{"spec":{"externalTrafficPolicy":"Local"}}')
    assert re.search(r"healthCheckNodePort: \d+", await run("get", "svc", "loadbalancer", "-o", "yaml"))
    deleted = await run("delete", "svc", "-l", "app=source-ip-app")
    assert deleted.count("deleted") == 3
    assert await run("delete", "deployment", "source-ip-app")


async def test_apply_diff_edit_and_replace(cluster: Cluster, tmp_path: Path) -> None:
    run = cluster.ok
    assert await run("apply", "-f", "-", stdin=MANIFEST) == (
        "deployment.apps/web created\nconfigmap/settings created\n"
    )
    assert (await run("apply", "-f", "-", stdin=MANIFEST)).count("unchanged") == 2
    changed = MANIFEST.replace("blue", "red").replace("image: busybox", "image: nginx")
    code, output = await cluster.kubectl("diff", "-f", "-", stdin=changed)
    assert (code, "+  colour: red" in output) == (1, True)
    assert (await run("apply", "-f", "-", stdin=changed)).count("configured") == 2
    wrong = MANIFEST.replace("replicas", "replcas")
    code, output = await cluster.kubectl("apply", "-f", "-", stdin=wrong)
    assert (code, 'unknown field "spec.replcas"' in output) == (1, True)
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i s/blue/green/ "$1"\n')
    editor.chmod(0o755)
    await run("edit", "configmap", "settings", environment={"KUBE_EDITOR": str(editor)})
    assert await run("get", "cm", "settings", "-o", "jsonpath={.data.colour}") == "green"
    assert "replaced" in await run("replace", "--force", "-f", "-", stdin=MANIFEST)
    assert "deleted" in await run("delete", "-f", "-", stdin=MANIFEST)


async def test_workload_commands(cluster: Cluster) -> None:
    run = cluster.ok
    await run("apply", "-f", "-", stdin=MANIFEST)
    await run("scale", "deployment/web", "--replicas=5")
    assert columns(await run("get", "deploy", "web", "-o", "wide"))[1][1] == "0/5"
    await run("set", "image", "deployment/web", "main=nginx")
    await run("set", "env", "deployment/web", "A=1")
    await run("set", "resources", "deployment/web", "--limits=cpu=1")
    await run("rollout", "restart", "deployment/web")
    await run("rollout", "pause", "deployment/web")
    await run("label", "deploy", "web", "tier=front")
    await run("annotate", "deploy", "web", "note=x")
    code, output = await cluster.kubectl("label", "deploy", "web", "tier=back")
    assert (code, "already has a value (front)" in output) == (1, True)
    described = await run("describe", "deploy", "web")
    assert "nginx" in described
    assert "Replicas:" in described
    await run("wait", "--for=jsonpath={.spec.replicas}=5", "deploy/web", "--timeout=60s")
    assert await run("get", "all", "-o", "name") == "service/kubernetes\ndeployment.apps/web\n"
    assert await run("get", "deploy", "-o", "custom-columns=N:.metadata.name", "--no-headers") == "web\n"


@pytest.mark.usefixtures("default_account")
async def test_pod_commands(cluster: Cluster) -> None:
    run = cluster.ok
    await run("run", "a", "--image=busybox", "--restart=Never", "--", "sleep", "1")
    header, row = columns(await run("get", "pods", "-o", "wide"))
    assert header[:5] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert row[:4] == ["a", "0/1", "Pending", "0"]
    assert "kube-api-access-" in await run("describe", "pod", "a")
    assert "No resources" in await run("get", "pods", "--field-selector=status.phase=Running")
    for command in ("logs", "exec", "attach"):
        arguments = [command, "a", *(["--", "ls"] if command == "exec" else [])]
        code, output = await cluster.kubectl(*arguments)
        assert (code, "does not have a host assigned" in output) == (1, True)
    await run("debug", "a", "--image=busybox:1", "-c", "d")
    template = "jsonpath={.spec.ephemeralContainers[*].image}"
    assert await run("get", "pod", "a", "-o", template) == "busybox:1"
    assert "deleted" in await run("delete", "pod", "a", "--now")


@pytest.mark.usefixtures("default_account")
async def test_watching(cluster: Cluster) -> None:
    run = cluster.ok
    await run("run", "a", "--image=busybox")
    for form, expected in (((), "a "), (("--output-watch-events", "-o", "json"), '"ADDED"')):
        watching = partial(cluster.kubectl, "get", "pods", "--watch", *form, "--request-timeout=2s")
        await reached(watching, lambda said, expected=expected: expected in said[1])  # type: ignore[misc]


async def test_namespaces_secrets_accounts(cluster: Cluster) -> None:
    run = cluster.ok
    await run("create", "namespace", "a")
    await run("create", "secret", "generic", "s", "--from-literal=k=v", "-n", "a")
    assert "k:  1 bytes" in await run("describe", "secret", "s", "-n", "a")
    await run("create", "serviceaccount", "b", "-n", "a")
    assert (await run("create", "token", "b", "-n", "a")).count(".") == 2
    await run("delete", "namespace", "a", "--wait=false")
    assert columns(await run("get", "ns", "a"))[1][1] == "Terminating"
    code, output = await cluster.kubectl("create", "configmap", "x", "-n", "a")
    assert (code, "because it is being terminated" in output) == (1, True)


async def test_asking_about_the_api(cluster: Cluster) -> None:
    run = cluster.ok
    assert "Server Version: v1.37" in await run("version")
    assert "deployments" in await run("api-resources")
    assert "apps/v1" in await run("api-versions")
    assert "livenessProbe" in await run("explain", "pod.spec.containers")
    assert "clusterIPs" in await run("explain", "service", "--recursive")
    assert "kubernetes-admin" in await run("auth", "whoami")
    assert await run("auth", "can-i", "create", "pods") == "yes\n"
    code, output = await cluster.kubectl("auth", "can-i", "create", "pods", "--as=nobody")
    assert (code, output) == (1, "no\n")
    code, output = await cluster.kubectl("get", "pods", identity="nobody")
    assert (code, "Forbidden" in output) == (1, True)
    assert await run("get", "--raw", "/livez") == "ok"
    assert "is running at" in await run("cluster-info")
