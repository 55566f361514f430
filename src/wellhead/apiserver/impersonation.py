"""Acting as somebody else: `kubectl --as`, for those who may (authentication docs, "user impersonation").

Each thing that is asked for is a right of its own: the user or service account, every group, the uid, and
every extra value (apiserver's endpoints/filters/impersonation).
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from aiohttp import web

from wellhead.api.errors import BadRequest, Forbidden
from wellhead.apiserver.attributes import Attributes
from wellhead.apiserver.authn import ANONYMOUS, User
from wellhead.apiserver.authz import Authorizer

PREFIX = "impersonate-"
"""What the headers' names begin with, in lower case: none of them is for anybody behind this server."""

_USER, _GROUP, _UID, _EXTRA = "impersonate-user", "impersonate-group", "impersonate-uid", "impersonate-extra-"
_ACCOUNT_PREFIX = "system:serviceaccount:"
_AUTHENTICATION = "authentication.k8s.io"
_ANYBODY = ("system:authenticated", "system:unauthenticated")


def impersonated(request: web.BaseRequest, user: User, authorizer: Authorizer) -> User:
    """Whom the request is to count as: mostly `user` itself. Raises Forbidden, BadRequest."""
    sent = [
        (name.lower(), value)
        for name, value in request.headers.items()
        if name[0] in "iI" and name.lower().startswith(PREFIX)
    ]
    if not sent:
        return user
    wanted = _wanted(sent)
    for action in _actions(wanted):
        if not authorizer.allows(user, action):
            where = f'in the namespace "{action.namespace}"' if action.namespace else "at the cluster scope"
            raise Forbidden(
                f'{action.full_resource} "{action.name}" is forbidden: User "{user.name}" cannot impersonate'
                f' resource "{action.full_resource}" in API group "{action.group}" {where}',
                details={"name": action.name, "kind": action.resource},
            )
    return User(wanted.name, _groups(wanted), wanted.uid, wanted.extra)


def _wanted(sent: list[tuple[str, str]]) -> User:
    """What the headers say, as they say it."""
    extra: dict[str, list[str]] = {}
    single: dict[str, str] = {}
    groups = []
    for header, value in sent:
        if header == _GROUP:
            groups.append(value)
        elif header.startswith(_EXTRA):
            extra.setdefault(unquote(header.removeprefix(_EXTRA)).lower(), []).append(value)
        elif header not in (_USER, _UID):
            raise BadRequest(f"unknown impersonation header {header}")
        elif header in single:
            raise BadRequest(f"there is more than one {header} header")
        else:
            single[header] = value
    if not single.get(_USER):
        raise BadRequest(f"requested {', '.join(name for name, _ in sent)} without impersonating a user")
    return User(single[_USER], tuple(groups), single.get(_UID, ""), extra)


def _actions(wanted: User) -> Iterator[Attributes]:
    if account := _account(wanted.name):
        yield Attributes("impersonate", "", "serviceaccounts", namespace=account[0], name=account[1])
    else:
        yield Attributes("impersonate", "", "users", name=wanted.name)
    for group in wanted.groups:
        yield Attributes("impersonate", "", "groups", name=group)
    if wanted.uid:
        yield Attributes("impersonate", _AUTHENTICATION, "uids", name=wanted.uid)
    for key, values in wanted.extra.items():
        for value in values:
            yield Attributes("impersonate", _AUTHENTICATION, "userextras", key, name=value)


def _groups(wanted: User) -> tuple[str, ...]:
    """Those asked for, and those that everybody, or every service account, is in."""
    groups = wanted.groups
    if not groups and (account := _account(wanted.name)):
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{account[0]}")
    if any(group in _ANYBODY for group in groups):
        return groups
    return (*groups, *(ANONYMOUS.groups if wanted.name == ANONYMOUS.name else ("system:authenticated",)))


def _account(name: str) -> tuple[str, str] | None:
    namespace, colon, account = name.removeprefix(_ACCOUNT_PREFIX).partition(":")
    if not name.startswith(_ACCOUNT_PREFIX) or not (namespace and colon and account) or ":" in account:
        return None
    return namespace, account
