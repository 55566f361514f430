"""Which users of the node are those of a pod with a user namespace of its own (`hostUsers: false`).

Source: "User Namespaces"; pkg/kubelet/userns of v1.36.
"""

from __future__ import annotations

from wellhead.linux.namespaces import IDS

_PODS = 128  # of a node: more than it takes
_NODES = 511


class NoUsersLeft(Exception):
    """Every range of the node is a pod's."""


class UserRanges:
    """The ranges of one node. Nodes share the machine's users, so each has a part of them."""

    def __init__(self, node: int = 0) -> None:
        """`node` tells the nodes of a cluster apart."""
        self._first = IDS * (1 + node % _NODES * _PODS)
        self._taken: set[int] = set()

    def allocate(self) -> int:
        """The first user (and group) of a free range. Raises NoUsersLeft."""
        for first in range(self._first, self._first + _PODS * IDS, IDS):
            if first not in self._taken:
                self._taken.add(first)
                return first
        raise NoUsersLeft(f"all {_PODS} ranges of users are in use")

    def take(self, first: int) -> None:
        """Say that a pod that is there already has this range."""
        self._taken.add(first)

    def release(self, first: int) -> None:
        """Say that no pod has it any more."""
        self._taken.discard(first)
