"""The audit log: what is put down of whose requests, in a file and at a webhook."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import yaml
from aiohttp import web

from tests.integration.apiserver.cluster import Cluster, serve
from tests.integration.apiserver.hooks import deny, webhooks
from tests.integration.apiserver.objects import configmap
from tests.integration.apiserver.pki import Pki
from tests.patience import reached
from wellhead.api.meta import Obj
from wellhead.apiserver.audit.options import AuditOptions, Delivery

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
RULES: list[Obj] = [
    {"level": "None", "nonResourceURLs": ["/readyz"]},
    {"level": "RequestResponse", "resources": [{"resources": ["configmaps"]}], "verbs": ["create", "patch"]},
    {"level": "Metadata"},
]


@contextlib.asynccontextmanager
async def audited(
    pki: Pki, directory: Path, **options: Any
) -> AsyncIterator[tuple[Cluster, Callable[[], list[Any]]]]:
    """A server with a log file, and what has been put down there, the newest last."""
    policy, log = directory / "policy.yaml", directory / "audit.log"
    policy.write_text(yaml.safe_dump({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": RULES}))
    async with serve(
        pki, directory, audit=AuditOptions(**{"policy_file": policy, "log_path": str(log), **options})
    ) as cluster:
        yield cluster, lambda: [msgspec.json.decode(line) for line in log.read_bytes().splitlines()]


def of(events: list[Any], audit_id: str) -> list[Any]:
    return [event for event in events if event["auditID"] == audit_id]


async def test_what_is_put_down_of_a_request(pki: Pki, tmp_path: Path) -> None:
    async with audited(pki, tmp_path) as (cluster, events):
        admin, nobody = await cluster.user(), await cluster.user("nobody")

        answer = await admin.call("POST", CONFIGMAPS, configmap("a"))
        received, complete = of(events(), answer.headers["Audit-Id"])
        assert (received["stage"], complete["stage"]) == ("RequestReceived", "ResponseComplete")
        assert "responseStatus" not in received
        assert complete["requestObject"]["metadata"]["name"] == "a"
        assert complete["responseObject"]["metadata"]["uid"] == answer.body["metadata"]["uid"]
        assert complete["responseStatus"] == {"metadata": {}, "code": 201}
        assert complete["objectRef"] == {
            "resource": "configmaps",
            "namespace": "default",
            "name": "a",
            "apiVersion": "v1",
        }
        assert complete["user"]["username"] == "kubernetes-admin"
        assert complete["sourceIPs"] == ["127.0.0.1"]
        assert complete["annotations"]["authorization.k8s.io/decision"] == "allow"

        headers = {"Audit-ID": "mine", "Content-Type": "application/merge-patch+json"}
        patched = await admin.call("PATCH", f"{CONFIGMAPS}/a", {"data": {"k": "v"}}, headers=headers)
        assert patched.headers["Audit-Id"] == "mine"
        assert of(events(), "mine")[-1]["requestObject"] == {"data": {"k": "v"}}

        refused = await nobody.call("GET", f"{CONFIGMAPS}/a")
        last = of(events(), refused.headers["Audit-Id"])[-1]
        assert last["annotations"]["authorization.k8s.io/decision"] == "forbid"
        assert last["responseStatus"]["reason"] == "Forbidden"
        assert "responseObject" not in last

        acting = await admin.call("GET", f"{CONFIGMAPS}/a", headers={"Impersonate-User": "bob"})
        last = of(events(), acting.headers["Audit-Id"])[-1]
        assert last["user"]["username"] == "kubernetes-admin"
        assert last["impersonatedUser"]["username"] == "bob"

        healthy = await admin.call("GET", "/readyz")
        assert not of(events(), healthy.headers["Audit-Id"])


async def test_who_a_bad_token_belongs_to_is_not_known(pki: Pki, tmp_path: Path) -> None:
    async with audited(pki, tmp_path) as (cluster, events):
        stranger = await cluster.user(None, token="a.b.c")
        answer = await stranger.call("GET", CONFIGMAPS)
        assert answer.code == 401
        last = of(events(), answer.headers["Audit-Id"])[-1]
        assert (last["stage"], last["user"]) == ("ResponseStarted", {})
        assert last["responseStatus"]["message"] == "Authentication failed, attempted: bearer"


async def test_a_watch_has_an_event_when_it_begins_and_one_when_its_client_leaves(
    pki: Pki, tmp_path: Path
) -> None:
    async with audited(pki, tmp_path) as (cluster, events):
        admin = await cluster.user()
        async with admin.watch(CONFIGMAPS) as watch:
            audit_id = watch.response.headers["Audit-Id"]
            await reached(lambda: len(of(events(), audit_id)) == 2)
            assert of(events(), audit_id)[-1]["stage"] == "ResponseStarted"
        stages = await reached(
            lambda: [each["stage"] for each in of(events(), audit_id)], lambda each: len(each) == 3
        )
        assert stages == ["RequestReceived", "ResponseStarted", "ResponseComplete"]


async def test_webhooks_add_annotations(pki: Pki, tmp_path: Path) -> None:
    async with audited(pki, tmp_path) as (cluster, events), webhooks(pki) as hooks:
        admin = await cluster.user()

        def noting(request: Obj) -> Obj:
            return {**deny(message="no")(request), "auditAnnotations": {"why": "because"}}

        await hooks.register(admin, "validating", "noting", noting)
        answer = await reached(
            lambda: admin.call("POST", CONFIGMAPS, configmap("a")), lambda answer: answer.code == 400
        )
        annotations = of(events(), answer.headers["Audit-Id"])[-1]["annotations"]
        assert [value for key, value in annotations.items() if key.endswith("/why")] == ["because"]


async def test_without_its_event_a_request_is_refused_in_strict_mode(pki: Pki, tmp_path: Path) -> None:
    strict = Delivery("blocking-strict", batch_seconds=0.0)
    async with audited(pki, tmp_path, log_path="/dev/full", log=strict, log_max_size=0) as (cluster, _):
        admin = await cluster.user()
        answer = await admin.call("GET", CONFIGMAPS)
        assert (answer.code, answer.body["message"]) == (
            500,
            "Internal error occurred: failed to store audit event",
        )


async def test_events_are_posted_in_batches(pki: Pki, tmp_path: Path) -> None:
    posted: list[Any] = []

    async def take(request: web.BaseRequest) -> web.Response:
        body = await request.json()
        if not posted:
            posted.append([])
            return web.Response(status=503)  # it is asked once more
        posted.append(body)
        return web.Response()

    runner = web.ServerRunner(web.Server(take))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    _, port = runner.addresses[0]
    kubeconfig = tmp_path / "webhook.kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}/audit"}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": ""}}],
                "current-context": "x",
            }
        )
    )
    delivery = Delivery("batch", batch_seconds=0.0)
    try:
        async with audited(
            pki, tmp_path, webhook_config_file=kubeconfig, webhook=delivery, webhook_initial_backoff=0.01
        ) as (cluster, _):
            admin = await cluster.user()
            answer = await admin.call("POST", CONFIGMAPS, configmap("a"))

            def arrived() -> list[Any]:
                return of(
                    [event for each in posted[1:] for event in each["items"]], answer.headers["Audit-Id"]
                )

            await reached(lambda: len(arrived()) == 2)
            assert posted[1]["kind"] == "EventList"
    finally:
        await runner.cleanup()


async def test_a_policy_that_is_none_ends_the_server_s_start(pki: Pki, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("kind: Policy")
    options = AuditOptions(policy_file=policy, log_path=str(tmp_path / "audit.log"))
    said = ""
    try:
        async with serve(pki, tmp_path, audit=options):
            pass
    except* ValueError as errors:
        error: BaseException = errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        said = str(error)
    assert "loading audit policy file: unknown group version" in said
    assert str(policy) in said
