"""What is to be admitted: upstream's admission.Attributes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from wellhead.api.meta import GroupVersionKind, Obj
from wellhead.api.resource import Resource
from wellhead.apiserver.authn import User

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]


@dataclass(slots=True)
class Request:
    """One write (or CONNECT) of one object, as a plugin sees it."""

    operation: Operation
    user: User
    resource: Resource
    subresource: str
    kind: GroupVersionKind
    """Of `obj`: the resource's, or that of what the subresource takes (Scale, Binding, PodExecOptions)."""
    namespace: str
    """The request's; '' for what is in none."""
    path_name: str = ""
    """The name in the request's path."""
    obj: Obj = field(default_factory=dict)
    """The new object: a mutating plugin changes it, or puts another in its place. Empty in a DELETE."""
    old: Obj = field(default_factory=dict)
    """What is replaced or deleted; empty in a CREATE."""
    options: Obj = field(default_factory=dict)
    """CreateOptions, UpdateOptions, DeleteOptions, as the client sent them."""
    verb: str = ""
    """The request's, as rights name it: an UPDATE is an update or a patch."""
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)
    """What the client is told in Warning headers."""
    annotations: dict[str, str] = field(default_factory=dict)
    """Audit annotations: what the audit log says of this request beside all else."""
    undo: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What to do if the object isn't stored although it was admitted."""
    round: int = 0
    """How often all mutating plugins have been asked about this object before: never, or once."""
    again: bool = False
    """Set by what others than this server changed the object: all mutating plugins are asked once more."""
    memory: dict[str, object] = field(default_factory=dict)
    """What a plugin notes in the first round for the second."""

    @property
    def name(self) -> str:
        """The object's name; '' while it is to be generated."""
        metadata = self.obj.get("metadata") or self.old.get("metadata") or {}
        return self.path_name or metadata.get("name") or ""

    @property
    def is_status(self) -> bool:
        return self.subresource == "status"
