"""The rules that a kind may have of its own, as hooks: defaults, what the server decides, validation.

`writes` calls them in order. A kind without rules uses the base class as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from wellhead.api.errors import Cause
from wellhead.api.formats import Check, dns_subdomain
from wellhead.api.managed_fields.update import Writer
from wellhead.api.meta import Obj, now


class Context(msgspec.Struct, frozen=True):
    """What a kind may need to know beside the object.

    `now` is RFC 3339. `ip_families` are those of the cluster's Services, the default one first.
    """

    namespace: str = ""
    now: str = msgspec.field(default_factory=now)
    ip_families: Sequence[str] = ("IPv4",)
    writer: Writer | None = None
    """Whose the fields are that change; None if the record of that is made already."""
    forgets_managers: bool = False
    """Whether there is no telling whose fields those are, so that the record ends."""


ALWAYS_APART = 64 * 1024
"""The effort of what takes long however small the object is: expressions are compiled, or evaluated."""


class Strategy:
    """The hooks of a kind. Those that take an object and return nothing change it in place."""

    name_check: Check = staticmethod(dns_subdomain)
    """What may be a name of this kind."""
    counts_generations = False
    """Whether metadata.generation grows when something other than metadata and status changes."""
    default_propagation: Literal["", "Orphan"] = ""
    """What becomes of the dependents of an object whose deletion doesn't say; empty: they are deleted."""
    keeps_initial_status = False
    """Whether a new object may come with a status: an agent registers its node so."""
    status_metadata = frozenset({"labels", "annotations", "finalizers", "ownerReferences"})
    """What of the metadata an update of the status writes along: as upstream, of most kinds all of this."""
    created_by_update = False
    """Whether an update of an object that isn't there makes it (upstream's AllowCreateOnUpdate)."""
    needs_version = False
    """Whether an update must say which version it replaces (upstream: no AllowUnconditionalUpdate)."""
    returned_when_deleted = False
    """Whether a deletion is answered with the object (ReturnDeletedObject); else with a Status."""

    repeats_warnings = False
    """Whether whoever changes an object is told again what its creator was."""

    @property
    def effort(self) -> int:
        """How much more work an object is to check than others of its size."""
        return 1

    def default(self, obj: Obj) -> None:
        """Fill in the defaults, as decoding does upstream; also for an object read from an older store.

        The metadata are as they were sent: a name that is to be generated isn't there yet.
        """

    def prepare_create(self, obj: Obj, context: Context) -> None:
        """What the server decides of a new object. May raise Forbidden, Invalid."""

    def validate(self, obj: Obj) -> list[Cause]:
        """What is wrong with the object, new or updated."""
        return []

    def validate_create(self, obj: Obj) -> list[Cause]:
        """What is wrong with a new object."""
        return self.validate(obj)

    def warnings(self, obj: Obj) -> list[str]:
        """What the creator of the object is told, though it is valid."""
        return []

    def update_warnings(self, new: Obj, old: Obj) -> list[str]:
        """What whoever changes the object is told of what he adds."""
        before = self.warnings(old) if old and not self.repeats_warnings else []
        return [each for each in self.warnings(new) if each not in before]

    def prepare_update(self, new: Obj, old: Obj, context: Context) -> None:
        """What the server keeps or drops when `old` becomes `new`. May raise Invalid."""

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        """What is wrong with replacing `old` by `new`."""
        return self.validate(new)

    def prepare_status_update(self, new: Obj, old: Obj) -> None:
        """The same for the status subresource; all but metadata and status is `old`'s already."""

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        """What is wrong with the new status."""
        return []

    def prepare_delete(self, obj: Obj) -> None:
        """What a first deletion changes of an object beside its metadata's times."""

    def is_current(self, data: bytes, revision: int) -> bool:
        """Whether an object that is stored so at that revision is what `from_storage` would make of it."""
        return False

    def is_outdated(self, data: bytes) -> bool:
        """Whether an object that is stored so would be stored otherwise today, though it says the same."""
        return False

    part_metadata: frozenset[str] = frozenset()
    """What of the metadata those of `parts` may write along."""
    parts: frozenset[str] = frozenset()
    """Subresources by which parts of the spec change that an update of the whole may not change."""

    def combine_part(self, subresource: str, new: Obj, old: Obj) -> Obj:
        """Of one of `parts`: the old object, with what of the new one this subresource may change."""
        return old

    def validate_part(self, subresource: str, new: Obj, old: Obj) -> list[Cause]:
        """What is wrong with that."""
        return []

    def to_storage(self, obj: Obj) -> Obj:
        """The object in the form in which its kind is stored."""
        return obj

    def from_storage(self, obj: Obj) -> Obj:
        """The stored object in the form of this version of the kind."""
        return obj


NO_RULES = Strategy()
"""Of a kind that has none of its own."""
