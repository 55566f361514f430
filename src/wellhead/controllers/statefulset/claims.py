"""The PersistentVolumeClaims of a StatefulSet's pods: what they are, and who owns them.

Source: upstream's pkg/controller/statefulset (KEP-1847). What persistentVolumeClaimRetentionPolicy says is
kept in owner references, so that the garbage collector deletes a claim with the StatefulSet, or with the pod
that was scaled away. Claims that somebody else controls, or an earlier owner of the same name, are let alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from wellhead.api.meta import AnyObj, Obj, is_deleting, owner_reference, owner_references
from wellhead.api.types.pod import Pod
from wellhead.api.types.shared import OwnerReference
from wellhead.controllers.statefulset.identity import claim_name, claim_templates, ordinal_of, ordinals

Claims = Mapping[str, Obj]
"""The claims that exist in the StatefulSet's namespace, by name."""


def names(statefulset: Obj, pod: Pod) -> list[str]:
    ordinal = ordinal_of(pod)
    return [claim_name(statefulset, template, ordinal) for template in claim_templates(statefulset)]


def missing(statefulset: Obj, pod: Pod, claims: Claims) -> list[Obj]:
    """The claims that the pod needs and that don't exist, as they are to be created."""
    ordinal, found = ordinal_of(pod), []
    for template in claim_templates(statefulset):
        name = claim_name(statefulset, template, ordinal)
        if name not in claims:
            found.append(_new(statefulset, template, name))
    return found


def _new(statefulset: Obj, template: Obj, name: str) -> Obj:
    metadata = template["metadata"]
    selector = statefulset["spec"].get("selector") or {}
    claim: Obj = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": template.get("spec") or {}}
    claim["metadata"] = {
        "name": name,
        "namespace": statefulset["metadata"]["namespace"],
        "labels": {**(metadata.get("labels") or {}), **(selector.get("matchLabels") or {})},
    }
    for field in ("annotations", "finalizers"):
        if metadata.get(field):
            claim["metadata"][field] = metadata[field]
    return claim


def going(statefulset: Obj, pod: Pod, claims: Claims) -> str:
    """The name of a claim of the pod's that is being deleted: no pod can be made on it."""
    mine = names(statefulset, pod)
    return next((name for name in mine if name in claims and is_deleting(claims[name])), "")


def is_stale(statefulset: Obj, pod: Pod, claims: Claims) -> bool:
    """Whether a claim still belongs to an earlier pod of this name, with which it is going to be deleted."""
    if _policy(statefulset)[1] == "Retain":
        return False
    return any(_is_of_another(claims[name], pod) for name in names(statefulset, pod) if name in claims)


def disowned(statefulset: Obj, pod: Pod, claims: Claims) -> list[Obj]:
    """The pod's claims whose owners aren't as the policy says, as they are to be."""
    found = []
    for name in names(statefulset, pod):
        claim = claims.get(name)
        if claim is not None and not _is_up_to_date(claim, statefulset, pod):
            found.append(_with_owners(claim, statefulset, pod))
    return found


def conflicting(statefulset: Obj, pod: Pod, claims: Claims) -> list[str]:
    """Names of the pod's claims for which the policy can't be followed, as another controls them."""
    mine = [name for name in names(statefulset, pod) if name in claims]
    return [name for name in mine if _has_other_controller(claims[name], statefulset, pod)]


def _policy(statefulset: Obj) -> tuple[str, str]:
    """(whenDeleted, whenScaled)."""
    policy = statefulset["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return policy.get("whenDeleted") or "Retain", policy.get("whenScaled") or "Retain"


def _owners(statefulset: Obj, pod: Pod) -> tuple[bool, bool]:
    """(whether the StatefulSet is to own the pod's claims, whether the pod is)."""
    deleted, scaled = (each == "Delete" for each in _policy(statefulset))
    is_scaled_down = scaled and ordinal_of(pod) not in ordinals(statefulset)
    return deleted and not is_scaled_down, is_scaled_down


def _is_up_to_date(claim: Obj, statefulset: Obj, pod: Pod) -> bool:
    if _is_of_another(claim, statefulset) or _is_of_another(claim, pod):
        return True  # the garbage collector sees to it
    owned = _owns(claim, statefulset), _owns(claim, pod)
    if _has_other_controller(claim, statefulset, pod):
        return not any(owned)
    ours = (statefulset["metadata"]["uid"], pod["metadata"].get("uid"))
    if any(ref["uid"] in ours and not ref.get("controller") for ref in owner_references(claim)):
        return False
    return owned == _owners(statefulset, pod)


def _with_owners(claim: Obj, statefulset: Obj, pod: Pod) -> Obj:
    references = [
        ref for ref in owner_references(claim) if not _names(ref, statefulset) and not _names(ref, pod)
    ]
    if not _has_other_controller(claim, statefulset, pod):
        for owner, owns in zip((statefulset, pod), _owners(statefulset, pod), strict=True):
            references += [owner_reference(owner)] if owns else []
    return {**claim, "metadata": {**claim["metadata"], "ownerReferences": references}}


def _has_other_controller(claim: Obj, statefulset: Obj, pod: Pod) -> bool:
    if _policy(statefulset) == ("Retain", "Retain"):
        return False  # then anybody may manage it
    for ref in owner_references(claim):
        if _names(ref, statefulset) or _names(ref, pod):
            owner: AnyObj = statefulset if _names(ref, statefulset) else pod
            if ref["uid"] != owner["metadata"].get("uid"):
                return True
        elif ref.get("controller"):
            return True
    return False


def _owns(claim: Obj, owner: AnyObj) -> bool:
    return any(ref["uid"] == owner["metadata"].get("uid") for ref in owner_references(claim))


def _is_of_another(claim: Obj, owner: AnyObj) -> bool:
    """Whether the claim refers to one of the same name that isn't this one."""
    refs = (ref for ref in owner_references(claim) if _names(ref, owner))
    return any(ref["uid"] != owner["metadata"].get("uid") for ref in refs)


def _names(ref: OwnerReference, owner: AnyObj) -> bool:
    return (ref["apiVersion"], ref["kind"], ref["name"]) == (
        owner["apiVersion"],
        owner["kind"],
        owner["metadata"]["name"],
    )
