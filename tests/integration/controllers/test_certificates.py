"""Certificates on request, from the request to a client that has one."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from cryptography import x509

from tests.integration.apiserver.pki import Pki
from tests.integration.controllers.world import World, sharing
from tests.integration.controllers.world import world as make_world
from tests.unit.api.test_certificates import CLIENT_USAGES, condition, request
from wellhead.api.certificates.requests import CLIENT, KUBELET_CLIENT
from wellhead.api.errors import Forbidden
from wellhead.api.meta import Obj, format_time
from wellhead.api.meta import condition as condition_of
from wellhead.api.resources import CERTIFICATESIGNINGREQUESTS, SECRETS
from wellhead.controllers.certificates.controllers import cleaned_at
from wellhead.controllers.certificates.signing import Authority


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    certificate, key = pki.directory / "ca.crt", pki.directory / "ca.key"
    authority = Authority.load(certificate, key, timedelta(days=1))
    async with make_world(pki, tmp_path_factory.mktemp("world"), signing=authority) as world:
        yield world


async def ask(world: World, name: str, text: str, signer: str = CLIENT) -> Obj:
    return await world.client.create(
        CERTIFICATESIGNINGREQUESTS,
        {
            "apiVersion": CERTIFICATESIGNINGREQUESTS.api_version,
            "kind": CERTIFICATESIGNINGREQUESTS.kind,
            "metadata": {"name": name},
            "spec": {
                "request": text,
                "signerName": signer,
                "usages": list(CLIENT_USAGES),
                "expirationSeconds": 3600,
                "username": "somebody else",
            },
        },
    )


async def approve(world: World, asked: Obj) -> None:
    status = {"conditions": [condition("Approved")]}
    await world.client.update(CERTIFICATESIGNINGREQUESTS, asked | {"status": status}, "approval")


@sharing
async def test_what_is_approved_is_signed(world: World, pki: Pki) -> None:
    asked = await ask(world, "bob", request("bob", "team"))
    assert asked["spec"]["username"] == "kubernetes-admin"
    await approve(world, asked)

    def issued(found: Obj) -> bool:
        return bool(found["status"].get("certificate"))

    found = await world.until(lambda: world.client.get(CERTIFICATESIGNINGREQUESTS, "bob"), issued)
    certificate = x509.load_pem_x509_certificate(base64.b64decode(found["status"]["certificate"]))
    certificate.verify_directly_issued_by(
        x509.load_pem_x509_certificate((pki.directory / "ca.crt").read_bytes())
    )
    assert certificate.subject.rfc4514_string() == "CN=bob,O=team"
    lasts = certificate.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(minutes=50) < lasts <= timedelta(hours=1)
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [each.dotted_string for each in purposes] == ["1.3.6.1.5.5.7.3.2"]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@sharing
async def test_what_a_signer_does_not_take_fails(world: World) -> None:
    asked = await ask(world, "node", request("bob"), KUBELET_CLIENT)
    await approve(world, asked)

    def failed(found: Obj) -> bool:
        return condition_of(found, "Failed") is not None

    found = await world.until(lambda: world.client.get(CERTIFICATESIGNINGREQUESTS, "node"), failed)
    entry = condition_of(found, "Failed")
    assert entry is not None
    assert (entry["reason"], entry["message"]) == (
        "SignerValidationFailure",
        "subject organization is not system:nodes",
    )


@sharing
async def test_nobody_gets_to_be_master(world: World) -> None:
    with pytest.raises(Forbidden, match="signer with system:masters group is not allowed"):
        await ask(world, "root", request("root", "system:masters"))


def test_what_is_old_is_deleted() -> None:
    made = datetime(2026, 1, 1, tzinfo=UTC)
    asked: Obj = {"metadata": {"creationTimestamp": format_time(made)}}
    assert cleaned_at(asked) == made + timedelta(hours=24)
    later = made + timedelta(hours=2)
    denied = asked | {
        "status": {"conditions": [condition("Denied") | {"lastUpdateTime": format_time(later)}]}
    }
    assert cleaned_at(denied) == later + timedelta(hours=1)


@sharing
async def test_a_bootstrap_token_that_has_ended_is_deleted(world: World) -> None:
    ended = {"expiration": base64.b64encode(b"2026-01-01T00:00:00Z").decode()}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "data": ended,
    }
    await world.client.create(SECRETS, secret)
    await world.gone(SECRETS, "bootstrap-token-abcdef", "kube-system")
