"""Which volume is for which claim: what binder, scheduler, provisioners and nodes must agree on. Pure.

Upstream: pkg/volume/util (FindMatchingVolume, CheckNodeAffinity), component-helpers/storage/volume.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from wellhead.api import meta
from wellhead.api.kinds.storage import modes
from wellhead.api.meta import AnyObj, Obj, is_deleting
from wellhead.api.placement import node_terms
from wellhead.api.selectors import LabelSelector

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONER = "volume.kubernetes.io/storage-provisioner"
BETA_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner"


@dataclass(frozen=True)
class Node:
    """As far as volumes ask where they are: a node's name and labels."""

    name: str
    labels: Mapping[str, str]


def claim_names(pod: AnyObj) -> Iterator[tuple[str, bool]]:
    """The claims that a pod uses, and whether the pod has each for itself (an `ephemeral` volume)."""
    for volume in pod["spec"].get("volumes") or ():
        if source := volume.get("persistentVolumeClaim"):
            yield str(source.get("claimName") or ""), False
        elif volume.get("ephemeral"):
            yield f"{pod['metadata']['name']}-{volume['name']}", True


def is_bound(claim: Obj) -> bool:
    """Whether the binder has finished with a claim."""
    return bool(claim["spec"].get("volumeName")) and BIND_COMPLETED in meta.annotations(claim)


def is_for(volume: Obj, claim: Obj) -> bool:
    """Whether a volume is reserved for exactly this claim, or for any of its name."""
    reference = volume["spec"].get("claimRef")
    if not reference:
        return False
    metadata = claim["metadata"]
    same = (reference.get("namespace"), reference.get("name")) == (metadata["namespace"], metadata["name"])
    return same and reference.get("uid") in (None, "", metadata["uid"])


def allows(volume: Obj, node: Node) -> bool:
    """Whether a volume can be used on a node."""
    required = (volume["spec"].get("nodeAffinity") or {}).get("required")
    if required is None:
        return True
    terms = node_terms(required.get("nodeSelectorTerms"))
    return any(term.matches(node.name, node.labels) for term in terms)


def unfitness(volume: Obj, claim: Obj) -> str:
    """Why a volume can't be this claim's, though it is the one that was asked for; "" if it can."""
    if modes.size_of(volume["spec"].get("capacity")) < _asked(claim):
        return "requested PV is too small"
    if modes.class_of(volume) != modes.class_of(claim):
        return "storageClassName does not match"
    if _volume_mode(volume) != _volume_mode(claim):
        return "incompatible volumeMode"
    if not set(claim["spec"].get("accessModes") or ()) <= set(volume["spec"].get("accessModes") or ()):
        return "incompatible accessMode"
    return ""


def best_match(
    claim: Obj,
    volumes: Iterable[Obj],
    *,
    node: Node | None = None,
    delayed: bool = False,
    excluded: Iterable[str] = (),
) -> Obj | None:
    """The volume for a claim: one that is reserved for it, else the smallest that does. None: there is none.

    With `node`, one that can be used there, and that isn't among those `excluded` by name. `delayed` without
    a node: only one that is reserved, since the scheduler chooses among the others.
    """
    excluded = set(excluded)
    selector = claim["spec"].get("selector")
    wanted = LabelSelector.from_object(selector) if selector else None
    found: Obj | None = None
    for volume in volumes:
        name = volume["metadata"]["name"]
        if name in excluded or not set(claim["spec"].get("accessModes") or ()) <= set(
            volume["spec"].get("accessModes") or ()
        ):
            continue
        size = modes.size_of(volume["spec"].get("capacity"))
        if is_for(volume, claim):
            if size >= _asked(claim) and _volume_mode(volume) == _volume_mode(claim):
                return volume if node is None or allows(volume, node) else None
            continue
        if (
            volume["spec"].get("claimRef")
            or (node is None and delayed)
            or is_deleting(volume)
            or (volume.get("status") or {}).get("phase") != "Available"
            or unfitness(volume, claim)
            or (wanted is not None and not wanted.matches(meta.labels(volume)))
            or _attributes(volume) != _attributes(claim)
            or (node is not None and not allows(volume, node))
        ):
            continue
        if found is None or (size, name) < (
            modes.size_of(found["spec"].get("capacity")),
            found["metadata"]["name"],
        ):
            found = volume
    return found


def _asked(claim: Obj) -> int:
    return modes.size_of((claim["spec"].get("resources") or {}).get("requests"))


def _volume_mode(obj: Obj) -> str:
    return str(obj["spec"].get("volumeMode") or "Filesystem")


def _attributes(obj: Obj) -> str:
    return str(obj["spec"].get("volumeAttributesClassName") or "")
