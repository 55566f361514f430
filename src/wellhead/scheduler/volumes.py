"""What a pod's claims say about where it may go, and what must be done for them before it goes there.

Upstream: pkg/scheduler/framework/plugins/{volumebinding,volumerestrictions}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from wellhead.api import meta
from wellhead.api.kinds.storage import classes, modes
from wellhead.api.meta import Obj, is_controlled_by, is_deleting
from wellhead.api.storage import SELECTED_NODE, Node, allows, best_match, claim_names, is_bound, is_for
from wellhead.scheduler.cluster import NodeInfo

CONFLICT = "node(s) didn't match PersistentVolume's node affinity"
NO_VOLUME = "node(s) didn't find available persistent volumes to bind"
UNBOUND_IMMEDIATE = "pod has unbound immediate PersistentVolumeClaims"
ONE_POD_TAKEN = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"

PROBLEM = "claims"
"""A reason for what speaks against all nodes."""
REASONS = frozenset({CONFLICT, NO_VOLUME, ONE_POD_TAKEN, PROBLEM})

Get = Callable[[str, str], Obj | None]
"""Takes a name and a namespace ("" for what is in none)."""


@dataclass(frozen=True)
class Sources:
    """What there is: claims, volumes and classes by name, volumes that are nobody's by their class."""

    claim: Get
    volume: Get
    storage_class: Get
    free: Callable[[str], Iterable[Obj]]
    """The volumes of a class that nobody has, and those that are reserved in advance."""
    users: Callable[[str, str], Mapping[str, str]]
    """The pods that use the claim of this name and namespace and have a node: UID → that."""


@dataclass(frozen=True)
class Decision:
    """What is to be done for a pod's claims once it has a node: volumes to reserve, claims to provision."""

    reserve: Mapping[str, str] = field(default_factory=dict)
    """Claim → volume, by name."""
    provision: tuple[str, ...] = ()


class Volumes:
    """A pod's claims, looked at once for all nodes. `problem` says why it can go nowhere now."""

    def __init__(self, pod: Obj, sources: Sources) -> None:
        self._pod = pod
        self._sources = sources
        self._namespace: str = pod["metadata"]["namespace"]
        self._bound: list[Obj] = []
        self._waiting: list[Obj] = []
        self._rivals: dict[str, str] = {}
        self.problem = next(self._look(), "")

    def _look(self) -> Iterator[str]:
        immediate = False
        for name, own in claim_names(self._pod):
            claim = self._sources.claim(name, self._namespace)
            if claim is None:
                yield (
                    f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
                    if own
                    else f'persistentvolumeclaim "{name}" not found'
                )
                continue
            if is_deleting(claim):
                yield f'persistentvolumeclaim "{name}" is being deleted'
            if own and not is_controlled_by(claim, self._pod):
                yield f"PVC {self._namespace}/{name} was not created for this pod (pod is not owner)"
            if (claim.get("status") or {}).get("phase") == "Lost":
                volume = claim["spec"].get("volumeName")
                yield f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"'
            if modes.ONE_POD in (claim["spec"].get("accessModes") or ()):
                self._rivals |= self._sources.users(name, self._namespace)
            immediate |= self._sort(claim)
        if immediate:
            yield UNBOUND_IMMEDIATE

    def _sort(self, claim: Obj) -> bool:
        """Note the claim by what it needs; whether it is one that the binder is to bind first."""
        name = claim["spec"].get("volumeName")
        volume = self._sources.volume(name, "") if name else None
        if is_bound(claim) and volume is not None:
            self._bound.append(volume)
            return False
        named = modes.class_of(claim)
        storage_class = self._sources.storage_class(named, "") if named else None
        if name or not classes.waits_for_consumer(storage_class):
            return True
        self._waiting.append(claim)
        return False

    def misfit(self, node: NodeInfo) -> str:
        """Why the pod can't go to this node; "" if its claims let it.

        What only one pod may use is free if the node is looked at without the pod there that has it.
        """
        if any(place != node.name or uid in node.pods for uid, place in self._rivals.items()):
            return ONE_POD_TAKEN
        place = Node(node.name, node.labels)
        if any(not allows(volume, place) for volume in self._bound):
            return CONFLICT
        return "" if not self._waiting or self._decide(place) is not None else NO_VOLUME

    def decide(self, node: NodeInfo) -> Decision:
        """What is to be done for the pod to go to a node that `misfit` has accepted."""
        return self._decide(Node(node.name, node.labels)) or Decision()

    def _decide(self, place: Node) -> Decision | None:
        reserve: dict[str, str] = {}
        provision = []
        for claim in self._waiting:
            name = claim["metadata"]["name"]
            chosen = meta.annotations(claim).get(SELECTED_NODE)
            if chosen and chosen != place.name:
                return None  # a provisioner may be at it there
            volume = None
            if not chosen:
                free = self._sources.free(modes.class_of(claim))
                volume = best_match(claim, free, node=place, excluded=reserve.values())
            if volume is not None:
                if not is_for(volume, claim) or not (volume["spec"].get("claimRef") or {}).get("uid"):
                    reserve[name] = volume["metadata"]["name"]
                continue
            if not self._can_provision(claim, place):
                return None
            provision.append(name)
        return Decision(reserve, tuple(provision))

    def _can_provision(self, claim: Obj, place: Node) -> bool:
        storage_class = self._sources.storage_class(modes.class_of(claim), "") or {}
        if storage_class.get("provisioner") in (None, "", classes.NO_PROVISIONER):
            return False
        terms = storage_class.get("allowedTopologies")
        return not terms or any(_matches(term, place) for term in terms)


def _matches(term: Obj, place: Node) -> bool:
    return all(
        place.labels.get(each["key"]) in (each.get("values") or ())
        for each in term.get("matchLabelExpressions") or ()
    )
