"""Who is let in, as whom, and what they may do."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import time
from datetime import timedelta

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.integration.apiserver.cluster import Cluster, User
from tests.integration.apiserver.objects import CONFIGMAPS, NODES, PODS, binding, node, pod, service_account
from tests.patience import PATIENCE
from wellhead.api.meta import Obj
from wellhead.apiserver.registry import registry

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
REVIEWS = "/apis/authentication.k8s.io/v1"
ACCESS = "/apis/authorization.k8s.io/v1"


async def whoami(user: User) -> tuple[str, list[str]]:
    info = (await user.create(f"{REVIEWS}/selfsubjectreviews", {}))["status"]["userInfo"]
    return info["username"], info["groups"]


async def test_anonymous_may_ask_for_health_and_version_only(cluster: Cluster) -> None:
    nobody = await cluster.user(None)
    for path in ("/healthz", "/livez", "/readyz", "/version"):
        await nobody.get(path)
    for path in ("/api", "/apis", CONFIGMAPS, "/metrics", "/openapi/v3", "/none", "/readyz/ping"):
        status = (await nobody.call("GET", path)).expect(403)
        assert 'User "system:anonymous" cannot ' in status["message"]


async def test_a_certificate_names_user_and_groups(cluster: Cluster, admin: User) -> None:
    assert await whoami(admin) == ("kubernetes-admin", ["system:masters", "system:authenticated"])
    nobody = await cluster.user("nobody")
    assert await whoami(nobody) == ("nobody", ["system:authenticated"])
    info = (await nobody.create(f"{REVIEWS}/selfsubjectreviews", {}))["status"]["userInfo"]
    [credential] = info["extra"]["authentication.kubernetes.io/credential-id"]
    assert re.fullmatch("X509SHA256=[0-9a-f]{64}", credential)


async def test_forbidden_says_who_what_and_where(cluster: Cluster) -> None:
    nobody = await cluster.user("nobody")
    for method, path, message in (
        (
            "GET",
            PODS,
            'pods is forbidden: User "nobody" cannot list resource "pods" in API group ""'
            ' in the namespace "default"',
        ),
        (
            "GET",
            "/api/v1/nodes/x",
            'nodes "x" is forbidden: User "nobody" cannot get resource "nodes" in API group ""'
            " at the cluster scope",
        ),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/a/deployments/x/scale",
            'deployments.apps "x" is forbidden: User "nobody" cannot patch resource "deployments/scale"'
            ' in API group "apps" in the namespace "a"',
        ),
        ("GET", "/metrics", 'forbidden: User "nobody" cannot get path "/metrics"'),
    ):
        status = (await nobody.call(method, path)).expect(403)
        assert (status["reason"], status["message"]) == ("Forbidden", message)
    for path in ("/api", "/apis", "/openapi/v3", "/version", "/api/v1"):
        await nobody.get(path)


async def make_token(admin: User, name: str = "a", **spec: object) -> str:
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    answer = await admin.create(f"{ACCOUNTS}/{name}/token", request)
    return str(answer["status"]["token"])


async def test_a_service_account_token_works_while_the_account_lives(cluster: Cluster, admin: User) -> None:
    created = await admin.create(ACCOUNTS, service_account("a"))
    token = await make_token(admin)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["sub"] == "system:serviceaccount:default:a"
    assert claims["aud"] == ["https://kubernetes.default.svc"]
    assert claims["kubernetes.io"]["serviceaccount"]["uid"] == created["metadata"]["uid"]
    account = await cluster.user(None, token)
    assert await whoami(account) == (
        "system:serviceaccount:default:a",
        ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
    )
    (await account.call("GET", PODS)).expect(403)
    await admin.delete(f"{ACCOUNTS}/a")
    await admin.create(ACCOUNTS, service_account("a"))
    (await account.call("GET", "/api")).expect(401)


async def test_a_token_bound_to_a_pod_dies_with_it(cluster: Cluster, admin: User) -> None:
    await admin.create(ACCOUNTS, service_account())
    created = await admin.create(PODS, pod("a"))
    reference = {"kind": "Pod", "apiVersion": "v1", "name": "a", "uid": created["metadata"]["uid"]}
    token = await make_token(admin, "default", boundObjectRef=reference)
    account = await cluster.user(None, token)
    review = await admin.create(f"{REVIEWS}/tokenreviews", {"spec": {"token": token}})
    assert review["status"]["authenticated"] is True
    assert review["status"]["user"]["extra"]["authentication.kubernetes.io/pod-name"] == ["a"]
    await account.get("/api")
    await admin.delete(f"{PODS}/a")
    (await account.call("GET", "/api")).expect(401)
    review = await admin.create(f"{REVIEWS}/tokenreviews", {"spec": {"token": token}})
    assert "authenticated" not in review["status"]
    assert "gone or was replaced" in review["status"]["error"]


async def test_token_requests_are_checked(admin: User) -> None:
    await admin.create(ACCOUNTS, service_account("a"))
    path = f"{ACCOUNTS}/a/token"
    short = (await admin.call("POST", path, {"spec": {"expirationSeconds": 10}})).expect(422)
    assert "may not specify a duration less than 10 minutes" in short["message"]
    missing = {"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "none"}}}
    (await admin.call("POST", path, missing)).expect(404)
    (await admin.call("POST", f"{ACCOUNTS}/none/token", {"spec": {}})).expect(404)


@pytest.mark.parametrize("flaw", ["key", "issuer", "audience", "expired", "algorithm", "subject", "garbage"])
async def test_a_flawed_token_is_refused(cluster: Cluster, admin: User, flaw: str) -> None:
    await admin.create(ACCOUNTS, service_account("a"))
    token = await make_token(admin)
    claims = jwt.decode(token, options={"verify_signature": False})
    key: object = (cluster.pki.directory / "service-account.key").read_bytes()
    algorithm = "ES256"
    match flaw:
        case "key":
            key = ec.generate_private_key(ec.SECP256R1())
        case "issuer":
            claims["iss"] = "other"
        case "audience":
            claims["aud"] = ["other"]
        case "expired":
            claims["exp"] = int(time.time()) - 10
        case "algorithm":
            key, algorithm = None, "none"
        case "subject":
            claims["sub"] = "system:serviceaccount:default:b"
    forged = "abc" if flaw == "garbage" else jwt.encode(claims, key, algorithm)  # type: ignore[arg-type]
    user = await cluster.user(None, forged)
    (await user.call("GET", "/api")).expect(401)


async def test_access_reviews_agree_with_what_happens(cluster: Cluster, admin: User) -> None:
    async def may(user: User, kind: str, spec: object) -> bool:
        answer = await user.create(f"{ACCESS}/{kind}", {"spec": spec})
        return bool(answer["status"]["allowed"])

    pods = {"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "default"}}
    nobody = await cluster.user("nobody")
    assert await may(admin, "selfsubjectaccessreviews", pods)
    assert not await may(nobody, "selfsubjectaccessreviews", pods)
    path = {"nonResourceAttributes": {"verb": "get", "path": "/version"}}
    assert await may(nobody, "selfsubjectaccessreviews", path)
    assert await may(admin, "subjectaccessreviews", pods | {"user": "system:kube-scheduler"})
    assert not await may(admin, "subjectaccessreviews", pods | {"user": "somebody", "groups": ["x"]})
    (await admin.call("POST", f"{ACCESS}/subjectaccessreviews", {"spec": pods})).expect(422)
    (await admin.call("POST", f"{ACCESS}/selfsubjectaccessreviews", {"spec": {}})).expect(422)


@pytest.mark.parametrize(
    ("identity", "allowed", "denied"),
    [
        ("kube-scheduler", ("GET", PODS), ("DELETE", "/api/v1/nodes/x")),
        ("kube-proxy", ("GET", "/api/v1/services"), ("GET", PODS)),
        ("cloud-controller-manager", ("GET", "/api/v1/services"), ("GET", "/api/v1/secrets")),
        ("kube-controller-manager", ("GET", "/api/v1/secrets"), ("POST", "/api/v1/nodes")),
    ],
)
async def test_components_have_their_roles(
    cluster: Cluster, identity: str, allowed: tuple[str, str], denied: tuple[str, str]
) -> None:
    user = await cluster.user(identity)
    (await user.call(*allowed)).expect(200)
    (await user.call(*denied)).expect(403)


async def test_access_reviews_know_what_a_list_is_limited_to(admin: User) -> None:
    async def may(selector: object) -> bool:
        attributes = {"verb": "list", "resource": "pods", "fieldSelector": selector}
        spec = {"user": "system:node:node-1", "groups": ["system:nodes"], "resourceAttributes": attributes}
        answer = await admin.create(f"{ACCESS}/subjectaccessreviews", {"spec": spec})
        return bool(answer["status"]["allowed"])

    def term(**changed: object) -> Obj:
        return {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["node-1"]} | changed]}

    assert await may({"rawSelector": "spec.nodeName=node-1"})
    assert await may(term())
    for selector in (
        None,
        {"rawSelector": "spec.nodeName!=node-1"},
        {"rawSelector": "spec.nodeName=node-2"},
        {"rawSelector": "not a selector"},
        term(values=["node-2"]),
        term(values=["node-1", "node-2"]),
        term(operator="NotIn"),
    ):
        assert not await may(selector), selector
    both = {"resourceAttributes": {"verb": "list", "fieldSelector": {"rawSelector": "a=b"} | term()}}
    (await admin.call("POST", f"{ACCESS}/selfsubjectaccessreviews", {"spec": both})).expect(422)


async def test_impersonation_is_for_those_who_may(cluster: Cluster, admin: User) -> None:
    async def as_(user: User, **headers: str) -> int:
        sent = {f"Impersonate-{name.replace('_', '-')}": value for name, value in headers.items()}
        return (await user.call("GET", PODS, headers=sent)).code

    assert await as_(admin, User="nobody") == 403
    assert await as_(admin, User="system:kube-scheduler") == 200
    assert await as_(admin, User="nobody", Group="system:masters") == 200
    assert await as_(admin, Group="system:masters") == 400
    assert await as_(admin, User="", Group="system:masters") == 400
    assert await as_(admin, Uid="1") == 400
    assert await as_(admin, Extra_scopes="x") == 400
    assert await as_(admin, UID="1", extra_SCOPES="x") == 400
    assert await as_(admin, User="system:kube-scheduler", Unknown="x") == 400
    for name in ("nobody", "kube-scheduler", "kube-controller-manager", "node-1", "cloud-controller-manager"):
        user = await cluster.user(name)
        for wanted in ("kubernetes-admin", "system:serviceaccount:default:a", "system:node:node-2", name):
            assert await as_(user, User=wanted) == 403
            assert await as_(user, USER=wanted, GROUP="system:masters") == 403
        assert await as_(user, Group="system:masters") == 400
        assert await as_(user, Uid="1") == 400


async def repeating(cluster: Cluster, method: str, path: str, *headers: tuple[str, str]) -> tuple[int, bytes]:
    """The admin's request, whose headers may occur more than once, which aiohttp's client wouldn't send."""

    def send() -> tuple[int, bytes]:
        host, tls = cluster.url.removeprefix("https://"), cluster.pki.client_context("admin")
        connection = http.client.HTTPSConnection(host, context=tls, timeout=PATIENCE)
        connection.putrequest(method, path)
        for name, value in (*headers, ("Content-Length", "2"), ("Content-Type", "application/json")):
            connection.putheader(name, value)
        connection.endheaders(b"{}")
        answer = connection.getresponse()
        with contextlib.closing(connection):
            return answer.status, answer.read()

    return await asyncio.to_thread(send)


