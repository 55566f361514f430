"""Acting as somebody else: `kubectl --as`, for those who may (authentication docs, "user impersonation")."""

from __future__ import annotations

from aiohttp import web

from wellhead.api.errors import BadRequest, Forbidden
from wellhead.apiserver.attributes import Attributes
from wellhead.apiserver.authn import User
from wellhead.apiserver.authz import Authorizer

_USER = "Impersonate-User"
_GROUP = "Impersonate-Group"
_ACCOUNT_PREFIX = "system:serviceaccount:"


def impersonated(request: web.BaseRequest, user: User, authorizer: Authorizer) -> User:
    """Whom the request is to count as: mostly `user` itself. Raises Forbidden, BadRequest."""
    name = request.headers.get(_USER, "")
    groups = request.headers.getall(_GROUP, [])
    if not name:
        if groups:
            raise BadRequest(f"requested {groups} without impersonating a user")
        return user
    for resource, wanted in (("users", name), *(("groups", group) for group in groups)):
        if not authorizer.allows(user, Attributes("impersonate", "", resource, name=wanted)):
            raise Forbidden(
                f'{resource} "{wanted}" is forbidden: User "{user.name}" cannot impersonate resource'
                f' "{resource}" in API group "" at the cluster scope',
                details={"name": wanted, "kind": resource},
            )
    if name.startswith(_ACCOUNT_PREFIX) and not groups and name.count(":") == 3:
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{name.split(':')[2]}"]
    if "system:unauthenticated" not in groups and "system:authenticated" not in groups:
        groups = [*groups, "system:authenticated"]
    return User(name, tuple(groups))
