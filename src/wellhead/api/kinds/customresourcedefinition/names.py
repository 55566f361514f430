"""Which names a definition gets, and the conditions that say so (apiextensions' naming_controller.go)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from wellhead.api.meta import Obj, condition

CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"


@dataclass
class Taken:
    """The names that other definitions of the group have."""

    resources: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)

    @classmethod
    def by(cls, accepted: Iterable[Obj]) -> Taken:
        """`accepted` are their status.acceptedNames."""
        taken = cls()
        for names in accepted:
            taken.resources |= {names.get("plural") or "", names.get("singular") or ""}
            taken.resources |= set(names.get("shortNames") or ())
            taken.kinds |= {names.get("kind") or "", names.get("listKind") or ""}
        taken.resources.discard("")
        taken.kinds.discard("")
        return taken


def settled_status(crd: Obj, taken: Taken, now: str) -> Obj:
    """The status that a definition is to have: its own, if nothing has changed."""
    status = crd.get("status") or {}
    wanted, accepted = crd["spec"]["names"], status.get("acceptedNames") or {}
    if wanted == accepted and condition(crd, "Established") is not None:
        return dict(status)
    names = dict(accepted)
    problem: tuple[str, str] | None = None
    for part, among, reason in (
        ("plural", taken.resources, "PluralConflict"),
        ("singular", taken.resources, "SingularConflict"),
        ("kind", taken.kinds, "KindConflict"),
        ("listKind", taken.kinds, "ListKindConflict"),
    ):
        name = wanted.get(part) or ""
        if name != (accepted.get(part) or "") and name in among:
            problem = (reason, f'"{name}" is already in use')
        else:
            names[part] = name
    used = [
        f'"{short}" is already in use'
        for short in wanted.get("shortNames") or ()
        if short not in (accepted.get("shortNames") or ()) and short in taken.resources
    ]
    if used:
        problem = ("ShortNamesConflict", used[0] if len(used) == 1 else f"[{', '.join(used)}]")
    else:
        _put(names, "shortNames", wanted.get("shortNames"))
    _put(names, "categories", wanted.get("categories"))
    settled = {**status, "acceptedNames": names}
    if problem is not None:
        entries = [("NamesAccepted", "False", *problem)]
        if _status_of(status, "Established") != "True":
            entries.append(("Established", "False", "NotAccepted", "not all names are accepted"))
    else:
        entries = [("NamesAccepted", "True", "NoConflicts", "no conflicts found")]
        if _status_of(status, "Established") != "True":
            entries.append(
                ("Established", "True", "InitialNamesAccepted", "the initial names have been accepted")
            )
    for entry in entries:
        put_condition(settled, *entry, now)
    return settled


def _put(names: Obj, part: str, value: object) -> None:
    if value:
        names[part] = value
    else:
        names.pop(part, None)


def _status_of(status: Obj, type: str) -> str:
    return next((e.get("status") or "" for e in status.get("conditions") or () if e.get("type") == type), "")


def put_condition(status: Obj, type: str, value: str, reason: str, message: str, now: str) -> None:
    """Set a condition; the time of its last transition stays while its status does."""
    entries: list[Obj] = list(status.get("conditions") or ())
    entry: Obj = {
        "type": type,
        "status": value,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }
    for index, before in enumerate(entries):
        if before.get("type") == type:
            if before.get("status") == value:
                entry["lastTransitionTime"] = before.get("lastTransitionTime") or now
            entries[index] = entry
            break
    else:
        entries.append(entry)
    status["conditions"] = entries


def ending_status(crd: Obj, value: str, reason: str, message: str, now: str) -> Obj:
    """The status of a definition whose objects are being deleted, or have been."""
    status = dict(crd.get("status") or {})
    put_condition(status, "Terminating", value, reason, message, now)
    return status
