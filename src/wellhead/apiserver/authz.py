"""Whether a user may do what a request asks for.

As upstream with `--authorization-mode=Node,RBAC`: system:masters may do everything, nodes what their pods
need, and everybody what roles allow.
"""

from __future__ import annotations

from wellhead.api.errors import Forbidden
from wellhead.api.rbac.rules import ALL, Rule
from wellhead.apiserver.attributes import Attributes
from wellhead.apiserver.authn import User
from wellhead.apiserver.info import RequestInfo
from wellhead.apiserver.node_authorizer import NodeAuthorizer
from wellhead.apiserver.node_identity import node_of
from wellhead.apiserver.rbac.index import RoleIndex

EVERYTHING = "system:masters"
"""The group that no role can take anything from."""

_UNLIMITED = [Rule((ALL,), (ALL,), (ALL,)), Rule((ALL,), paths=(ALL,))]
_NODES_ARE_OTHERS = "node authorizer does not support user rule resolution"


class Authorizer:
    """Decides by roles and bindings, and for nodes by what runs on them."""

    def __init__(self, nodes: NodeAuthorizer, roles: RoleIndex) -> None:
        self._nodes = nodes
        self._roles = roles

    def check(self, user: User, info: RequestInfo) -> None:
        """Raises Forbidden, in upstream's words."""
        if EVERYTHING in user.groups:
            return
        attributes = Attributes.of(info)
        if not self.allows(user, attributes):
            raise _forbidden(user, info, attributes, self._roles.reason(user, attributes))

    def allows(self, user: User, action: Attributes) -> bool:
        """Whether any rule allows it."""
        if EVERYTHING in user.groups or self._roles.allows(user, action):
            return True
        node = node_of(user)
        return node is not None and self._nodes.allows(node, action)

    def reason(self, user: User, action: Attributes) -> str:
        """Which binding allows it, or which missing roles might; "" where roles don't decide."""
        return "" if EVERYTHING in user.groups else self._roles.reason(user, action)

    def rules(self, user: User, namespace: str) -> tuple[list[Rule], str]:
        """What roles allow the user in a namespace ("": everywhere), and why that may not be all."""
        rules, problem = self._roles.rules(user, namespace)
        if EVERYTHING in user.groups:
            rules = [*_UNLIMITED, *(rule for rule in rules if rule not in _UNLIMITED)]
        if node_of(user) is not None:
            # What a node may do depends on its pods, and is in no rule.
            problem = f"[{_NODES_ARE_OTHERS}, {problem}]" if problem else _NODES_ARE_OTHERS
        return rules, problem

    def role(self, kind: str, name: str, namespace: str) -> tuple[Rule, ...] | None:
        """The rules of the role that a binding in this namespace names; None if there is no such role."""
        return self._roles.role(kind, name, namespace)


def _forbidden(user: User, info: RequestInfo, action: Attributes, reason: str) -> Forbidden:
    why = f": {reason}" if reason else ""
    if info.resource is None:
        return Forbidden(f'forbidden: User "{user.name}" cannot {action.verb} path "{action.path}"{why}')
    where = f'in the namespace "{action.namespace}"' if action.namespace else "at the cluster scope"
    return Forbidden.of(
        info.resource,
        action.name,
        f'User "{user.name}" cannot {action.verb} resource "{action.full_resource}"'
        f' in API group "{action.group}" {where}{why}',
    )
