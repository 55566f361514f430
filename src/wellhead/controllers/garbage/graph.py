"""Who owns whom, by uid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import msgspec

from wellhead.api.meta import Obj, is_deleting, owner_references
from wellhead.api.resource import Resource

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


class Owner(msgspec.Struct, frozen=True):
    """An owner reference."""

    api_version: str
    kind: str
    name: str
    uid: str
    blocks: bool
    """Whether this dependent holds up the owner's foreground deletion."""


class Node(msgspec.Struct, frozen=True):
    """What garbage collection knows of an object."""

    resource: Resource
    namespace: str
    name: str
    uid: str
    owners: tuple[Owner, ...]
    deleting: bool
    finalizers: frozenset[str]

    @property
    def deletes_dependents(self) -> bool:
        """Whether it waits, in foreground deletion, for its dependents to go first."""
        return self.deleting and FOREGROUND in self.finalizers

    @property
    def orphans_dependents(self) -> bool:
        """Whether it waits, being deleted, for its dependents to be left alone."""
        return self.deleting and ORPHAN in self.finalizers


def node_of(resource: Resource, obj: Obj) -> Node:
    metadata = obj["metadata"]
    return Node(
        resource,
        metadata.get("namespace") or "",
        metadata["name"],
        metadata["uid"],
        tuple(
            Owner(
                ref["apiVersion"], ref["kind"], ref["name"], ref["uid"], bool(ref.get("blockOwnerDeletion"))
            )
            for ref in owner_references(obj)
        ),
        is_deleting(obj),
        frozenset(metadata.get("finalizers") or ()),
    )


class Graph:
    """All objects, with an edge from each owner to its dependents (also from an owner that isn't there)."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._dependents: dict[str, set[str]] = defaultdict(set)

    def get(self, uid: str) -> Node | None:
        return self._nodes.get(uid)

    def dependents(self, uid: str) -> list[Node]:
        """The objects that name `uid` as an owner."""
        return [self._nodes[dependent] for dependent in self._dependents.get(uid, ())]

    def put(self, node: Node) -> list[str]:
        """Take note of an object as it is now; the answer is the uids that need a look because of it."""
        before = self._nodes.get(node.uid)
        if before == node:
            return []
        self._nodes[node.uid] = node
        for owner in node.owners:
            self._dependents[owner.uid].add(node.uid)
        if before is not None:
            for gone in {owner.uid for owner in before.owners} - {owner.uid for owner in node.owners}:
                self._unlink(gone, node.uid)
        return list(self._affected(before, node))

    def remove(self, uid: str) -> list[str]:
        """Forget an object; the answer is the uids that need a look because of it."""
        node = self._nodes.pop(uid, None)
        if node is None:
            return []
        for owner in node.owners:
            self._unlink(owner.uid, uid)
        waiting = [owner.uid for owner in node.owners if self._waits(owner.uid)]
        return [*self._dependents.get(uid, ()), *waiting]

    def _affected(self, before: Node | None, node: Node) -> Iterator[str]:
        owners_before = before.owners if before else ()
        if not (owners_before or node.owners or node.deleting):
            return  # most objects
        newly_absent = any(
            owner.uid not in self._nodes for owner in node.owners if owner not in owners_before
        )
        newly_waiting = any(self._waits(owner.uid) for owner in node.owners if owner not in owners_before)
        begins = (node.deletes_dependents or node.orphans_dependents) and (
            before is None or before.deleting != node.deleting or before.finalizers != node.finalizers
        )
        if newly_absent or newly_waiting or begins:
            yield node.uid
        for owner in {*owners_before, *node.owners}:
            if self._waits(owner.uid):
                yield owner.uid  # it may have one dependent less to wait for

    def _waits(self, uid: str) -> bool:
        node = self._nodes.get(uid)
        return node is not None and node.deletes_dependents

    def _unlink(self, owner: str, dependent: str) -> None:
        dependents = self._dependents[owner]
        dependents.discard(dependent)
        if not dependents:
            del self._dependents[owner]
