"""Mistakes in NetworkPolicies: networks that name what never arrives, and what is cut off unawares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from wellhead.ip import Family, IPAddress, Protocol, family_of, parse_address
from wellhead.paths.codes import Code
from wellhead.paths.explain import Explanation
from wellhead.paths.parties.base import named, note
from wellhead.paths.parties.wellhead import Forwarder, TerminatingProxy
from wellhead.paths.pods import PodFacts
from wellhead.paths.reading import text
from wellhead.paths.services import ServiceFacts
from wellhead.paths.way import Decision, Disposition, Note, Outcome, Way
from wellhead.policies.judge import Judgement
from wellhead.policies.policy import Block, Direction, Policy

_DROPS = frozenset({Code.POLICY_DROPS, Code.CLUSTER_POLICY_DENIES})


def policy_warnings(explanation: Explanation, ways: Sequence[Way]) -> Iterator[Note]:
    """What is wrong with policies that concern the target, or that name it."""
    if not explanation.policies.all and not explanation.policies.cluster:
        return
    yield from _names_service(explanation)
    yield from _behind_masquerade(explanation, ways)
    yield from _other_address(explanation, ways)
    yield from _cut_off(explanation)
    yield from _health_checks(explanation)


def _names_service(explanation: Explanation) -> Iterator[Note]:
    """A Service's own address stands in no packet that is judged: by then it is an endpoint's."""
    for policy, field, block in _blocks(explanation.policies.all):
        address = block.network.network_address
        decision = Decision(object=f"NetworkPolicy {policy}", field=field, value=str(block.network))
        do = "Name the pods behind it, by podSelector and namespaceSelector."
        if block.network.num_addresses == 1:
            for service in explanation.world.services_at(address):
                sentence = (
                    f"{address} is an address of {named(service)}. Where policies are compared it is an "
                    f"endpoint's: NetworkPolicy {policy} never meets it."
                )
                decided = Decision(object=decision.object, field=field, value=str(address))
                yield note(Code.POLICY_NAMES_SERVICE, sentence, decided, do)
        elif _is_service_network(explanation, block):
            sentence = (
                f"{block.network} is the Services' network. Where policies are compared their addresses are "
                f"endpoints': NetworkPolicy {policy} never meets them."
            )
            yield note(Code.POLICY_NAMES_SERVICES, sentence, decision, do)


def _is_service_network(explanation: Explanation, block: Block) -> bool:
    """Whether Services have addresses there, and neither pods nor nodes do."""
    world = explanation.world
    api = world.get("Service", "default", "kubernetes")
    address = parse_address(text(api, "spec", "clusterIP")) if api is not None else None
    if address is None or address not in block:
        return False
    others = [a for node in world.nodes.values() for a in node.addresses]
    others += [a for pod in world.pods for a in pod.addresses]
    return not any(each in block for each in others)


def _blocks(policies: Iterable[Policy]) -> Iterator[tuple[Policy, str, Block]]:
    """Blocks, and the field where each stands."""
    for policy in policies:
        for direction, peers in ((Direction.INGRESS, "from"), (Direction.EGRESS, "to")):
            for index, rule in enumerate(policy.rules(direction) or ()):
                for each in rule.peers:
                    if isinstance(each, Block):
                        yield policy, f"spec.{direction.lower()}[{index}].{peers}", each


def _behind_masquerade(explanation: Explanation, ways: Sequence[Way]) -> Iterator[Note]:
    """Clients whom a policy means to let in, and who come with a node's address."""
    facts = explanation.target.facts
    if facts is None:
        return
    outside = [way for way in ways if not way.client.startswith(("pod", "node"))]
    for way in outside:
        for outcome in way.outcomes:
            codes = {each.code for each in outcome.steps}
            if Code.CLUSTER_POLICY not in codes or not codes & _DROPS:
                continue
            by = outcome.steps[-1].decided_by
            policy = by.object if by is not None else "a NetworkPolicy"
            sentence = (
                f"Dropped by {policy}{_shares(explanation, outside)}: it is compared with a node's address, "
                "not with the client's, for clients who come in by another node than the endpoint's."
            )
            do = "Set externalTrafficPolicy: Local, or let the nodes' addresses in."
            yield note(
                Code.POLICY_SEES_NODES, sentence, facts.decision("spec.externalTrafficPolicy", "Cluster"), do
            )
            return


def _shares(explanation: Explanation, ways: Sequence[Way]) -> str:
    """On how many nodes, of those whose node ports were asked for; else of which part of the connections."""
    nodes: dict[str, bool] = {}
    for way in ways:
        if way.frontend == "NodePort":
            node = explanation.world.node_of_address(parse_address(way.address)) or way.address
            nodes[node] = nodes.get(node, False) or any(map(_is_dropped, way.outcomes))
    if len(nodes) > 1:
        return f" on {sum(nodes.values())} of {len(nodes)} nodes"
    for way in ways:
        share = sum(each.share for each in way.outcomes if _is_dropped(each))
        if 0 < share < 1:
            return f" in {share:.0%} of the connections"
    return ""


def _is_dropped(outcome: Outcome) -> bool:
    return outcome.disposition is Disposition.DROPPED and any(e.code in _DROPS for e in outcome.steps)


