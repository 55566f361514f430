"""Who makes a request: a client certificate, a service account's or a bootstrap token, or nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256

from aiohttp import web

from wellhead.api import bootstrap_tokens
from wellhead.api.errors import Unauthorized
from wellhead.api.meta import Key, Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import SECRETS
from wellhead.apiserver.tokens import InvalidToken, Tokens
from wellhead.apiserver.websockets import websocket_token


@dataclass(frozen=True, slots=True)
class User:
    """A name and the groups it is in, as rules are written for."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: dict[str, list[str]] = field(default_factory=dict, hash=False)

    @property
    def info(self) -> dict[str, object]:
        """authentication/v1 UserInfo."""
        found: dict[str, object] = {"username": self.name, "groups": list(self.groups)}
        if self.uid:
            found["uid"] = self.uid
        if self.extra:
            found["extra"] = self.extra
        return found


Lookup = Callable[[Resource, Key], Obj | None]

_EXTRA = "authentication.kubernetes.io"
ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


class Authenticator:
    """Finds out who a request comes from."""

    def __init__(self, tokens: Tokens, lookup: Lookup) -> None:
        """`lookup` finds the Secrets that bootstrap tokens are in."""
        self._tokens = tokens
        self._lookup = lookup

    def user(self, request: web.BaseRequest) -> User:
        """Who has no credentials is anonymous. Raises Unauthorized for bad ones."""
        certificate = request.get_extra_info("peercert")
        if certificate:
            encoded = request.get_extra_info("ssl_object").getpeercert(True)
            return _certified(certificate["subject"], encoded)
        authorization = request.headers.get("Authorization", "")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return self.token_user(token.strip())
        if token := websocket_token(request):
            return self.token_user(token)
        return ANONYMOUS

    def token_user(self, token: str) -> User:
        """The service account that the token was made for. Raises Unauthorized."""
        return self.reviewed(token, ())[0]

    def reviewed(self, token: str, audiences: Sequence[str]) -> tuple[User, tuple[str, ...]]:
        """The same, and for which of `audiences` (default: this API) it is meant. Raises Unauthorized."""
        if name := bootstrap_tokens.secret_name(token):
            return self._bootstrapper(token, name, audiences)
        try:
            claims = self._tokens.verify(token, audiences)
        except InvalidToken as error:
            raise Unauthorized from error
        name = f"system:serviceaccount:{claims.namespace}:{claims.name}"
        groups = (
            "system:serviceaccounts",
            f"system:serviceaccounts:{claims.namespace}",
            "system:authenticated",
        )
        extra = {f"{_EXTRA}/credential-id": [f"JTI={claims.id}"]}
        for kind, reference in (("pod", claims.pod), ("node", claims.node)):
            if reference is not None:
                extra |= {f"{_EXTRA}/{kind}-name": [reference.name], f"{_EXTRA}/{kind}-uid": [reference.uid]}
        return User(name, groups, claims.uid, extra), claims.audiences

    def _bootstrapper(
        self, token: str, secret_name: str, audiences: Sequence[str]
    ) -> tuple[User, tuple[str, ...]]:
        issuer = self._tokens.issuer
        secret = self._lookup(SECRETS, (bootstrap_tokens.NAMESPACE, secret_name))
        found = None if secret is None else bootstrap_tokens.bearer(secret, token, datetime.now(UTC))
        if found is None or (audiences and issuer not in audiences):
            raise Unauthorized
        return User(found[0], (*found[1], "system:authenticated")), (issuer,)


@lru_cache(maxsize=4096)
def _certified(subject: tuple[tuple[tuple[str, str], ...], ...], certificate: bytes) -> User:
    """The user that a verified client certificate names: CN is the user, each O a group."""
    attributes = [attribute for names in subject for attribute in names]
    name = next((value for key, value in attributes if key == "commonName"), "")
    if not name:
        raise Unauthorized
    groups = [value for key, value in attributes if key == "organizationName"]
    extra = {f"{_EXTRA}/credential-id": [f"X509SHA256={sha256(certificate).hexdigest()}"]}
    return User(name, (*groups, "system:authenticated"), extra=extra)
