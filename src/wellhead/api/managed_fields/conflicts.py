"""Fields that a configuration wants to change though others manage them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wellhead.api.errors import Conflict
from wellhead.api.managed_fields.elements import shown
from wellhead.api.managed_fields.entries import Identity
from wellhead.api.managed_fields.sets import Path, Tree, paths


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field, and who has it."""

    manager: Identity
    path: Path

    @property
    def field(self) -> str:
        return "".join(map(shown, self.path))


class ManagersConflict(Exception):
    """An apply that isn't forced would take fields from other managers."""

    def __init__(self, conflicts: Sequence[FieldConflict]) -> None:
        super().__init__(f"{len(conflicts)} fields are managed by others")
        self.conflicts = conflicts

    @classmethod
    def of(cls, found: dict[Identity, Tree]) -> ManagersConflict:
        """From each manager's fields that are in question."""
        return cls(
            [FieldConflict(manager, path) for manager in sorted(found) for path in paths(found[manager])]
        )

    def error(self) -> Conflict:
        """As the API says it (managedfields' NewConflictError)."""
        causes = [
            {
                "reason": "FieldManagerConflict",
                "message": f"conflict with {conflict.manager.shown()}",
                "field": conflict.field,
            }
            for conflict in self.conflicts
        ]
        return Conflict(self._message(), details={"causes": causes})

    def _message(self) -> str:
        if len(self.conflicts) == 1:
            (only,) = self.conflicts
            return f"Apply failed with 1 conflict: conflict with {only.manager.shown()}: {only.field}"
        lines = []
        before = None
        for conflict in self.conflicts:
            if conflict.manager != before:
                lines.append(f"conflicts with {conflict.manager.shown()}:")
            before = conflict.manager
            lines.append(f"- {conflict.field}")
        return f"Apply failed with {len(self.conflicts)} conflicts: " + "\n".join(lines)
