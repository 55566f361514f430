"""What policies of one kind come to on a node, kept current at the cost of what changes.

Subjects are the node's own pods, by address, and what policies say of each. Everybody else's address has a
class: the peers of any policy that it is among. Whether a packet passes follows from those two alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, Protocol, TypeVar

from wellhead.ip import Family, IPAddress
from wellhead.policies.blocks import Stretch, stretches
from wellhead.policies.pods import Labels, NamedNumber, Pod
from wellhead.policies.policy import (
    Block,
    Direction,
    NamedPort,
    Peer,
    Port,
    Selection,
)
from wellhead.policies.selections import Selections, Traits, traits_of

PolicyKey = tuple[str, str]
"""Namespace and name."""
PodKey = tuple[str, str]

_T = TypeVar("_T")
P = TypeVar("P", bound="PolicyLike")
S = TypeVar("S")


class RuleLike(Protocol):
    """A rule, as far as its peers and ports go."""

    @property
    def peers(self) -> tuple[Peer, ...]: ...

    @property
    def ports(self) -> tuple[Port, ...]: ...


class PolicyLike(Protocol):
    """A policy, as far as whom it is about and what it speaks of goes."""

    @property
    def pods(self) -> Selection: ...

    def rules(self, direction: Direction) -> Sequence[RuleLike] | None: ...


@dataclass(frozen=True)
class PeerClass:
    """What policies know of an address: the peers that it is among, and those of its ports' names that they
    use."""

    peers: frozenset[Selection | Block]
    ports: tuple[NamedNumber, ...] = ()

    @cached_property
    def text(self) -> str:
        """The same for equal classes, in any process."""
        ports = (f"{each.name}:{each.protocol}:{each.number}" for each in self.ports)
        return "\n".join([*sorted(each.text for each in self.peers), *ports])


@dataclass(frozen=True, slots=True)
class Changes(Generic[S]):
    """What changed since the last time: (before, after), None where there was or is nothing."""

    subjects: Mapping[IPAddress, tuple[S | None, S | None]] = field(default_factory=dict)
    classes: Mapping[IPAddress, tuple[PeerClass | None, PeerClass | None]] = field(default_factory=dict)
    stretches: Mapping[Family, tuple[Stretch, ...]] = field(default_factory=dict)
    """All of a family where blocks differ."""

    def __bool__(self) -> bool:
        return bool(self.subjects or self.classes or self.stretches)


class Followed(ABC, Generic[P, S]):
    """Policies of one kind, for one node. What is told in whatever order, it always equals what is made of
    the last state alone."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._policies: dict[PolicyKey, P] = {}
        self._about: defaultdict[Selection, set[PolicyKey]] = defaultdict(set)
        self._selections = Selections()
        self._peers: Counter[Selection | Block] = Counter()
        self._names: Counter[str] = Counter()
        """Of ports that rules of egress use."""
        self._named_blocks: Counter[Block] = Counter()
        """Blocks in which ports are named: only pods have ports with names."""
        self._pods: dict[PodKey, Pod] = {}
        self._at: defaultdict[IPAddress, set[PodKey]] = defaultdict(set)
        self._having: defaultdict[Traits, set[PodKey]] = defaultdict(set)
        self._class_of: dict[Traits, tuple[frozenset[Selection], tuple[NamedNumber, ...]]] = {}
        self._subjects: dict[IPAddress, S] = {}
        self._classes: dict[IPAddress, PeerClass] = {}
        self._stretches: dict[Family, tuple[Stretch, ...]] = dict.fromkeys(Family, ())
        self._stale: set[IPAddress] = set()
        self._blocks_stale = False
        self._names_stale = False

    @property
    def policies(self) -> Mapping[PolicyKey, P]:
        return self._policies

    @property
    def subjects(self) -> Mapping[IPAddress, S]:
        """As of the last `take`."""
        return self._subjects

    # ---- what is told

    def set_policy(self, key: PolicyKey, policy: P | None) -> None:
        """There is this policy now, or none."""
        before = self._policies.get(key)
        if before == policy:
            return
        if policy is not None:
            self._policies[key] = policy
            self._selections.want(policy.pods)
            self._about[policy.pods].add(key)
            self._stale_included(policy.pods)
            self._count(policy, 1)
        else:
            del self._policies[key]
        if before is not None:
            self._stale_included(before.pods)
            self._count(before, -1)
            if policy is None or policy.pods != before.pods:
                self._about[before.pods].discard(key)
                if not self._about[before.pods]:
                    del self._about[before.pods]
            self._selections.drop(before.pods)

    def set_namespace(self, name: str, labels: Labels | None) -> None:
        """A Namespace has these labels now; None: there is none."""
        for traits in self._selections.set_namespace(name, labels):
            self._stale_having(traits)

    def set_pod(self, key: PodKey, pod: Pod | None) -> None:
        """There is this pod now, or none with addresses."""
        before = self._pods.get(key)
        if before == pod:
            return
        if pod is not None:
            self._pods[key] = pod
            traits = traits_of(pod)
            self._selections.add_pod(traits)
            self._having[traits].add(key)
            for address in pod.addresses:
                self._at[address].add(key)
        else:
            del self._pods[key]
        if before is not None:
            self._forget(key, before, pod)
        for each in (before, pod):
            if each is not None:
                self._stale.update(each.addresses)

    def _forget(self, key: PodKey, before: Pod, now: Pod | None) -> None:
        traits = traits_of(before)
        self._selections.remove_pod(traits)
        if now is None or traits_of(now) != traits:
            self._having[traits].discard(key)
            if not self._having[traits]:
                del self._having[traits]
                self._class_of.pop(traits, None)
        for address in set(before.addresses).difference(now.addresses if now is not None else ()):
            self._at[address].discard(key)
            if not self._at[address]:
                del self._at[address]

    def _count(self, policy: P, step: int) -> None:
        """Note what a policy's rules speak of."""
        for direction in Direction:
            for rule in policy.rules(direction) or ():
                for peer in rule.peers:
                    if isinstance(peer, Selection | Block):
                        self._count_peer(peer, step)
                if direction is Direction.EGRESS:
                    self._count_names(rule, step)

    def _count_peer(self, peer: Selection | Block, step: int) -> None:
        was = self._peers[peer]
        self._peers[peer] += step
        if isinstance(peer, Selection):
            if step > 0:
                self._selections.want(peer)
            if not was or not was + step:
                self._stale_included(peer, classes=True)
            if step < 0:
                self._selections.drop(peer)
        elif not was or not was + step:
            self._blocks_stale = True
        if not self._peers[peer]:
            del self._peers[peer]

    def _count_names(self, rule: RuleLike, step: int) -> None:
        for port in rule.ports:
            if not isinstance(port, NamedPort):
                continue
            self._names[port.name] += step
            for peer in rule.peers:
                if isinstance(peer, Block):
                    self._named_blocks[peer] += step
            self._names_stale = True

    def _stale_included(self, selection: Selection, *, classes: bool = False) -> None:
        for traits in self._selections.including(selection):
            if classes:
                self._class_of.pop(traits, None)
            self._stale.update(
                address for key in self._having.get(traits, ()) for address in self._pods[key].addresses
            )

    def _stale_having(self, traits: Traits) -> None:
        self._class_of.pop(traits, None)
        for key in self._having.get(traits, ()):
            self._stale.update(self._pods[key].addresses)

    # ---- what follows

    def take(self) -> Changes[S]:
        """What has changed since the last call."""
        subjects, classes = {}, {}
        if self._names_stale:  # rare: all pods are looked at again
            self._names_stale = False
            self._class_of.clear()
            self._stale.update(self._at)
        for address in self._stale:
            owner = self._owner(address)
            subject = self._subject(owner) if owner is not None and owner.node == self._node else None
            if (was := _replace(self._subjects, address, subject)) != subject:
                subjects[address] = was, subject
            found = self._peer_class(address, owner) if owner is not None else None
            if (before := _replace(self._classes, address, found)) != found:
                classes[address] = before, found
        self._stale.clear()
        return Changes(subjects, classes, self._changed_stretches())

    def _changed_stretches(self) -> Mapping[Family, tuple[Stretch, ...]]:
        if not self._blocks_stale:
            return {}
        self._blocks_stale = False
        changed = {}
        for family in Family:
            blocks = (each for each in self._peers if isinstance(each, Block))
            found = stretches(blocks, family)
            if found != self._stretches[family]:
                changed[family] = self._stretches[family] = found
        return changed

    def _owner(self, address: IPAddress) -> Pod | None:
        """Of pods with one address, the newest: the others' sandboxes are gone, though nobody says so yet."""
        keys = self._at.get(address)
        if not keys:
            return None
        return max((self._pods[key] for key in keys), key=lambda each: (each.created, each.uid))

    @abstractmethod
    def _subject(self, pod: Pod) -> S:
        """What policies come to for a pod of the node."""

    def _about_pod(self, pod: Pod) -> list[P]:
        """The policies that are about a pod, in one order."""
        about = sorted(
            key for selection in self._selections.of(traits_of(pod)) for key in self._about.get(selection, ())
        )
        return [self._policies[key] for key in about]

    def _blocks_around(self, address: IPAddress) -> Iterator[Block]:
        """The blocks of a pod's class: other blocks' are found by the address itself."""
        return (each for each, uses in self._named_blocks.items() if uses and address in each)

    def _peer_class(self, address: IPAddress, pod: Pod) -> PeerClass | None:
        traits = traits_of(pod)
        known = self._class_of.get(traits)
        if known is None:
            peers = frozenset(each for each in self._selections.of(traits) if each in self._peers)
            known = self._class_of[traits] = (
                peers,
                tuple(each for each in traits.ports if self._names[each.name]),
            )
        peers_of_traits, ports = known
        if not peers_of_traits and not ports:
            return None
        return PeerClass(peers_of_traits.union(self._blocks_around(address)), ports)


def _replace(found: dict[IPAddress, _T], address: IPAddress, now: _T | None) -> _T | None:
    before = found.pop(address, None)
    if now is not None:
        found[address] = now
    return before
