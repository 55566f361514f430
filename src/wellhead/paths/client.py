"""Who sends: from outside, a pod, a node."""

from __future__ import annotations

from dataclasses import dataclass

from wellhead.ip import Family, IPAddress, parse_address
from wellhead.paths.packet import Source
from wellhead.paths.pods import PodFacts
from wellhead.paths.way import SeenAs
from wellhead.paths.world import World

OUTSIDE = "outside"


class UnknownClient(ValueError):
    """There is no such client; the message says what was looked for."""


@dataclass(frozen=True)
class Client:
    """A client, as `--from` names it."""

    text: str
    kind: str
    """outside, pod or node."""
    node: str = ""
    owner: str = ""
    addresses: tuple[IPAddress, ...] = ()
    stands_for_many: bool = False
    """Whether its addresses are examples, not to be shown."""

    def address(self, family: Family) -> IPAddress | None:
        return next((each for each in self.addresses if each.version == family), None)

    def reaches(self, family: Family) -> bool:
        """Whether it has an address of that family, or may have."""
        return (
            (self.kind == OUTSIDE and not self.addresses)
            or self.address(family) is not None
            or not self.addresses
        )

    def source(self, family: Family) -> Source:
        """Its address, as it sends."""
        address = self.address(family)
        note = {
            "outside": "the client's own address",
            "pod": f"the address of {self.owner if self.owner.startswith('a pod') else f'pod {self.owner}'}",
            "node": f"an address of {self.node}",
        }[self.kind]
        return Source(address, SeenAs.CLIENT, self.owner or self.text, note, self.kind, self.node)


OUTSIDER = Client(OUTSIDE, OUTSIDE, owner="client")


def pod_client(pod: PodFacts, namespace: str) -> Client:
    """A pod; on the host network, its node."""
    name = pod.name if pod.namespace == namespace else f"{pod.namespace}/{pod.name}"
    if pod.host_network:
        return Client(f"pod/{name}", "node", pod.node, pod.node, pod.addresses)
    return Client(f"pod/{name}", "pod", pod.node, str(pod), pod.addresses)


def node_client(world: World, name: str) -> Client:
    node = world.nodes[name]
    return Client(f"node/{name}", "node", name, name, node.internal or node.addresses)


def some_pod(world: World, node: str) -> Client:
    """Any pod of a node, where none is named: with an address out of the node's podCIDRs, which is no
    pod's."""
    taken = {address for pod in world.pods for address in pod.addresses}
    free = []
    for cidr in world.nodes[node].pod_cidrs:
        last = min(cidr.num_addresses - 2, 250)
        free += [cidr[each] for each in range(max(last, 0), 1, -1) if cidr[each] not in taken][:1]
    return Client(f"pod@{node}", "pod", node, f"a pod of {node}", tuple(free), stands_for_many=True)


def parse_client(world: World, text: str, namespace: str) -> Client:
    """Read `--from`: outside, an address, pod/NAME, pod/NAMESPACE/NAME, pod@NODE, node/NAME.

    Raises UnknownClient.
    """
    if text == OUTSIDE:
        return OUTSIDER
    kind, slash, rest = text.partition("/")
    if slash and kind in ("pod", "pods", "po"):
        space, has_space, name = rest.rpartition("/")
        found = world.pod(space if has_space else namespace, name)
        if found is None and not has_space:
            same = [each for each in world.entries("Pod") if each.name == name]
            found = world.pod(same[0].namespace, name) if len(same) == 1 else None
        if found is None:
            raise UnknownClient(f"there is no pod {name!r} in namespace {space or namespace!r}")
        return pod_client(found, namespace)
    if slash and kind in ("node", "nodes", "no"):
        if rest not in world.nodes:
            raise UnknownClient(
                f"there is no node {rest!r}; there are {', '.join(sorted(world.nodes)) or 'none'}"
            )
        return node_client(world, rest)
    if text.startswith("pod@"):
        if text[4:] not in world.nodes:
            raise UnknownClient(f"there is no node {text[4:]!r}")
        return some_pod(world, text[4:])
    address = parse_address(text)
    if address is None:
        raise UnknownClient(f"{text!r} is neither outside, an address, pod/NAME nor node/NAME")
    return address_client(world, address, namespace)


def address_client(world: World, address: IPAddress, namespace: str) -> Client:
    """Whoever has an address: a node, a pod, or somebody outside."""
    if node := world.node_of_address(address):
        return Client(f"node/{node}", "node", node, node, (address,))
    pod = world.pod_of_address(address)
    if pod is not None:
        found = pod_client(pod, namespace)
        return Client(str(address), found.kind, found.node, found.owner, found.addresses)
    if node := world.node_of_pod_address(address):
        return Client(str(address), "pod", node, f"a pod of {node}", (address,))
    return Client(str(address), OUTSIDE, owner="client", addresses=(address,))
