"""A cluster as its objects tell it: found by kind, name and address, decoded when they are asked for."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Protocol

import msgspec

from wellhead.api.names import SERVICE_NAME_LABEL
from wellhead.ip import IPAddress, IPNetwork
from wellhead.paths.heads import ServiceHead, service_head
from wellhead.paths.nodes import NodeFacts, node_facts
from wellhead.paths.pods import PodFacts, pod_facts, pod_facts_of_json
from wellhead.paths.reading import Obj, containers, images, table, text
from wellhead.paths.way import Unread

WORKLOADS = ("DaemonSet", "Deployment", "StatefulSet")


class Entry(Protocol):
    """An object that may not be decoded yet."""

    @property
    def kind(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def labels(self) -> dict[str, str]: ...
    @property
    def obj(self) -> Obj: ...
    @property
    def raw(self) -> bytes | None:
        """The object as JSON, where that is at hand."""


class Decoded:
    """An object that is decoded."""

    raw: bytes | None = None

    def __init__(self, obj: Obj) -> None:
        self.obj = obj
        self.kind = text(obj, "kind")
        self.namespace = text(obj, "metadata", "namespace")
        self.name = text(obj, "metadata", "name")

    @property
    def labels(self) -> dict[str, str]:
        return {key: str(value) for key, value in table(self.obj, "metadata", "labels").items()}

    @cached_property
    def node_facts(self) -> NodeFacts:
        """Of a Node. Worlds that share an object share what is read of it."""
        return node_facts(self.obj)

    @cached_property
    def pod_facts(self) -> PodFacts:
        """Of a Pod."""
        return pod_facts(self.obj)


class Packed:
    """An object that is kept as JSON, and decoded whenever it is asked for: where there are many."""

    def __init__(self, obj: Obj) -> None:
        self.kind = text(obj, "kind")
        self.namespace = text(obj, "metadata", "namespace")
        self.name = text(obj, "metadata", "name")
        self.raw: bytes | None = msgspec.json.encode(obj)

    @property
    def obj(self) -> Obj:
        found: Obj = msgspec.json.decode(self.raw or b"{}")
        return found

    @property
    def labels(self) -> dict[str, str]:
        return Decoded(self.obj).labels

    @cached_property
    def pod_facts(self) -> PodFacts:
        """Of a Pod."""
        with contextlib.suppress(msgspec.DecodeError):
            return pod_facts_of_json(self.raw or b"{}")
        return pod_facts(self.obj)


class World:
    """All that was read of a cluster, and what could not be.

    Nothing of it raises: an object that is not as it should be is one that says less.
    """

    def __init__(
        self, entries: Iterable[Entry], unread: Iterable[Unread] = (), *, is_cluster: bool = False
    ) -> None:
        """`is_cluster`: read of a cluster, so that what isn't there, and could be read, doesn't exist."""
        self.unread = tuple(unread)
        self._is_cluster = is_cluster
        self._of_kind: dict[str, list[Entry]] = defaultdict(list)
        for each in entries:
            self._of_kind[each.kind].append(each)

    def having(self, entry: Entry) -> World:
        """A world in which this object is as given, and everything else as here."""
        found = World((), self.unread, is_cluster=self._is_cluster)
        found._of_kind = self._of_kind.copy()
        others = self._of_kind.get(entry.kind, [])
        place = (entry.namespace or "default", entry.name)
        kept = [each for each in others if (each.namespace or "default", each.name) != place]
        found._of_kind[entry.kind] = [*kept, entry]
        return found

    def has_all(self, kind: str) -> bool:
        """Whether an object of this kind that isn't here doesn't exist."""
        return self._is_cluster and not any(each.what.startswith(kind) for each in self.unread)

    def kinds(self) -> set[str]:
        return set(self._of_kind)

    def all(self, kind: str) -> Iterator[Obj]:
        """Every object of a kind, whatever its group."""
        for each in self._of_kind.get(kind, ()):
            yield each.obj

    def entries(self, kind: str) -> list[Entry]:
        return self._of_kind.get(kind, [])

    def get(self, kind: str, namespace: str, name: str) -> Obj | None:
        """The object of that name; without namespace, the first that has it."""
        found = self._by_name(kind).get(name, ())
        for each in found:
            if not namespace or each.namespace in (namespace, ""):
                return each.obj
        return None

    def _by_name(self, kind: str) -> dict[str, list[Entry]]:
        if kind not in self._name_index:
            index: dict[str, list[Entry]] = defaultdict(list)
            for each in self._of_kind.get(kind, ()):
                index[each.name].append(each)
            self._name_index[kind] = index
        return self._name_index[kind]

    @cached_property
    def _name_index(self) -> dict[str, dict[str, list[Entry]]]:
        return {}

    # Nodes

    @cached_property
    def nodes(self) -> dict[str, NodeFacts]:
        found = (read_node(each) for each in self.entries("Node"))
        return {each.name: each for each in found if each.name}

    @cached_property
    def _node_of_address(self) -> dict[IPAddress, str]:
        found: dict[IPAddress, str] = {}
        for node in self.nodes.values():
            for each in node.addresses:
                found.setdefault(each, node.name)
        return found

    def node_of_address(self, address: IPAddress | None) -> str:
        """The node that has an address; empty if none has."""
        return self._node_of_address.get(address, "") if address is not None else ""

    def node_of_pod_address(self, address: IPAddress | None) -> str:
        """The node whose podCIDRs hold an address, or whose pod has it."""
        if address is None:
            return ""
        pod = self.pod_of_address(address)
        if pod is not None and pod.node:
            return pod.node
        for node in self.nodes.values():
            if any(address in each for each in node.pod_cidrs if each.version == address.version):
                return node.name
        return ""

    @cached_property
    def pod_cidrs(self) -> tuple[IPNetwork, ...]:
        return tuple(each for node in self.nodes.values() for each in node.pod_cidrs)

    # Pods

    @cached_property
    def pods(self) -> list[PodFacts]:
        """Those that run, or will."""
        return [facts for _, facts in self._pod_entries if facts.lives]

    @cached_property
    def _pod_entries(self) -> list[tuple[Entry, PodFacts]]:
        return [(each, read_pod(each)) for each in self._of_kind.get("Pod", ())]

    @cached_property
    def _pods_of_node(self) -> dict[str, list[PodFacts]]:
        found: dict[str, list[PodFacts]] = defaultdict(list)
        for each in self.pods:
            found[each.node].append(each)
        return found

    def pods_on(self, node: str) -> list[PodFacts]:
        """The pods of a node."""
        return self._pods_of_node.get(node, [])

    def pod(self, namespace: str, name: str) -> PodFacts | None:
        found = self.get("Pod", namespace, name)
        return pod_facts(found) if found is not None else None

    @cached_property
    def _pod_of_address(self) -> dict[IPAddress, PodFacts]:
        return {address: pod for pod in self.pods if not pod.host_network for address in pod.addresses}

    def pod_of_address(self, address: IPAddress) -> PodFacts | None:
        """The pod, of a network of its own, that has the address."""
        return self._pod_of_address.get(address)

    # Services

    def service(self, namespace: str, name: str) -> Obj | None:
        return self.get("Service", namespace, name)

    @cached_property
    def _slices(self) -> dict[tuple[str, str], list[Entry]]:
        found: dict[tuple[str, str], list[Entry]] = defaultdict(list)
        for each in self._of_kind.get("EndpointSlice", ()):
            if name := each.labels.get(SERVICE_NAME_LABEL):
                found[each.namespace or "default", name].append(each)
        return found

    def slices(self, namespace: str, name: str) -> list[Obj]:
        """The EndpointSlices of a Service."""
        return [each.obj for each in self._slices.get((namespace, name), ())]

    @cached_property
    def _heads(self) -> list[tuple[Entry, ServiceHead]]:
        return [(each, service_head(each)) for each in self._of_kind.get("Service", ())]

    @cached_property
    def _claims(self) -> dict[IPAddress, list[Entry]]:
        found: dict[IPAddress, list[Entry]] = defaultdict(list)
        for entry, head in self._heads:
            for each in head.addresses():
                found[each].append(entry)
        return found

    def services_at(self, address: IPAddress) -> list[Obj]:
        """The Services that claim an address of their own (ClusterIP, external IP, load balancer IP)."""
        return [each.obj for each in self._claims.get(address, ())]

    @cached_property
    def _node_ports(self) -> dict[int, list[Entry]]:
        found: dict[int, list[Entry]] = defaultdict(list)
        for entry, head in self._heads:
            for each in head.node_ports():
                found[each].append(entry)
        return found

    def services_with_node_ports(self) -> list[Obj]:
        """Every Service that has a node port, once."""
        found = {id(each): each for entries in self._node_ports.values() for each in entries}
        return [each.obj for each in found.values()]

    def services_at_node_port(self, port: int) -> list[Obj]:
        return [each.obj for each in self._node_ports.get(port, ())]

    # What runs here

    @cached_property
    def _workloads(self) -> list[Obj]:
        return [each for kind in WORKLOADS for each in self.all(kind)]

    def workload(self, *names: str, image: str = "") -> Obj | None:
        """A DaemonSet, Deployment or StatefulSet with one of these names, or with an image so called."""
        for each in self._workloads:
            if text(each, "metadata", "name") in names:
                return each
        if image:
            return self.workload_if(lambda each: any(runs(name, image) for name in images(each)))
        return None

    def workload_if(self, accepts: Callable[[Obj], bool]) -> Obj | None:
        return next((each for each in self._workloads if accepts(each)), None)

    def pods_running(self, *names: str) -> list[Obj]:
        """Pods with an image so called."""
        chosen = [each for each in self._pods_by_image if any(runs(each, name) for name in names)]
        return [entry.obj for image in chosen for entry in self._pods_by_image[image]]

    @cached_property
    def _pods_by_image(self) -> dict[str, list[Entry]]:
        found: dict[str, list[Entry]] = defaultdict(list)
        for entry, facts in self._pod_entries:
            for image in facts.images:
                found[image].append(entry)
        return found

    def config_map(self, *names: str, namespace: str = "") -> Obj | None:
        """The ConfigMap of one of these names."""
        for name in names:
            if (found := self.get("ConfigMap", namespace, name)) is not None:
                return found
        return None


def runs(image: str, name: str) -> bool:
    """Whether an image reference is of a program: its last part, before tag and digest, is or holds it.

    A `name` with a slash is compared with as many last parts.
    """
    if "/" in name:
        repository = image.partition("@")[0].rpartition(":")[0] or image
        return f"/{repository}".endswith(f"/{name}")
    last = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return last == name or last.startswith(f"{name}-") or last.endswith(f"-{name}")


def image_tag(workload: Obj, name: str) -> str:
    """The tag of a workload's image of that program; empty if it has none."""
    for each in containers(workload):
        image = text(each, "image").partition("@")[0]
        if runs(image, name):
            return image.rpartition("/")[2].partition(":")[2]
    return ""


def claimed_addresses(service: Obj) -> list[IPAddress]:
    """Every address that a Service has for itself."""
    return service_head(Decoded(service)).addresses()


def read_node(entry: Entry) -> NodeFacts:
    """What a Node says."""
    return entry.node_facts if isinstance(entry, Decoded) else node_facts(entry.obj)


def read_pod(entry: Entry) -> PodFacts:
    """What a Pod says."""
    if isinstance(entry, (Decoded, Packed)):
        return entry.pod_facts
    if entry.raw is not None:
        with contextlib.suppress(msgspec.DecodeError):
            return pod_facts_of_json(entry.raw)
    return pod_facts(entry.obj)
