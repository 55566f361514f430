"""Which selections include which pods, kept current.

Pods that policies can't tell apart are looked at together: those of one namespace with the same labels. A
selection that demands a label's value is asked only about pods that have it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import product
from typing import NamedTuple, TypeVar

import msgspec

from wellhead.policies.pods import Labels, NamedNumber, Pod
from wellhead.policies.policy import Selection

K = TypeVar("K")
V = TypeVar("V")


class Traits(NamedTuple):
    """All that policies may know a pod by, besides its addresses."""

    namespace: str
    labels: Labels
    ports: tuple[NamedNumber, ...]


def traits_of(pod: Pod) -> Traits:
    return Traits(pod.namespace, pod.labels, pod.ports)


class _Known(msgspec.Struct, gc=False):
    """Of some traits: how many pods have them, and which selections include those."""

    labels: dict[str, str]
    pods: int = 0
    included_in: set[Selection] = msgspec.field(default_factory=set)


_Pair = tuple[str, str]
_Index = tuple[str, _Pair | None]
"""Where a selection is looked for: by its namespace ("": it selects several), and by a label whose value it
demands, if there is one."""


class Selections:
    """Selections that somebody wants to know the pods of, and the traits of the pods that there are."""

    def __init__(self) -> None:
        self._wanted: Counter[Selection] = Counter()
        self._namespaces: dict[str, Labels] = {}
        self._namespaces_of: dict[Selection, set[str]] = {}
        """Of those that select namespaces by labels."""
        self._by_index: defaultdict[_Index, set[Selection]] = defaultdict(set)
        self._including: defaultdict[Selection, set[Traits]] = defaultdict(set)
        self._known: dict[Traits, _Known] = {}
        self._traits_by_pair: defaultdict[_Pair, set[Traits]] = defaultdict(set)
        self._traits_in: defaultdict[str, set[Traits]] = defaultdict(set)

    def of(self, traits: Traits) -> set[Selection]:
        """The wanted selections that include pods with these traits. Not to be changed."""
        known = self._known.get(traits)
        return known.included_in if known is not None else set()

    def including(self, selection: Selection) -> set[Traits]:
        """The traits of the pods that a wanted selection includes. Not to be changed."""
        return self._including.get(selection, set())

    def want(self, selection: Selection) -> None:
        """Keep a selection's pods, until it is dropped as many times."""
        self._wanted[selection] += 1
        if self._wanted[selection] > 1:
            return
        where = selection.namespaces
        if not isinstance(where, str):
            self._namespaces_of[selection] = {
                name for name, labels in self._namespaces.items() if where.matches(dict(labels))
            }
        index = _index(selection)
        self._by_index[index].add(selection)
        for traits in self._candidates(*index):
            self._reconsider(selection, traits)

    def drop(self, selection: Selection) -> None:
        """One who wanted it doesn't any more."""
        self._wanted[selection] -= 1
        if self._wanted[selection]:
            return
        del self._wanted[selection]
        self._namespaces_of.pop(selection, None)
        _remove(self._by_index, _index(selection), selection)
        for traits in self._including.pop(selection, ()):
            self._known[traits].included_in.discard(selection)

    def add_pod(self, traits: Traits) -> None:
        """There is a pod with these traits, or one more."""
        known = self._known.get(traits)
        if known is None:
            known = self._known[traits] = _Known(dict(traits.labels))
            self._traits_in[traits.namespace].add(traits)
            for pair in traits.labels:
                self._traits_by_pair[pair].add(traits)
            for index in product((traits.namespace, ""), (None, *traits.labels)):
                for selection in self._by_index.get(index, ()):
                    self._reconsider(selection, traits)
        known.pods += 1

    def remove_pod(self, traits: Traits) -> None:
        """There is one pod less with these traits."""
        known = self._known[traits]
        known.pods -= 1
        if known.pods:
            return
        del self._known[traits]
        for selection in known.included_in:
            _remove(self._including, selection, traits)
        _remove(self._traits_in, traits.namespace, traits)
        for pair in traits.labels:
            _remove(self._traits_by_pair, pair, traits)

    def set_namespace(self, name: str, labels: Labels | None) -> set[Traits]:
        """A Namespace has these labels; None: there is none. Returns the traits that this concerns."""
        if self._namespaces.get(name) == labels:
            return set()
        if labels is None:
            del self._namespaces[name]
        else:
            self._namespaces[name] = labels
        written = dict(labels or ())
        concerned: set[Traits] = set()
        for selection, names in self._namespaces_of.items():
            where = selection.namespaces
            matches = labels is not None and not isinstance(where, str) and where.matches(written)
            if matches == (name in names):
                continue
            (names.add if matches else names.discard)(name)
            for traits in self._traits_in.get(name, ()):
                if self._reconsider(selection, traits):
                    concerned.add(traits)
        return concerned

    def _candidates(self, namespace: str, pair: _Pair | None) -> Iterable[Traits]:
        if pair is not None:
            return self._traits_by_pair.get(pair, ())
        return self._traits_in.get(namespace, ()) if namespace else self._known

    def _reconsider(self, selection: Selection, traits: Traits) -> bool:
        """Whether it made a difference."""
        known = self._known[traits]
        included = self._selects_in(selection, traits.namespace) and selection.pods.matches(known.labels)
        if included == (selection in known.included_in):
            return False
        if included:
            known.included_in.add(selection)
            self._including[selection].add(traits)
        else:
            known.included_in.discard(selection)
            _remove(self._including, selection, traits)
        return True

    def _selects_in(self, selection: Selection, namespace: str) -> bool:
        where = selection.namespaces
        return where == namespace if isinstance(where, str) else namespace in self._namespaces_of[selection]


def _index(selection: Selection) -> _Index:
    namespace = selection.namespaces if isinstance(selection.namespaces, str) else ""
    for each in selection.pods.requirements:
        if each.operator == "in" and len(each.values) == 1:
            return namespace, (each.key, next(iter(each.values)))
    return namespace, None


def _remove(index: dict[K, set[V]], key: K, value: V) -> None:
    found = index[key]
    found.discard(value)
    if not found:
        del index[key]
