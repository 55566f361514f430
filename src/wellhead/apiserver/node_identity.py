"""How nodes are told from others."""

from __future__ import annotations

from wellhead.apiserver.authn import User

GROUP = "system:nodes"
_PREFIX = "system:node:"


def node_of(user: User) -> str | None:
    """The node whose agent this is; None for everybody else.

    Upstream's nodeidentifier: the group alone makes nobody a node, nor does the name. The node of
    `system:node:` is "", which is the name of none.
    """
    if GROUP not in user.groups or not user.name.startswith(_PREFIX):
        return None
    return user.name.removeprefix(_PREFIX)
