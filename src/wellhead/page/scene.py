"""The scene: what the picture shows, kept as objects come and go, each change at the cost of what it touches.
Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeVar

from wellhead.api.meta import Key
from wellhead.ip import IPAddress
from wellhead.page import entities
from wellhead.page.store import Store, key_of, service_of
from wellhead.page.values import Change, Client, Entity, Node, Pod, Service
from wellhead.paths.parties.found import Parties
from wellhead.paths.services import ServiceFacts
from wellhead.paths.world import WORKLOADS, Entry, read_node, read_pod

T = TypeVar("T")

_NO_BALANCERS = (
    "ClusterNetworkPolicy", "Event", "Ingress", "IngressClass", "Namespace", "NetworkPolicy", "ReplicaSet",
)  # fmt: skip
"""Kinds that say nothing of load balancers. Of any other kind, each change may."""


class Scene:
    """Entities by id. Objects are put and removed; `changes` says what is other than when it last said."""

    def __init__(self, store: Store, client: Client) -> None:
        self.entities: dict[str, Entity] = {client.id: client}
        self.altered = False
        """Whether what `changes` told last may alter answers, also where nothing in the picture is another:
        by a policy, a ConfigMap, an annotation."""
        self._alters = False
        self._store = store
        self._services: set[Key] = set()  # those whose entity may be another one
        self._pods: set[Key] = set()
        self._nodes: set[str] = set()
        self._all_balancers = False
        self._balancer_ids: set[str] = set()
        self._services_of_pod: dict[str, set[str]] = defaultdict(set)
        self._passing: dict[str, frozenset[str]] = {}  # of each Service with a health check, the nodes
        self._party_of: dict[Key, tuple[str, str]] = {}  # of each Service with a balancer: name and class
        self._members: dict[tuple[str, str], set[Key]] = defaultdict(set)
        self._pods_at: dict[str, set[str]] = defaultdict(set)  # more than one while an address passes on
        self._services_at: dict[str, set[Key]] = defaultdict(set)

    # What happens

    def put(self, entry: Entry) -> None:
        """An object is there, or is another one."""
        had_slices = self._store.has("EndpointSlice")
        self._touch(entry, self._store.put(entry))
        if not had_slices and entry.kind == "EndpointSlice":
            self._touch_services()

    def remove(self, entry: Entry) -> None:
        """An object is gone."""
        old = self._store.remove(entry)
        if old is None:
            return
        self._touch(old, old)
        if old.kind == "EndpointSlice" and not self._store.has("EndpointSlice"):
            self._touch_services()

    def _touch_services(self, namespace: str = "") -> None:
        """Where there are no slices, endpoints are made of whatever there is, as explain does it."""
        services = map(key_of, self._store.of_kind("Service"))
        self._services |= {each for each in services if namespace in ("", each[0])}

    def _touch(self, entry: Entry, old: Entry | None) -> None:
        key = key_of(entry)
        self._alters |= old is None or old is entry or _says(entry) != _says(old)
        match entry.kind:
            case "Service":
                self._services.add(key)
            case "EndpointSlice":
                for each in (entry, old):
                    if each is not None and (service := service_of(each)) is not None:
                        self._services.add(service)
            case "Pod":
                self._pods.add(key)
                if not self._store.has("EndpointSlice"):
                    self._touch_services(key[0])
            case "Endpoints":
                self._services.add(key)
            case "Node":
                self._nodes.add(entry.name)
                self._all_balancers |= old is None or old is entry or _marks(entry) != _marks(old)
            case kind if kind in WORKLOADS:
                self._all_balancers |= old is None or old is entry or _template(entry) != _template(old)
            case kind if kind not in _NO_BALANCERS:
                self._all_balancers = True

    # What that makes of the scene

    def changes(self) -> Change:
        """What is other than it was when this was asked last."""
        self.altered, self._alters = self._alters, False
        put: dict[str, Entity] = {}
        gone: list[str] = []
        pods, self._pods = self._pods, set()
        for key in pods:
            self._index_pod(key)
        services, self._services = self._services, set()
        if self._all_balancers:
            services |= self._party_of.keys()
        parties = Parties(self._store.world()) if self._needs_parties(services) else None
        for key in sorted(services):
            self._set(entities.service_id(*key), self._service(key, parties), put, gone)
        for key in sorted(pods | self._pods):
            self._set(entities.pod_id(*key), self._pod(key), put, gone)
        for name in sorted(self._nodes):
            self._set(entities.node_id(name), self._node(name), put, gone)
        self._balancers(parties, put, gone)
        self._pods, self._nodes, self._all_balancers = set(), set(), False
        return Change(put=tuple(put.values()), gone=tuple(gone))

    def _set(self, name: str, new: Entity | None, put: dict[str, Entity], gone: list[str]) -> None:
        old = self.entities.get(name)
        if new is None:
            if old is not None:
                del self.entities[name]
                gone.append(name)
        elif new != old:
            self.entities[name] = put[name] = new

    def _needs_parties(self, keys: Iterable[Key]) -> bool:
        return any(
            key in self._party_of or ((entry := self._store.get("Service", key)) and _is_balanced(entry))
            for key in keys
        )

    def _service(self, key: Key, parties: Parties | None) -> Service | None:
        entry = self._store.get("Service", key)
        own = entities.service_id(*key)
        self._leave_balancer(key)
        old = self.entities.get(own)
        new: Service | None = None
        if entry is not None:
            facts = ServiceFacts(self._store.world_of_service(key), entry.obj)
            balancer = self._join_balancer(key, entry, parties) if _is_balanced(entry) else ""
            new = entities.service(facts, self._at, balancer)
        self._link(key, old if isinstance(old, Service) else None, new)
        return new

    def _at(self, address: IPAddress) -> str:
        return max(self._pods_at.get(str(address), ()), default="")

    def _link(self, key: Key, old: Service | None, new: Service | None) -> None:
        """Pods and nodes say of which Services they are endpoints, and whose checks they pass."""
        own = entities.service_id(*key)
        for each in old.endpoints if old is not None else ():
            _discard(self._services_at, each.address, key)
        for each in new.endpoints if new is not None else ():
            self._services_at[each.address].add(key)
        before = {each.pod for each in old.endpoints} if old is not None else set()
        after = {each.pod for each in new.endpoints} if new is not None else set()
        for pod in (before ^ after) - {""}:
            if pod in after:
                self._services_of_pod[pod].add(own)
            else:
                _discard(self._services_of_pod, pod, own)
            _, namespace, name = pod.split("/", 2)
            self._pods.add((namespace, name))
        had = self._passing.pop(own, None)
        has = entities.passing(new) if new is not None and new.health_check_node_port else None
        if has is not None:
            self._passing[own] = has
        if (had is None) != (has is None):
            self._nodes |= {each.name for each in self._store.of_kind("Node")}
        elif had is not None and has is not None:
            self._nodes |= had ^ has

    def _index_pod(self, key: Key) -> None:
        name = entities.pod_id(*key)
        old = self.entities.get(name)
        had = set(old.addresses) if isinstance(old, Pod) and not old.host_network else set()
        entry = self._store.get("Pod", key)
        facts = read_pod(entry) if entry is not None else None
        has: set[str] = set()
        if facts is not None and facts.lives and not facts.host_network:
            has = set(map(str, facts.addresses))
        for address in had - has:
            _discard(self._pods_at, address, name)
        for address in has - had:
            self._pods_at[address].add(name)
        for address in had ^ has:  # a slice that names no pod leads to whichever has the address
            self._services |= self._services_at.get(address, set())

    def _pod(self, key: Key) -> Pod | None:
        entry = self._store.get("Pod", key)
        facts = read_pod(entry) if entry is not None else None
        if entry is None or facts is None or not facts.lives:
            return None
        name = entities.pod_id(facts.namespace, facts.name)
        return entities.pod(facts, entry.obj, self._services_of_pod.get(name, ()))

    def _node(self, name: str) -> Node | None:
        entry = self._store.get("Node", ("", name))
        if entry is None:
            return None
        checks = {service: name in nodes for service, nodes in sorted(self._passing.items())}
        return entities.node(read_node(entry), entry.obj, checks)

    # Balancers

    def _leave_balancer(self, key: Key) -> None:
        of = self._party_of.pop(key, None)
        if of is not None:
            self._members[of].discard(key)
            self._balancer_ids.add(entities.balancer_id(*of))

    def _join_balancer(self, key: Key, entry: Entry, parties: Parties | None) -> str:
        assert parties is not None
        facts = ServiceFacts(parties.world, entry.obj)
        of = (parties.balancer(facts).name, str(facts.spec.get("loadBalancerClass") or ""))
        self._party_of[key] = of
        self._members[of].add(key)
        self._balancer_ids.add(entities.balancer_id(*of))
        return entities.balancer_id(*of)

    def _balancers(self, parties: Parties | None, put: dict[str, Entity], gone: list[str]) -> None:
        for of, members in list(self._members.items()):
            own = entities.balancer_id(*of)
            if own not in self._balancer_ids:
                continue
            if not members:
                del self._members[of]
                self._set(own, None, put, gone)
                continue
            assert parties is not None
            facts = [
                ServiceFacts(parties.world, entry.obj)
                for key in sorted(members)
                if (entry := self._store.get("Service", key)) is not None
            ]
            party = parties.balancer(facts[0])
            self._set(own, entities.balancer(party, of[1], facts), put, gone)
        self._balancer_ids.clear()


def _discard(index: dict[str, set[T]], key: str, value: T) -> None:
    """Take a value out of an index, which keeps no empty sets."""
    if key in index:
        index[key].discard(value)
        if not index[key]:
            del index[key]


def _is_balanced(entry: Entry) -> bool:
    spec = entry.obj.get("spec")
    return isinstance(spec, dict) and spec.get("type") == "LoadBalancer"


def _says(entry: Entry) -> object:
    """What answers are made of: not heartbeats, versions, nor how far a workload is."""
    if entry.kind == "Node":
        return read_node(entry)
    if entry.kind == "Pod":
        return read_pod(entry)
    if entry.kind in WORKLOADS:
        return _template(entry)
    obj = entry.obj
    metadata = obj.get("metadata")
    kept = (metadata.get("labels"), metadata.get("annotations")) if isinstance(metadata, dict) else metadata
    return kept, {name: value for name, value in obj.items() if name != "metadata"}


def _template(entry: Entry) -> object:
    """What a workload runs; how far it is with that doesn't matter here."""
    spec = entry.obj.get("spec")
    return spec.get("template") if isinstance(spec, dict) else None


def _marks(entry: Entry) -> tuple[object, ...]:
    """What balancers are recognised by, and choose their nodes by."""
    facts = read_node(entry)
    return facts.kubelet_version, facts.provider, facts.labels, facts.addresses
