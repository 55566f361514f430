"""Whom a bootstrap token makes of its bearer."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest

from wellhead.api.bootstrap_tokens import bearer, secret_name
from wellhead.api.meta import Obj

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TOKEN = "abcdef.0123456789abcdef"


def secret(kind: str = "bootstrap.kubernetes.io/token", **changed: str) -> Obj:
    data = {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
    }
    data |= {key.replace("_", "-"): value for key, value in changed.items()}
    raw = {key: value.encode(errors="surrogateescape") for key, value in data.items()}
    encoded = {key: base64.b64encode(value).decode() for key, value in raw.items()}
    return {"metadata": {"name": "bootstrap-token-abcdef"}, "type": kind, "data": encoded}


def test_a_token_names_its_secret() -> None:
    assert secret_name(TOKEN) == "bootstrap-token-abcdef"
    for text in ("", "abc.0123456789abcdef", "ABCDEF.0123456789abcdef", f"{TOKEN}\n", f"{TOKEN}.x"):
        assert secret_name(text) == ""


def test_who_has_the_token_is_a_bootstrapper() -> None:
    assert bearer(secret(), TOKEN, NOW) == ("system:bootstrap:abcdef", ("system:bootstrappers",))
    extra = secret(auth_extra_groups="system:bootstrappers:kubeadm, system:bootstrappers:x")
    found = bearer(extra, TOKEN, NOW)
    assert found is not None
    assert found[1] == (
        "system:bootstrappers",
        "system:bootstrappers:kubeadm",
        "system:bootstrappers:x",
    )
    assert bearer(secret(expiration="2026-01-01T00:00:01Z"), TOKEN, NOW) is not None


@pytest.mark.parametrize(
    "given",
    [
        secret("Opaque"),
        secret(token_secret="0123456789abcdee"),
        secret(token_id="abcdee"),
        secret(usage_bootstrap_authentication="false"),
        secret(expiration="2026-01-01T00:00:00Z"),
        secret(expiration="soon"),
        secret(expiration="\udcff"),
        secret(auth_extra_groups="\udcff"),
        secret(token_secret="\udcff" * 16),
        secret(token_id="\udcff" * 6),
        secret(auth_extra_groups="system:masters"),
        secret(auth_extra_groups="system:bootstrappers:"),
        {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "type": "x"},
    ],
)
def test_nobody_else_is(given: Obj) -> None:
    assert bearer(given, TOKEN, NOW) is None