async def test_impersonation_takes_on_uid_groups_and_extra(cluster: Cluster) -> None:
    async def who(*headers: tuple[str, str]) -> Obj:
        code, body = await repeating(cluster, "POST", f"{REVIEWS}/selfsubjectreviews", *headers)
        assert code == 201, body
        info: Obj = json.loads(body)["status"]["userInfo"]
        return info

    assert await who(
        ("impersonate-user", "jane"),
        ("Impersonate-UID", "06f6ce97"),
        ("IMPERSONATE-GROUP", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-Acme.com%2fProject", "one"),
        ("Impersonate-Extra-acme.com%2Fproject", "two"),
    ) == {
        "username": "jane",
        "uid": "06f6ce97",
        "groups": ["a", "b", "system:authenticated"],
        "extra": {"acme.com/project": ["one", "two"]},
    }
    account = await who(("Impersonate-User", "system:serviceaccount:default:a"))
    groups = ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
    assert account["groups"] == groups
    named = await who(("Impersonate-User", "jane"), ("Impersonate-Group", "system:authenticated"))
    assert named["groups"] == ["system:authenticated"]


async def test_nobody_is_two_users(cluster: Cluster) -> None:
    two = ("Impersonate-User", "nobody"), ("impersonate-user", "kubernetes-admin")
    assert (await repeating(cluster, "GET", PODS, *two))[0] == 400
    code, body = await repeating(cluster, "GET", PODS, ("Impersonate-User", "system:anonymous"))
    assert (code, b"system:anonymous" in body) == (403, True)


@pytest.mark.parametrize("identity", ["agent", "server"])
async def test_a_servers_certificate_is_nobodys(cluster: Cluster, identity: str) -> None:
    user = await cluster.user(identity)
    with pytest.raises(aiohttp.ClientError):
        await user.call("GET", PODS)


async def test_a_token_works_for_thirty_days_at_most(admin: User) -> None:
    await admin.create(ACCOUNTS, service_account("a"))
    path = f"{ACCOUNTS}/a/token"
    answer = await admin.call("POST", path, {"spec": {"expirationSeconds": 365 * 86400}})
    spec = answer.expect(201)["spec"]
    assert spec["expirationSeconds"] == 30 * 86400
    text = "requested expiration of 31536000 seconds shortened to 2592000 seconds"
    assert text in answer.headers["Warning"]
    claims = jwt.decode(answer.body["status"]["token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 30 * 86400
    for seconds in (-1, 0, 599, 2**32 + 1):
        (await admin.call("POST", path, {"spec": {"expirationSeconds": seconds}})).expect(422)
    wrongs: tuple[object, ...] = ("600", 1.5, True, [], {})
    for wrong in wrongs:
        (await admin.call("POST", path, {"spec": {"expirationSeconds": wrong}})).expect(400)


async def test_a_review_says_for_whom_a_token_is_meant(cluster: Cluster, admin: User) -> None:
    await admin.create(ACCOUNTS, service_account("a"))
    token = await make_token(admin, audiences=["vault", "other"])

    async def reviewed(*audiences: str) -> Obj:
        spec = {"token": token, "audiences": list(audiences)}
        status: Obj = (await admin.create(f"{REVIEWS}/tokenreviews", {"spec": spec}))["status"]
        return status

    assert (await reviewed("vault", "another"))["audiences"] == ["vault"]
    assert "authenticated" not in await reviewed("another")
    assert "authenticated" not in await reviewed()
    (await (await cluster.user(None, token)).call("GET", "/api")).expect(401)


async def test_a_token_names_its_pods_node_and_dies_with_a_node_it_is_bound_to(
    cluster: Cluster, admin: User
) -> None:
    await admin.create(ACCOUNTS, service_account())
    made = await admin.create(NODES, node("node-1"))
    await admin.create(PODS, pod("a"))
    await admin.create(f"{PODS}/a/binding", binding("a"))
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "a"}
    of_pod = await make_token(admin, "default", boundObjectRef=bound)
    of_node = await make_token(admin, "default", boundObjectRef=bound | {"kind": "Node", "name": "node-1"})
    status = (await admin.create(f"{REVIEWS}/tokenreviews", {"spec": {"token": of_pod}}))["status"]
    extra = status["user"]["extra"]
    assert extra["authentication.kubernetes.io/node-name"] == ["node-1"]
    assert extra["authentication.kubernetes.io/node-uid"] == [made["metadata"]["uid"]]
    users = [await cluster.user(None, token) for token in (of_pod, of_node)]
    assert [(await user.call("GET", "/api")).code for user in users] == [200, 200]
    await admin.delete(f"{NODES}/node-1")
    await admin.create(NODES, node("node-1"))
    assert [(await user.call("GET", "/api")).code for user in users] == [200, 401]


async def test_finalizers_keep_no_token_alive(
    cluster: Cluster, admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    await admin.create(ACCOUNTS, service_account("a") | {"metadata": {"name": "a", "finalizers": ["x.io/y"]}})
    account = await cluster.user(None, await make_token(admin))
    await admin.delete(f"{ACCOUNTS}/a")
    await account.get("/api")
    monkeypatch.setattr(registry, "_LEEWAY", timedelta(seconds=-2))
    (await account.call("GET", "/api")).expect(401)


async def test_others_can_verify_tokens(cluster: Cluster, admin: User) -> None:
    await admin.create(ACCOUNTS, service_account())
    token = (await admin.create(f"{ACCOUNTS}/default/token", {"spec": {"audiences": ["x"]}}))["status"][
        "token"
    ]
    user = await cluster.user(
        None, (await admin.create(f"{ACCOUNTS}/default/token", {"spec": {}}))["status"]["token"]
    )
    configuration = await user.get("/.well-known/openid-configuration")
    assert configuration["issuer"] == "https://kubernetes.default.svc"
    assert configuration["jwks_uri"].endswith("/openid/v1/jwks")
    answer = await user.call("GET", "/openid/v1/jwks")
    assert answer.headers["Content-Type"] == "application/jwk-set+json"
    keys = jwt.PyJWKSet.from_json(answer.expect(200))
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["ES256"], audience="x", issuer=configuration["issuer"])
    assert claims["sub"] == "system:serviceaccount:default:default"


async def test_a_bootstrap_token_is_somebody_until_it_ends(cluster: Cluster, admin: User) -> None:
    data = {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
    }
    secret = {
        "metadata": {"name": "bootstrap-token-abcdef"},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": data,
    }
    secrets = "/api/v1/namespaces/kube-system/secrets"
    bearer = await cluster.user(None, "abcdef.0123456789abcdef")
    (await bearer.call("GET", "/api")).expect(401)
    await admin.create(secrets, secret)
    assert await whoami(bearer) == (
        "system:bootstrap:abcdef",
        ["system:bootstrappers", "system:authenticated"],
    )
    ended = {"stringData": {"expiration": "2026-01-01T00:00:00Z"}}
    await admin.patch(f"{secrets}/bootstrap-token-abcdef", ended)
    (await bearer.call("GET", "/api")).expect(401)
