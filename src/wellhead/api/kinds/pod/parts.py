"""The subresources by which parts of a living pod's spec change: ephemeralcontainers and resize.

Upstream: the strategies of those names in pkg/registry/core/pod/strategy.go;
ValidatePodEphemeralContainersUpdate and ValidatePodResize in pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.api.errors import Cause
from wellhead.api.kinds.pod.qos import qos_class
from wellhead.api.kinds.pod.references import is_mirror
from wellhead.api.meta import Obj

EPHEMERAL, RESIZE = "ephemeralcontainers", "resize"
_RESIZABLE = ("cpu", "memory")
_OF_RESIZE = ("resources", "resizePolicy")
_KINDS = ("containers", "initContainers")


def combine(subresource: str, new: Obj, old: Obj) -> Obj:
    """The old pod's spec with what the new one may change of it."""
    after, before = new.get("spec") or {}, old["spec"]
    if subresource == EPHEMERAL:
        spec = {name: value for name, value in before.items() if name != "ephemeralContainers"}
        if after.get("ephemeralContainers"):
            spec["ephemeralContainers"] = after["ephemeralContainers"]
        return spec
    changed = {}
    for kind in _KINDS:
        now, then = after.get(kind) or [], before.get(kind) or []
        if [each.get("name") for each in now] == [each["name"] for each in then]:
            now = [_resized(*each) for each in zip(then, now, strict=True)]
        # Others, or in another order: that is refused.
        if now:
            changed[kind] = now
    kept = {name: value for name, value in before.items() if name not in ("resources", *_KINDS)}
    whole = {"resources": after["resources"]} if "resources" in after else {}
    return {**kept, **changed, **whole}


def _resized(before: Obj, after: Obj) -> Obj:
    kept = {name: value for name, value in before.items() if name not in _OF_RESIZE}
    return kept | {name: after[name] for name in _OF_RESIZE if name in after}


def validate(subresource: str, new: Obj, old: Obj) -> Iterator[Cause]:
    """What speaks against the change, beside what makes the new pod invalid as it is."""
    if subresource == EPHEMERAL:
        if is_mirror(old):
            yield Cause.forbidden("[]", "static pods do not support ephemeral containers")
        else:
            yield from _validate_ephemeral(new["spec"], old["spec"])
    elif is_mirror(old):
        yield Cause.forbidden("[]", "static pods cannot be resized")
    else:
        yield from _validate_resize(new, old)


def _validate_ephemeral(new: Obj, old: Obj) -> Iterator[Cause]:
    at = "spec.ephemeralContainers"
    after = {each.get("name"): each for each in new.get("ephemeralContainers") or ()}
    for before in old.get("ephemeralContainers") or ():
        name = before["name"]
        if name not in after:
            yield Cause.forbidden(at, f'existing ephemeral containers "{name}" may not be removed\n')
        elif after[name] != before:
            yield Cause.forbidden(at, f'existing ephemeral containers "{name}" may not be changed\n')


def _validate_resize(new: Obj, old: Obj) -> Iterator[Cause]:
    before, after = old["spec"], new["spec"]
    if (after.get("os") or {}).get("name") == "windows":
        yield Cause.forbidden("[]", "windows pods cannot be resized")
    had = (old.get("status") or {}).get("qosClass") or qos_class(before)
    if qos_class(after) != had:
        yield Cause.invalid("spec", had, "Pod QOS Class may not change as a result of resizing")
    if any(
        "running" in (each.get("state") or {}) and each.get("resources") is None
        for each in (old.get("status") or {}).get("containerStatuses") or ()
    ):
        yield Cause.forbidden("spec", "Pod running on node without support for resize")
    yield from _validate_whole(after.get("resources"), before.get("resources"))
    others = [cause for kind in _KINDS for cause in _validate_order(kind, after, before)]
    yield from others
    if others:
        return
    for kind in _KINDS:
        for index, (now, then) in enumerate(zip(after.get(kind) or (), before.get(kind) or (), strict=True)):
            at = f"spec.{kind}[{index}].resources"
            changes = now.get("resources") != then.get("resources")
            if changes and kind == "initContainers" and now.get("restartPolicy") != "Always":
                yield Cause.forbidden("spec", "resources for non-sidecar init containers are immutable")
                continue
            if now.get("resizePolicy") != then.get("resizePolicy"):
                yield Cause.forbidden("spec", "only cpu and memory resources are mutable")
            yield from _validate_container(now.get("resources") or {}, then.get("resources") or {}, at)


def _validate_order(kind: str, new: Obj, old: Obj) -> Iterator[Cause]:
    """A resize neither adds, removes, renames nor moves a container."""
    after, before = new.get(kind) or [], old.get(kind) or []
    if len(after) != len(before):
        yield Cause.forbidden(f"spec.{kind}", f"{kind} may not be added or removed on resize")
        return
    for index, (now, then) in enumerate(zip(after, before, strict=True)):
        if now.get("name") != then["name"]:
            text = f"{kind} may not be renamed or reordered on resize"
            yield Cause.forbidden(f"spec.{kind}[{index}].name", text)


def _validate_whole(new: Obj | None, old: Obj | None) -> Iterator[Cause]:
    """The change of what the pod has as a whole."""
    if old and not new:
        yield Cause.forbidden("spec.resources", "pod-level resources cannot be removed")
        return
    after, before = new or {}, old or {}
    for field in ("requests", "limits"):
        now, then = after.get(field) or {}, before.get(field) or {}
        if any(name in then and name not in now for name in _RESIZABLE):
            text = f"pod-level resource {field} cannot be removed"
            yield Cause.forbidden(f"spec.resources.{field}", text)
        if _others(now) != _others(then):
            yield Cause.forbidden("spec", "only cpu and memory resources are mutable at pod-level")


def _others(amounts: Obj) -> Obj:
    return {name: amount for name, amount in amounts.items() if name not in _RESIZABLE}


def _validate_container(new: Obj, old: Obj, at: str) -> Iterator[Cause]:
    for field in ("requests", "limits"):
        after, before = new.get(field) or {}, old.get(field) or {}
        if any(name in before and name not in after for name in _RESIZABLE):
            yield Cause.forbidden(f"{at}.{field}", f"resource {field} cannot be removed")
        if _others(after) != _others(before):
            yield Cause.forbidden("spec", "only cpu and memory resources are mutable")
