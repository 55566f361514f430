"""By what the storage controllers look objects up."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from wellhead.api.kinds.storage import modes
from wellhead.api.meta import AnyObj
from wellhead.api.storage import claim_names


def volume_places(volume: AnyObj) -> Iterable[Hashable]:
    """Index of volumes: by class, while nobody has one; by claim, once it is somebody's."""
    reference = volume["spec"].get("claimRef")
    if reference:
        return [("claim", reference.get("namespace") or "", reference.get("name") or "")]
    return [("class", modes.class_of(volume))]


def claim_places(claim: AnyObj) -> Iterable[Hashable]:
    """Index of claims: by class, while they wait; by volume, once they name one."""
    if name := claim["spec"].get("volumeName"):
        return [("volume", name)]
    return [("class", modes.class_of(claim)), *([] if modes.has_class(claim) else [("no class",)])]


def pod_claims(pod: AnyObj) -> Iterable[Hashable]:
    """Index of pods: by the claims that they use."""
    namespace = pod["metadata"]["namespace"]
    return [(namespace, name) for name, _ in claim_names(pod)]
