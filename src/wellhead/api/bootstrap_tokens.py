"""Bootstrap tokens: Secrets of kube-system by which a node that is nobody yet asks for its certificate.

Upstream: plugin/pkg/auth/authenticator/token/bootstrap, k8s.io/cluster-bootstrap/token/util.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from datetime import datetime

from wellhead.api.meta import Obj, is_deleting, parse_time

NAMESPACE = "kube-system"
TYPE = "bootstrap.kubernetes.io/token"
GROUP = "system:bootstrappers"

_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_EXTRA_GROUP = re.compile(rf"{GROUP}:[a-z0-9:-]{{0,255}}[a-z0-9]")


def secret_name(token: str) -> str:
    """The name of the Secret that such a token is in; "" if it is no bootstrap token."""
    found = _TOKEN.fullmatch(token)
    return f"bootstrap-token-{found[1]}" if found else ""


def bearer(secret: Obj, token: str, now: datetime) -> tuple[str, tuple[str, ...]] | None:
    """Who has the token, and their groups; None if the Secret makes nobody of them."""
    identifier, _, text = token.partition(".")
    data = _data(secret)
    if (
        is_deleting(secret)
        or secret.get("type") != TYPE
        or not hmac.compare_digest(data.get("token-secret", "").encode(), text.encode())
        or data.get("token-id") != identifier
        or data.get("usage-bootstrap-authentication") != "true"
        or has_ended(secret, now)
    ):
        return None
    extra = [each.strip() for each in data.get("auth-extra-groups", "").split(",") if each.strip()]
    if not all(map(_EXTRA_GROUP.fullmatch, extra)):
        return None
    return f"system:bootstrap:{identifier}", tuple(sorted({GROUP, *extra}))


def end_of(secret: Obj) -> datetime | None:
    """When the token ends; None: never. Raises ValueError for a time that is none."""
    text = _data(secret).get("expiration")
    return parse_time(text) if text else None


def has_ended(secret: Obj, now: datetime) -> bool:
    """Whether it has; of a time that is none, too."""
    try:
        end = end_of(secret)
    except ValueError:
        return True
    return end is not None and end <= now


def _data(secret: Obj) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in (secret.get("data") or {}).items():
        try:
            # What is no text stays, and is refused: a time that is none doesn't make a token without an end.
            found[key] = base64.b64decode(value).decode(errors="replace")
        except (binascii.Error, ValueError):
            continue
    return found
