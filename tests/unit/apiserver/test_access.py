"""Who is let in, as whom, and what they may do."""

from __future__ import annotations

import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.apiserver.cluster import Cluster, User
from tests.unit.apiserver.objects import CONFIGMAPS, PODS, pod, service_account

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
REVIEWS = "/apis/authentication.k8s.io/v1"
ACCESS = "/apis/authorization.k8s.io/v1"


async def whoami(user: User) -> tuple[str, list[str]]:
    info = (await user.create(f"{REVIEWS}/selfsubjectreviews", {}))["status"]["userInfo"]
    return info["username"], info["groups"]


async def test_anonymous_may_ask_for_health_and_version_only(cluster: Cluster) -> None:
    nobody = await cluster.user(None)
    for path in ("/healthz", "/livez", "/readyz", "/readyz/ping", "/version"):
        await nobody.get(path)
    for path in ("/api", "/apis", CONFIGMAPS, "/metrics", "/openapi/v3", "/none"):
        status = (await nobody.call("GET", path)).expect(401)
        assert (status["reason"], status["message"]) == ("Unauthorized", "Unauthorized")


async def test_a_certificate_names_user_and_groups(cluster: Cluster, admin: User) -> None:
    assert await whoami(admin) == ("kubernetes-admin", ["system:masters", "system:authenticated"])
    nobody = await cluster.user("nobody")
    assert await whoami(nobody) == ("nobody", ["system:authenticated"])


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


async def test_impersonation_is_for_those_who_may(cluster: Cluster, admin: User) -> None:
    async def as_(user: User, **headers: str) -> int:
        sent = {f"Impersonate-{name}": value for name, value in headers.items()}
        return (await user.call("GET", PODS, headers=sent)).code

    assert await as_(admin, User="nobody") == 403
    assert await as_(admin, User="system:kube-scheduler") == 200
    assert await as_(admin, User="nobody", Group="system:masters") == 200
    nobody = await cluster.user("nobody")
    assert await as_(nobody, User="kubernetes-admin") == 403
    assert await as_(nobody, Group="system:masters") == 400
