"""Service-account tokens: JWTs (RFC 7519) signed with ES256, bound to living objects.

The claims are those of KEP-1205: a token stops working when its ServiceAccount, or the Pod or Secret that it
is bound to, is gone or was replaced by another one of the same name.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import NODES, PODS, SECRETS, SERVICEACCOUNTS
from wellhead.apiserver.issuer_discovery import ALGORITHM, key_id

_PRIVATE_CLAIMS = "kubernetes.io"
_BOUND = {"pod": PODS, "secret": SECRETS, "node": NODES}

LiveUid = Callable[[Resource, str, str], str | None]
"""The uid of the object (resource, namespace, name) that exists now, and wasn't deleted a while ago."""


class InvalidToken(Exception):
    """The token isn't ours, isn't valid now, or what it belongs to is gone."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An object that existed when the token was made."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says."""

    namespace: str
    name: str
    uid: str
    id: str
    audiences: tuple[str, ...]
    """Of those that were asked for, whom it is meant for."""
    pod: Reference | None = None
    node: Reference | None = None


class Tokens:
    """Issues and verifies tokens with one key."""

    def __init__(self, key_file: Path, issuer: str, live_uid: LiveUid, max_seconds: int) -> None:
        """`max_seconds` is how long a token works at most.

        Raises OSError, ValueError: the key can't be read, or isn't one for ES256.
        """
        key = load_pem_private_key(key_file.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError(f"{key_file} is not an EC P-256 private key")
        self._key = key
        self.public_key = key.public_key()
        self._headers = {"kid": key_id(self.public_key)}
        self._live_uid = live_uid
        self.issuer = issuer
        self.max_seconds = max_seconds

    def issue(
        self,
        account: Obj,
        audiences: Sequence[str],
        seconds: int,
        bound: Sequence[tuple[Resource, Obj]] = (),
    ) -> tuple[str, int]:
        """A token for the ServiceAccount, and when (Unix time) it expires.

        It says which objects it is bound to. Of a pod and its node, the pod alone decides how long it works.
        """
        metadata = account["metadata"]
        issued = int(time.time())
        private: dict[str, Any] = {
            "namespace": metadata["namespace"],
            "serviceaccount": {"name": metadata["name"], "uid": metadata["uid"]},
        }
        for resource, obj in bound:
            private[resource.singular] = {"name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}
        claims = {
            "aud": list(audiences) or [self.issuer],
            "exp": issued + seconds,
            "iat": issued,
            "iss": self.issuer,
            "jti": str(uuid.uuid4()),
            _PRIVATE_CLAIMS: private,
            "nbf": issued,
            "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
        }
        return jwt.encode(claims, self._key, ALGORITHM, self._headers), issued + seconds

    def verify(self, token: str, audiences: Sequence[str] = ()) -> Claims:
        """What the token says, if it is meant for one of `audiences` (default: this API).

        Raises InvalidToken.
        """
        try:
            claims = jwt.decode(
                token,
                self.public_key,
                algorithms=[ALGORITHM],
                issuer=self.issuer,
                audience=list(audiences) or [self.issuer],
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
            private = claims[_PRIVATE_CLAIMS]
            namespace = private["namespace"]
            account = private["serviceaccount"]
            name, uid = account["name"], account["uid"]
            bound = {
                kind: Reference(private[kind]["name"], private[kind]["uid"])
                for kind in _BOUND
                if kind in private
            }
            meant = [claims["aud"]] if isinstance(claims["aud"], str) else claims["aud"]
        except (jwt.InvalidTokenError, KeyError, TypeError) as error:
            raise InvalidToken(str(error)) from error
        if claims["sub"] != f"system:serviceaccount:{namespace}:{name}":
            raise InvalidToken("the subject is another service account")
        self._require(SERVICEACCOUNTS, namespace, name, uid)
        for kind, reference in bound.items():
            if kind == "node" and "pod" in bound:
                continue  # that is information only
            within = namespace if _BOUND[kind].namespaced else ""
            self._require(_BOUND[kind], within, reference.name, reference.uid)
        accepted = tuple(each for each in audiences or [self.issuer] if each in meant)
        identifier = claims.get("jti", "")
        return Claims(namespace, name, uid, identifier, accepted, bound.get("pod"), bound.get("node"))

    def _require(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        if self._live_uid(resource, namespace, name) != uid:
            where = f"{namespace}/{name}" if namespace else name
            raise InvalidToken(f"{resource.singular} {where} is gone or was replaced")
