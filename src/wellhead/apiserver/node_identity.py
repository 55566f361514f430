"""How nodes are told from others."""

from __future__ import annotations

from wellhead.apiserver.authn import User

GROUP = "system:nodes"
_PREFIX = "system:node:"


_PLACED_PREFIX = "wellhead.dev/node:"
_PLACED_EXTRA = "authentication.kubernetes.io/node-name"


def placed_on(user: User) -> str:
    """The node that somebody who isn't a node runs on; "" where nothing says so.

    A token that is bound to a pod says it (KEP-4193), and of certificates a group.
    """
    groups = [each.removeprefix(_PLACED_PREFIX) for each in user.groups if each.startswith(_PLACED_PREFIX)]
    names = {*groups, *user.extra.get(_PLACED_EXTRA, ())}
    return names.pop() if len(names) == 1 else ""


def node_of(user: User) -> str | None:
    """The node whose agent this is; None for everybody else.

    Upstream's nodeidentifier: the group alone makes nobody a node, nor does the name. The node of
    `system:node:` is "", which is the name of none.
    """
    if GROUP not in user.groups or not user.name.startswith(_PREFIX):
        return None
    return user.name.removeprefix(_PREFIX)
