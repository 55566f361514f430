"""Whether a user may do what a request asks for."""

from __future__ import annotations

from functools import lru_cache

from wellhead.api.errors import Forbidden
from wellhead.apiserver.attributes import Attributes
from wellhead.apiserver.authn import User
from wellhead.apiserver.info import RequestInfo
from wellhead.apiserver.node_authorizer import NodeAuthorizer
from wellhead.apiserver.node_identity import node_of
from wellhead.apiserver.policy import EVERYTHING, GROUPS, ROLES, USERS, Rule


class Authorizer:
    """Decides by the rules of `policy`, and for nodes by what runs on them."""

    def __init__(self, nodes: NodeAuthorizer) -> None:
        self._nodes = nodes

    def check(self, user: User, info: RequestInfo) -> None:
        """Raises Forbidden, in upstream's words."""
        if EVERYTHING in user.groups:
            return
        attributes = Attributes.of(info)
        if not self.allows(user, attributes):
            raise _forbidden(user, info, attributes)

    def rules(self, user: User) -> tuple[Rule, ...]:
        """Everything that rules (other than those for nodes) allow the user."""
        if EVERYTHING in user.groups:
            return _UNLIMITED
        return _rules(user.name, user.groups)

    def allows(self, user: User, action: Attributes) -> bool:
        """Whether any rule allows it."""
        if EVERYTHING in user.groups:
            return True
        if any(_covers(rule, action) for rule in _rules(user.name, user.groups)):
            return True
        node = node_of(user)
        return node is not None and self._nodes.allows(node, action)


_ALL = frozenset({"*"})
_UNLIMITED = (Rule(_ALL, groups=_ALL, resources=_ALL), Rule(_ALL, paths=_ALL))


@lru_cache(maxsize=256)
def _rules(name: str, groups: tuple[str, ...]) -> tuple[Rule, ...]:
    roles = [*USERS.get(name, ()), *(role for group in groups for role in GROUPS.get(group, ()))]
    return tuple(rule for role in roles for rule in ROLES[role])


def _covers(rule: Rule, action: Attributes) -> bool:
    if not (action.verb in rule.verbs or "*" in rule.verbs):
        return False
    if action.path:
        return action.path in rule.paths or any(
            path.endswith("*") and action.path.startswith(path[:-1]) for path in rule.paths
        )
    if (rule.names and action.name not in rule.names) or (
        rule.namespace and action.namespace != rule.namespace
    ):
        return False
    return ("*" in rule.groups or action.group in rule.groups) and (
        "*" in rule.resources or action.full_resource in rule.resources
    )


def _forbidden(user: User, info: RequestInfo, action: Attributes) -> Forbidden:
    if info.resource is None:
        return Forbidden(f'forbidden: User "{user.name}" cannot {action.verb} path "{action.path}"')
    where = f'in the namespace "{action.namespace}"' if action.namespace else "at the cluster scope"
    if info.resource.kind == "Namespace":
        where = f'in the namespace "{action.name}"' if action.name else "at the cluster scope"
    return Forbidden.of(
        info.resource,
        action.name,
        f'User "{user.name}" cannot {action.verb} resource "{action.full_resource}"'
        f' in API group "{action.group}" {where}',
    )
