"""A page of a cluster follows it, whatever happens to its API server, and says what it may not read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest

from tests.integration.apiserver.cluster import Cluster, User
from tests.integration.apiserver.objects import NODES, PODS, SERVICES, pod, service, service_account
from tests.integration.page.browser import Browser, Followed, Gate, page
from tests.patience import reached
from wellhead.page.source import of_kubeconfig
from wellhead.page.values import Can
from wellhead.snapshot.sources import NoSource

SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
ROLES = "/apis/rbac.authorization.k8s.io/v1"
WEB = "service/default/web"


@pytest.fixture
async def admin(cluster: Cluster) -> User:
    return await cluster.user()


@pytest.fixture
async def browser(cluster: Cluster) -> AsyncIterator[Browser]:
    async with page(of_kubeconfig(str(cluster.kubeconfig()))) as browser:
        yield browser


def node(name: str) -> dict[str, Any]:
    addresses = [{"type": "InternalIP", "address": "10.240.0.11"}]
    status = {"addresses": addresses}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": status}


def endpoints(*addresses: str) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": [each], "conditions": {"ready": True}, "nodeName": "node-1"} for each in addresses
        ],
    }


def policy(followed: Followed) -> str:
    return str(followed.scene.get(WEB, {}).get("externalTrafficPolicy"))


async def test_it_follows_what_happens(admin: User, browser: Browser) -> None:
    async with browser.follow() as followed:
        await followed.until(lambda it: it.scene)
        await followed.until(lambda it: it.state.get("connected"))
        await admin.create(NODES, node("node-1"))
        await admin.create(SERVICES, service("web", type="NodePort"))
        await followed.until(lambda it: "node/node-1" in it.scene and policy(it) == "Cluster")
        await admin.create(SLICES, endpoints("10.244.1.2", "10.244.1.3"))
        await followed.until(lambda it: len(it.scene[WEB]["endpoints"]) == 2)
        slice_ = await admin.get(f"{SLICES}/web-1")
        await admin.update(f"{SLICES}/web-1", slice_ | {"endpoints": slice_["endpoints"][:1]})
        await followed.until(lambda it: len(it.scene[WEB]["endpoints"]) == 1)
        await admin.patch(f"{SERVICES}/web", {"spec": {"externalTrafficPolicy": "Local"}})
        await followed.until(lambda it: policy(it) == "Local")
        answer = await browser.post("/api/ask", {"target": "svc/web", "clients": ["outside"]})
        assert "LocalPolicy" in str(answer["report"])
        await admin.create("/api/v1/namespaces/default/serviceaccounts", service_account())
        await admin.create(PODS, pod("client"))
        await followed.until(lambda it: "pod/default/client" in it.scene)
        await admin.delete(f"{SERVICES}/web")
        await followed.until(lambda it: WEB not in it.scene)
        assert followed.scenes == 1


async def test_two_pages_are_told_the_same(admin: User, browser: Browser) -> None:
    async with browser.follow() as one, browser.follow() as other:
        await admin.create(SERVICES, service("web"))
        for each in (one, other):
            await each.until(lambda it: WEB in it.scene)
        assert one.scene == other.scene


async def test_a_server_that_goes_and_comes_back_is_said_and_caught_up_with(
    cluster: Cluster, admin: User
) -> None:
    address = urlsplit(cluster.url)
    assert address.port is not None
    async with Gate(address.port) as gate:
        file = _elsewhere(cluster, gate.port)
        async with page(of_kubeconfig(str(file))) as browser, browser.follow() as followed:
            await followed.until(lambda it: it.scene and it.state.get("connected"))
            await admin.create(SERVICES, service("web", type="NodePort"))
            await admin.create(SERVICES, service("gone"))
            await followed.until(lambda it: WEB in it.scene and "service/default/gone" in it.scene)
            await gate.close()
            await followed.until(lambda it: it.state.get("connected") is False)
            assert followed.state["why"]
            # What is known is answered for meanwhile.
            assert (await browser.post("/api/ask", {"target": "svc/web"}))["report"]["ways"]
            await admin.patch(f"{SERVICES}/web", {"spec": {"externalTrafficPolicy": "Local"}})
            await admin.delete(f"{SERVICES}/gone")
            gate.open()
            await followed.until(
                lambda it: (
                    it.state.get("connected")
                    and policy(it) == "Local"
                    and "service/default/gone" not in it.scene
                )
            )
            assert followed.scenes == 1


async def test_who_may_read_nothing_is_told_what_that_leaves_open(cluster: Cluster) -> None:
    async with page(of_kubeconfig(str(cluster.kubeconfig("nobody")))) as browser:
        async with browser.follow() as followed:
            await followed.until(lambda it: it.scene)
        unread = {each["what"]: each for each in followed.unread}
        assert unread["Service objects"] == {
            "what": "Service objects",
            "why": "forbidden",
            "leavesOpen": "everything",
        }
        assert "Node objects" in unread
        status, told = await browser.call("POST", "/api/ask", {"target": "svc/web"})
        assert (status, told["message"]) == (
            400,
            "there is no Service 'web'; there are none",
        )


async def test_who_may_read_a_namespace_follows_that(cluster: Cluster, admin: User) -> None:
    await _allow(admin, "list", "watch")
    await admin.create(SERVICES, service("web"))
    async with (
        page(of_kubeconfig(str(cluster.kubeconfig("nobody")))) as browser,
        browser.follow() as followed,
    ):
        await followed.until(lambda it: WEB in it.scene)
        assert "Service objects outside of namespace default" in {each["what"] for each in followed.unread}
        await admin.create(SERVICES, service("api"))
        await followed.until(lambda it: "service/default/api" in it.scene)


async def test_who_may_not_watch_is_told_so_and_sees_what_is_new_when_the_page_is_opened(
    cluster: Cluster, admin: User
) -> None:
    await _allow(admin, "list")
    await admin.create(SERVICES, service("web"))
    await admin.create(SERVICES, service("gone"))
    async with page(of_kubeconfig(str(cluster.kubeconfig("nobody")))) as browser:
        async with browser.follow() as followed:
            await followed.until(lambda it: WEB in it.scene and "service/default/gone" in it.scene)
            unread = {each["what"]: each["why"] for each in followed.unread}
            assert "not followed" in unread["Service objects outside of namespace default"]
            await admin.create(SERVICES, service("api"))
            await admin.delete(f"{SERVICES}/gone")
        async with browser.follow() as followed:
            await followed.until(
                lambda it: "service/default/api" in it.scene and "service/default/gone" not in it.scene
            )


async def _allow(admin: User, *verbs: str) -> None:
    """Let nobody do this with the Services of the namespace."""
    rules = [{"apiGroups": [""], "resources": ["services"], "verbs": list(verbs)}]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "some"}}
    await admin.create(f"{ROLES}/namespaces/default/roles", role | {"rules": rules})
    await admin.create(
        f"{ROLES}/namespaces/default/rolebindings",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "some"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "some"},
            "subjects": [{"kind": "User", "name": "nobody", "apiGroup": "rbac.authorization.k8s.io"}],
        },
    )


async def test_a_kind_that_comes_to_be_served_is_followed(admin: User, browser: Browser) -> None:
    """As when a load balancer is installed: first its kinds, then its program."""
    await admin.create(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "ipaddresspools.metallb.io"},
            "spec": {
                "group": "metallb.io",
                "names": {"kind": "IPAddressPool", "plural": "ipaddresspools"},
                "scope": "Namespaced",
                "versions": [
                    {
                        "name": "v1beta1",
                        "served": True,
                        "storage": True,
                        "schema": {
                            "openAPIV3Schema": {
                                "type": "object",
                                "x-kubernetes-preserve-unknown-fields": True,
                            }
                        },
                    }
                ],
            },
        },
    )
    pool = {"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": {"name": "pool"}}
    path = "/apis/metallb.io/v1beta1/namespaces/default/ipaddresspools"

    async def created() -> bool:
        return (await admin.call("POST", path, pool)).code in (201, 409)

    await reached(created)

    async def known() -> bool:
        async with browser.follow() as followed:
            await followed.next()
        return browser.model.store.has("IPAddressPool")

    await reached(known)


def _elsewhere(cluster: Cluster, port: int) -> Path:
    """A kubeconfig by which the API server is at another port."""
    file = cluster.kubeconfig()
    file.write_text(file.read_text().replace(cluster.url, f"https://127.0.0.1:{port}"))
    return file


async def test_without_a_cluster_there_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(NoSource, match="nothing"):
        async with page(of_kubeconfig(str(tmp_path / "nothing"))):
            pass


async def test_an_api_server_that_is_not_there_is_said_at_once(cluster: Cluster) -> None:
    file = _elsewhere(cluster, 1)
    with pytest.raises(NoSource, match="can't be reached"):
        async with page(of_kubeconfig(str(file))):
            pass


async def test_packets_are_sent_where_somebody_watches_them(cluster: Cluster, admin: User) -> None:
    source = replace(of_kubeconfig(str(cluster.kubeconfig())), send=Can(can=True), watch=_nobody)
    async with page(source) as browser, browser.follow() as followed:
        await followed.until(lambda it: it.scene)
        assert followed.capabilities["send"]["can"] is False
        status, told = await browser.call("POST", "/api/send", {"client": "client", "target": "svc/web"})
        assert (status, told["message"]) == (403, followed.capabilities["send"]["why"])
        await admin.create("/api/v1/namespaces/default/serviceaccounts", service_account())
        helper = pod("helper", nodeName="node-1")
        helper["metadata"]["labels"] = {"app.kubernetes.io/name": "wellhead-trace"}
        created = await admin.create(PODS, helper)
        ready = {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"}
        await admin.update(f"{PODS}/helper/status", created | {"status": ready})
        await followed.until(lambda it: it.capabilities["send"]["can"])
        await admin.delete(f"{PODS}/helper", {"gracePeriodSeconds": 0})
        await followed.until(lambda it: not it.capabilities["send"]["can"])


def _nobody() -> NoReturn:
    raise AssertionError("nothing is sent here")
