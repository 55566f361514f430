"""What may change of a pod once it is there.

Upstream: ValidatePodUpdate, ValidatePodSpecificAnnotationUpdates and what they call, in
pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from wellhead.api.errors import Cause
from wellhead.api.kinds.pod.annotations import APP_ARMOR
from wellhead.api.kinds.pod.references import MIRROR_ANNOTATION
from wellhead.api.meta import Obj

_FIXED = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_CONTAINERS = ("containers", "initContainers")
_CHANGING = ("activeDeadlineSeconds", "schedulingGates", "tolerations")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_TERMS = f"spec.affinity.nodeAffinity.{_REQUIRED}.nodeSelectorTerms"


def validate_annotations(new: Obj, old: Obj) -> Iterator[Cause]:
    """Annotations that speak for what can't change: a mirror's, and AppArmor's of containers."""
    after, before = (each["metadata"].get("annotations") or {} for each in (new, old))
    for name in [*before, *(each for each in after if each not in before)]:
        about = {MIRROR_ANNOTATION: "mirror pod annotation"}.get(name)
        if name.startswith(APP_ARMOR):
            about = "AppArmor annotations"
        if about and after.get(name) != before.get(name):
            verb = "remove or update" if name in before else "add"
            yield Cause.forbidden(f"metadata.annotations[{name}]", f"may not {verb} {about}")


def validate_spec(new: Obj, old: Obj) -> Iterator[Cause]:
    """The new spec, which is valid by itself, in place of the old one."""
    for field in _CONTAINERS:
        after = new.get(field) or ()
        if len(after) != len(old.get(field) or ()):
            yield Cause.forbidden(f"spec.{field}", "pod updates may not add or remove containers")
            return
        yield from _validate_images(after, f"spec.{field}")
    deadline = _deadline(new.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds"))
    if deadline is not None:
        yield deadline
        if new.get("activeDeadlineSeconds") is not None:
            return
    yield from _validate_tolerations(new.get("tolerations") or (), old.get("tolerations") or ())
    yield from _validate_gates(new.get("schedulingGates") or (), old.get("schedulingGates") or ())
    fixed, before = _fixed_part(new), _fixed_part(old)
    if old.get("schedulingGates"):
        yield from _validate_gated(new, old)
        for spec in (fixed, before):
            _without_placement(spec)
    if fixed != before:
        yield Cause.forbidden("spec", _FIXED)


def _validate_images(containers: Sequence[Obj], at: str) -> Iterator[Cause]:
    for index, container in enumerate(containers):
        image = container.get("image") or ""
        if not image:
            yield Cause.required(f"{at}[{index}].image")
        elif image != image.strip():
            text = "must not have leading or trailing whitespace"
            yield Cause.invalid(f"{at}[{index}].image", image, text)


def _deadline(new: int | None, old: int | None) -> Cause | None:
    at = "spec.activeDeadlineSeconds"
    if new is None:
        text = "must not update from a positive integer to nil value"
        return None if old is None else Cause.invalid(at, None, text)
    if not 0 <= new < 2**31:
        return Cause.invalid(at, new, "must be between 0 and 2147483647, inclusive")
    if old is not None and old < new:
        return Cause.invalid(at, new, "must be less than or equal to previous value")
    return None


def _validate_tolerations(new: Sequence[Obj], old: Sequence[Obj]) -> Iterator[Cause]:
    """More may be tolerated, and for another time; nothing less."""
    kept = {_identity(_without_time(each)) for each in new}
    if any(_identity(_without_time(each)) not in kept for each in old):
        text = "existing toleration can not be modified except its tolerationSeconds"
        yield Cause.forbidden("spec.tolerations", text)


def _without_time(toleration: Obj) -> Obj:
    return {name: value for name, value in toleration.items() if name != "tolerationSeconds"}


def _validate_gates(new: Sequence[Obj], old: Sequence[Obj]) -> Iterator[Cause]:
    """Gates may only be removed (KEP-3521)."""
    known = {gate.get("name") for gate in old}
    for index, gate in enumerate(new):
        name = gate.get("name", "")
        if name not in known:
            text = f"only deletion is allowed, but found new scheduling gate '{name}'"
            yield Cause.forbidden(f"spec.schedulingGates[{index}].name", text)


def _validate_gated(new: Obj, old: Obj) -> Iterator[Cause]:
    """While it waits at a gate, where a pod may go can be narrowed (KEP-3838)."""
    before, after = old.get("nodeSelector") or {}, new.get("nodeSelector") or {}
    if any(after.get(name) != value for name, value in before.items()):
        text = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        yield Cause.invalid("spec.nodeSelector", after or None, text)
    wanted, had = (_terms(spec) for spec in (new, old))
    if had and len(wanted) != len(had):
        text = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        yield Cause.invalid(_TERMS, wanted, text)
        return
    for index, (term, known) in enumerate(zip(wanted, had, strict=False)):
        if not _only_adds(term, known):
            text = "only additions are allowed (no mutations or deletions)"
            yield Cause.invalid(f"{_TERMS}[{index}]", term, text)


def _terms(spec: Obj) -> list[Obj]:
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms: list[Obj] = (affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or []
    return terms


def _only_adds(new: Obj, old: Obj) -> bool:
    """Whether a term says all that it said; one that said nothing selects nothing, and has to go on so."""
    parts = [(new.get(name) or [], old.get(name) or []) for name in ("matchExpressions", "matchFields")]
    if not any(old for _, old in parts):
        return not any(new for new, _ in parts)
    return all(new[: len(old)] == old for new, old in parts)


def _without_placement(spec: Obj) -> None:
    """In place: without what `_validate_gated` has judged."""
    spec.pop("nodeSelector", None)
    affinity = {name: value for name, value in (spec.get("affinity") or {}).items() if name != "nodeAffinity"}
    spec["affinity"] = affinity or None


def _fixed_part(spec: Obj) -> Obj:
    kept: dict[str, Any] = {
        name: value for name, value in spec.items() if name not in _CHANGING and value != []
    }
    for field in _CONTAINERS:
        if spec.get(field):
            kept[field] = [{**container, "image": ""} for container in spec[field]]
    return kept


def _identity(value: Obj) -> bytes:
    """The same for equal objects, and fit for a set."""
    return msgspec.json.encode(value, order="sorted")
