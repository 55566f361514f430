"""Requests for certificates: what they name, who signs that, and what stands about them."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from wellhead.api.certificates.requests import (
    CLIENT,
    KUBELET_CLIENT,
    KUBELET_SERVING,
    BadRequest,
    Request,
    approval_of_own,
    problem,
    read,
)
from wellhead.api.errors import Invalid
from wellhead.api.kinds.csr import CERTIFICATESIGNINGREQUESTS
from wellhead.api.meta import Obj
from wellhead.api.strategy import Context
from wellhead.api.writes import create, received, update

CLIENT_USAGES = ("digital signature", "key encipherment", "client auth")
SERVER_USAGES = ("digital signature", "server auth")
NODE = ("system:nodes",)


def request(name: str = "bob", *organizations: str, dns: tuple[str, ...] = ()) -> str:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    if dns:
        names = x509.SubjectAlternativeName([x509.DNSName(each) for each in dns])
        builder = builder.add_extension(names, critical=False)
    made = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return base64.b64encode(made.public_bytes(Encoding.PEM)).decode()


def csr(**spec: object) -> Obj:
    usual = {"request": request(), "signerName": CLIENT, "usages": ["client auth"]}
    return {"metadata": {"name": "a"}, "spec": usual | spec}


def test_a_request_says_what_it_names() -> None:
    found = read(request("system:node:a", "system:nodes", dns=("a", "b")))
    assert found == Request("system:node:a", NODE, ("a", "b"))


def test_a_request_must_be_signed_by_its_own_key() -> None:
    pem = base64.b64decode(request()).decode().splitlines()
    der = bytearray(base64.b64decode("".join(pem[1:-1])))
    der[-1] ^= 1
    broken = "\n".join([pem[0], base64.b64encode(bytes(der)).decode(), pem[-1]])
    with pytest.raises(BadRequest):
        read(base64.b64encode(broken.encode()).decode())


@pytest.mark.parametrize("text", ["", "?", "YQ==", base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode()])
def test_what_is_no_request_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="PEM block type must be CERTIFICATE REQUEST"):
        read(text)


@pytest.mark.parametrize(
    ("wanted", "usages", "signer", "why"),
    [
        (Request("bob", ()), CLIENT_USAGES, CLIENT, ""),
        (Request("bob", ()), ("client auth",), CLIENT, ""),
        (
            Request("bob", ()),
            ("digital signature",),
            CLIENT,
            "missing required usage for client certificate: client auth",
        ),
        (
            Request("bob", ()),
            ("client auth", "server auth"),
            CLIENT,
            "invalid usage for client certificate: server auth",
        ),
        (Request("system:node:a", NODE), CLIENT_USAGES, KUBELET_CLIENT, ""),
        (
            Request("system:node:a", ()),
            CLIENT_USAGES,
            KUBELET_CLIENT,
            "subject organization is not system:nodes",
        ),
        (
            Request("a", NODE),
            CLIENT_USAGES,
            KUBELET_CLIENT,
            "subject common name does not begin with system:node:",
        ),
        (
            Request("system:node:a", NODE, ("a",)),
            CLIENT_USAGES,
            KUBELET_CLIENT,
            "DNS subjectAltNames are not allowed",
        ),
        (
            Request("system:node:a", NODE),
            ("client auth",),
            KUBELET_CLIENT,
            "usages did not match [client auth digital signature key encipherment]",
        ),
        (Request("system:node:a", NODE, ("a",)), SERVER_USAGES, KUBELET_SERVING, ""),
        (
            Request("system:node:a", NODE),
            SERVER_USAGES,
            KUBELET_SERVING,
            "DNS or IP subjectAltName is required",
        ),
    ],
)
def test_a_signer_takes_what_it_is_for(
    wanted: Request, usages: tuple[str, ...], signer: str, why: str
) -> None:
    assert problem(wanted, usages, signer) == why


def test_a_node_that_renews_needs_less() -> None:
    node = Request("system:node:a", NODE)
    both = ("selfnodeclient", "nodeclient")
    assert approval_of_own(node, CLIENT_USAGES, KUBELET_CLIENT, "system:node:a") == both
    assert approval_of_own(node, CLIENT_USAGES, KUBELET_CLIENT, "system:bootstrap:x") == ("nodeclient",)
    assert approval_of_own(node, CLIENT_USAGES, CLIENT, "system:node:a") == ()
    assert approval_of_own(Request("bob", ()), CLIENT_USAGES, KUBELET_CLIENT, "bob") == ()


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, ""),
        ({"request": "YQ=="}, "spec.request"),
        ({"usages": []}, "spec.usages"),
        ({"usages": ["x"]}, "spec.usages[0]"),
        ({"usages": ["any", "any"]}, "spec.usages[1]"),
        ({"signerName": ""}, "spec.signerName"),
        ({"signerName": "x"}, "spec.signerName"),
        ({"signerName": "x/y"}, "spec.signerName"),
        ({"signerName": "example.com/A"}, "spec.signerName"),
        ({"signerName": "kubernetes.io/legacy-unknown"}, "spec.signerName"),
        ({"expirationSeconds": 599}, "spec.expirationSeconds"),
    ],
)
def test_requests_are_validated(spec: dict[str, object], field: str) -> None:
    context = Context()
    made = received(CERTIFICATESIGNINGREQUESTS, csr(**spec), context)
    if not field:
        create(CERTIFICATESIGNINGREQUESTS, made, context)
        return
    with pytest.raises(Invalid) as caught:
        create(CERTIFICATESIGNINGREQUESTS, made, context)
    assert {cause.field for cause in caught.value.causes} == {field}


def condition(kind: str, status: str = "True") -> Obj:
    return {"type": kind, "status": status, "reason": "r", "message": "m"}


def changed(old: Obj, subresource: str, **status: Any) -> Obj:
    new = {**old, "metadata": dict(old["metadata"]), "status": {**(old.get("status") or {}), **status}}
    return update(CERTIFICATESIGNINGREQUESTS, new, old, Context(), subresource)


@pytest.fixture
def asked() -> Obj:
    context = Context()
    return create(CERTIFICATESIGNINGREQUESTS, received(CERTIFICATESIGNINGREQUESTS, csr(), context), context)


def test_an_approval_is_given_by_its_own_subresource(asked: Obj) -> None:
    with pytest.raises(Invalid, match='updates may not add a condition of type "Approved"'):
        changed(asked, "status", conditions=[condition("Approved")])
    approved = changed(asked, "approval", conditions=[condition("Approved")], certificate="YQ==")
    [found] = approved["status"]["conditions"]
    assert found["lastUpdateTime"] == found["lastTransitionTime"]
    assert "certificate" not in approved["status"]
    with pytest.raises(Invalid, match="mutually exclusive"):
        changed(approved, "approval", conditions=[condition("Approved"), condition("Denied")])
    with pytest.raises(Invalid, match='updates may not remove a condition of type "Approved"'):
        changed(approved, "approval", conditions=[])
    with pytest.raises(Invalid, match="Unsupported value"):
        changed(asked, "approval", conditions=[condition("Approved", "False")])


def test_a_certificate_is_given_once(asked: Obj) -> None:
    with pytest.raises(Invalid, match="must contain at least one CERTIFICATE PEM block"):
        changed(asked, "status", certificate="YQ==")


def test_what_was_asked_for_stays(asked: Obj) -> None:
    new = {**asked, "metadata": dict(asked["metadata"]), "spec": csr(usages=["any"])["spec"]}
    assert update(CERTIFICATESIGNINGREQUESTS, new, asked, Context())["spec"] == asked["spec"]


def test_an_approval_may_bring_annotations_along(asked: Obj) -> None:
    metadata = {**asked["metadata"], "annotations": {"a": "b"}}
    new = {**asked, "metadata": metadata, "status": {"conditions": [condition("Approved")]}}
    for subresource in ("approval", "status"):
        new["status"] = {"conditions": [condition("Approved")]} if subresource == "approval" else {}
        found = update(CERTIFICATESIGNINGREQUESTS, new, asked, Context(), subresource)
        assert found["metadata"]["annotations"] == {"a": "b"}