def _other_address(explanation: Explanation, ways: Sequence[Way]) -> Iterator[Note]:
    """Nodes that a policy means to let in, whose packets come to pods with another address of theirs."""
    world = explanation.world
    for step in (step for way in ways for each in way.outcomes for step in each.steps):
        seen = parse_address(step.from_ or "")
        if step.code is not Code.POLICY_DROPS or seen is None:
            continue
        owner = world.node_of_address(seen) or world.node_of_pod_address(seen)
        if not owner or explanation.policies.pod_at(seen) is not None:
            continue
        others = [each for each in world.nodes[owner].addresses if each != seen]
        for policy, field, block in _blocks(explanation.policies.all):
            meant = [each for each in others if each in block]
            if not field.startswith("spec.ingress") or not meant or seen in block:
                continue
            sentence = (
                f"NetworkPolicy {policy} lets {owner} in by {meant[0]}, but towards pods of other nodes its "
                f"packets come from {seen}."
            )
            decision = Decision(object=f"NetworkPolicy {policy}", field=field, value=str(block.network))
            yield note(Code.POLICY_NAMES_OTHER_ADDRESS, sentence, decision, f"Name {seen} as well.")


def _cut_off(explanation: Explanation) -> Iterator[Note]:
    """DNS, which every pod needs, and the API server, for pods that have an account to ask it with."""
    dns = ("kube-system", "kube-dns")
    for pod in _pods(explanation):
        for name, code, what in (
            (dns, Code.POLICY_CUTS_DNS, "the DNS server"),
            (("default", "kubernetes"), Code.POLICY_CUTS_API, "the API server"),
        ):
            if code is Code.POLICY_CUTS_API and not _has_account(explanation, pod):
                continue
            said = _all_refused(explanation, pod, name)
            if said is None:
                continue
            policy, decision = _who(said, "spec.egress")
            sentence = f"{policy} keeps {pod} from {what}."
            do = f"Let it dial {'UDP and TCP 53 of the DNS pods' if name == dns else 'the API server'}."
            yield note(code, sentence, decision, do)


def _pods(explanation: Explanation) -> Iterator[PodFacts]:
    """The target's pods, and clients."""
    facts, target = explanation.target.facts, explanation.target.pod
    wanted = [target] if target is not None else []
    if facts is not None:
        addresses = {each for port in facts.ports() for each in (e.ip for e in facts.endpoints(port))}
        wanted += [pod for pod in explanation.world.pods if addresses & set(pod.addresses)]
    names = {each.text.partition("/")[2] for each in explanation.clients if each.text.startswith("pod/")}
    wanted += [pod for pod in explanation.world.pods if str(pod) in names or pod.name in names]
    yield from {str(each): each for each in wanted if not each.host_network}.values()


def _has_account(explanation: Explanation, pod: PodFacts) -> bool:
    obj = explanation.world.get("Pod", pod.namespace, pod.name)
    return obj is not None and text(obj, "spec", "serviceAccountName") not in ("", "default")


def _all_refused(explanation: Explanation, pod: PodFacts, name: tuple[str, str]) -> Judgement | None:
    """What policies say, if they let a pod dial no endpoint of a Service."""
    obj = explanation.world.get("Service", *name)
    if obj is None:
        return None
    facts, refused = ServiceFacts(explanation.world, obj), None
    for port in facts.ports():
        for endpoint in facts.endpoints(port):
            source = next((a for a in pod.addresses if a.version == endpoint.ip.version), None)
            own = explanation.world.node_of_address(endpoint.ip) == pod.node
            if source is None:
                continue
            protocol = port.claims[0].frontend.protocol if port.claims else Protocol.TCP
            said = explanation.policies.says(Direction.EGRESS, source, endpoint.ip, protocol, endpoint.port)
            if said.passes or own:
                return None
            refused = said
    return refused


def _who(said: Judgement, field: str) -> tuple[str, Decision]:
    if said.by_cluster is not None:
        policy = f"ClusterNetworkPolicy {said.by_cluster.policy}"
        return policy, Decision(object=policy, field=f"{said.by_cluster.field}.action")
    policy = f"NetworkPolicy {said.isolating[0]}"
    return policy, Decision(object=policy, field=field)


def _health_checks(explanation: Explanation) -> Iterator[Note]:
    """Balancers that dial the node port itself to see whether a node serves, come as nodes do under Cluster.

    Kubelets' probes come from the pod's own node, and always pass; checks of healthCheckNodePort and of the
    proxy's own health end on the node.
    """
    facts = explanation.target.facts
    if facts is None or not _dials_node_ports(explanation, facts):
        return
    for port in facts.ports():
        for endpoint in facts.endpoints(port):
            pod = explanation.policies.pod_at(endpoint.ip)
            if pod is None:
                continue
            for node in explanation.world.nodes.values():
                address = _address(node.addresses, family_of(endpoint.ip))
                if node.name == pod.node or address is None:
                    continue
                said = explanation.policies.says(
                    Direction.INGRESS, address, endpoint.ip, Protocol.TCP, endpoint.port
                )
                if said.passes:
                    return
                policy, decision = _who(said, "spec.ingress")
                sentence = (
                    f"{policy} lets no node in to {pod}: a load balancer that checks {facts.title} by "
                    "dialling its node port finds only the endpoints' own nodes healthy."
                )
                do = "Let the nodes' addresses in; or set externalTrafficPolicy: Local, admit the balancer."
                yield note(Code.POLICY_CUTS_CHECKS, sentence, decision, do)
                return


def _dials_node_ports(explanation: Explanation, facts: ServiceFacts) -> bool:
    """Whether a balancer may see by a node port, under Cluster, which nodes serve. Ours ask the proxy."""
    if facts.type != "LoadBalancer" or facts.local or not facts.balancer_addresses:
        return False
    balancer = explanation.parties.balancer(facts)
    ports = facts.port_numbers()
    if isinstance(balancer, Forwarder | TerminatingProxy) or not ports:
        return False
    how = balancer.delivers(facts, facts.balancer_addresses[0].ip, ports[0][1]).how
    return how in ("node-port", "terminate-node")


def _address(addresses: Iterable[IPAddress], family: Family) -> IPAddress | None:
    return next((each for each in addresses if family_of(each) is family), None)
