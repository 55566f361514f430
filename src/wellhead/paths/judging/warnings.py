"""Mistakes that are in the objects, each with a code of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wellhead.api.names import PRESERVE_CLIENT_IP_ANNOTATION
from wellhead.ip import Protocol, parse_address
from wellhead.paths.client import OUTSIDE
from wellhead.paths.codes import Code
from wellhead.paths.explain import Explanation
from wellhead.paths.judging.policy_warnings import policy_warnings
from wellhead.paths.judging.spread import announcing_node, spread
from wellhead.paths.parties.base import Delivery, note
from wellhead.paths.parties.calico import Calico
from wellhead.paths.parties.ip_masq_agent import IpMasqAgent
from wellhead.paths.parties.kube_proxy import KubeProxy
from wellhead.paths.reading import is_true, tables, text, within
from wellhead.paths.routes import routes_to
from wellhead.paths.services import ServiceFacts
from wellhead.paths.way import Note, Outcome, SeenAs, Way, What


def warnings(explanation: Explanation, ways: Sequence[Way]) -> list[Note]:
    """What is wrong, or soon will be, with the Service that is explained and with what carries it."""
    facts = explanation.target.facts
    found: list[Note] = []
    if facts is not None:
        for check in (_behind_ingress, _policy, _balancer, _frontends, _udp):
            found += check(explanation, facts, ways)
    for look in (_cidrs, _masquerades, _host_network, policy_warnings):
        found += look(explanation, ways)
    return list(dict.fromkeys(found))


def outside(ways: Sequence[Way]) -> list[Outcome]:
    """The outcomes of clients outside."""
    return [each for way in ways if not way.client.startswith(("pod", "node")) for each in way.outcomes]


def delivery_of(explanation: Explanation, facts: ServiceFacts) -> Delivery | None:
    """How the Service's balancer hands on, if it has one."""
    ports = facts.port_numbers()
    if facts.type != "LoadBalancer" or not facts.balancer_addresses or not ports:
        return None
    return explanation.parties.balancer(facts).delivers(facts, facts.balancer_addresses[0].ip, ports[0][1])


def _behind_ingress(explanation: Explanation, facts: ServiceFacts, ways: Sequence[Way]) -> Iterator[Note]:
    for route in routes_to(explanation.world, facts):
        spec = explanation.controllers.spec(route)
        controller = explanation.controllers.service(spec, route, facts)
        if facts.local:
            where = f"; {controller.title} decides" if controller is not None else ""
            closed = spread(explanation, facts).without
            sentence = (
                f"externalTrafficPolicy Local is set on {facts.title}, where "
                f"clients of {route.title} don't arrive{where}."
            ) + (
                f" It closes the node port on {closed} nodes." if closed and facts.type != "ClusterIP" else ""
            )
            yield note(Code.WRONG_SERVICE, sentence, facts.decision("spec.externalTrafficPolicy", "Local"))
        if text(facts.spec, "sessionAffinity") == "ClientIP":
            sentence = (
                f"Clients of {route.title} all come from the controller's pods: affinity sees few addresses."
            )
            yield note(Code.AFFINITY_BEHIND_MASQUERADE, sentence, facts.decision("spec.sessionAffinity"))
        if spec is None or controller is None:
            return
        headers = spec.headers(explanation.world)
        delivery = delivery_of(explanation, controller)
        sends = (
            any(each.form.startswith("PROXY") for each in delivery.forwarded)
            if delivery is not None
            else False
        )
        if sends != headers.expects_proxy_protocol:
            who = (
                "The balancer sends PROXY protocol and" if sends else "Nothing seen sends PROXY protocol, but"
            )
            sentence = (
                f"{who} {spec.name} {'is not told to expect it' if sends else 'expects it'} "
                f"({headers.decided_by or 'its configuration'})."
            )
            yield note(Code.PROXY_PROTOCOL_UNEXPECTED, sentence)
        if headers.trusts_forwarded and not sends:
            sentence = f"{spec.name} believes the header that clients send themselves ({headers.decided_by})."
            yield note(Code.HEADERS_UNTRUSTED, sentence)
        return


def _policy(explanation: Explanation, facts: ServiceFacts, ways: Sequence[Way]) -> Iterator[Note]:
    if not facts.local:
        return
    how, policy = spread(explanation, facts), facts.decision("spec.externalTrafficPolicy", "Local")
    unchecked = facts.type == "NodePort" or (
        facts.type == "LoadBalancer" and not facts.spec.get("healthCheckNodePort")
    )
    if unchecked and how.without and how.endpoints and not _watched(explanation, facts):
        sentence = (
            f"{how.without} of {how.nodes} nodes drop what they get, and no healthCheckNodePort tells which."
        )
        yield note(
            Code.LOCAL_WITHOUT_HEALTH_CHECK,
            sentence,
            policy,
            "Check the node port itself, or use type LoadBalancer.",
        )
    one = announcing_node(explanation, facts)
    if how.endpoints > 1 and (how.uneven or one is not None):
        yield note(Code.UNEVEN, f"Under Local: {how.price(one)}.", policy)
    if facts.spec.get("externalIPs") and how.without and how.endpoints:
        sentence = (
            "Nobody checks which nodes have endpoints for the external IPs: "
            f"{how.without} of {how.nodes} nodes drop."
        )
        yield note(Code.EXTERNAL_IPS_LOCAL, sentence, facts.decision("spec.externalIPs", "-"))
    delivery = delivery_of(explanation, facts)
    if delivery is not None and delivery.how in ("endpoint", "terminate-endpoint"):
        sentence = "The balancer sends to endpoints directly: externalTrafficPolicy has no say on that way."
        yield note(Code.POLICY_WITHOUT_EFFECT, sentence, policy)
    proxy = explanation.parties.proxy
    given = isinstance(proxy, KubeProxy) and proxy.configuration.cluster_cidr_given
    if isinstance(proxy, KubeProxy) and given and not _detects(proxy):
        sentence = (
            "kube-proxy has no clusterCIDR: pods count as clients outside, "
            "and are dropped where Local drops those."
        )
        yield note(Code.NO_DETECTOR, sentence, proxy.decision("clusterCIDR", '""'))


def _watched(explanation: Explanation, facts: ServiceFacts) -> bool:
    """Whether whoever announces the address looks after endpoints by himself."""
    if facts.type != "LoadBalancer":
        return False
    return type(explanation.parties.balancer(facts)).__name__ in ("MetalLB", "KubeVip", "ServiceLB")


def _detects(proxy: KubeProxy) -> bool:
    mode = proxy.configuration.detect_local_mode or "ClusterCIDR"
    return mode != "ClusterCIDR" or bool(proxy.configuration.cluster_cidrs)


def _balancer(explanation: Explanation, facts: ServiceFacts, ways: Sequence[Way]) -> Iterator[Note]:
    ranges = facts.decision("spec.loadBalancerSourceRanges", ", ".join(facts.source_ranges))
    if facts.source_ranges and facts.type != "LoadBalancer":
        yield note(
            Code.RANGES_WITHOUT_EFFECT, f"loadBalancerSourceRanges do nothing on type {facts.type}.", ranges
        )
    delivery = delivery_of(explanation, facts)
    if delivery is None:
        return
    terminates = delivery.how.startswith("terminate")
    guarded = delivery.enforces_ranges
    if facts.source_ranges and not guarded and (terminates or delivery.how == "endpoint"):
        sentence = (
            (
                "The balancer ends connections: nodes would compare the ranges "
                "with its address, never the client's."
            )
            if terminates
            else "The balancer sends past the nodes, which enforce the ranges; it has to enforce them itself."
        )
        yield note(Code.RANGES_WITHOUT_EFFECT, sentence, ranges)
    if terminates and text(facts.spec, "sessionAffinity") == "ClientIP":
        sentence = "The balancer ends connections: affinity sees its addresses, not the clients'."
        yield note(Code.AFFINITY_BEHIND_MASQUERADE, sentence, facts.decision("spec.sessionAffinity"))
    keeps = delivery.how == "node-port" and any(
        each.code is Code.CLUSTER_POLICY and each.what is What.SNAT for o in outside(ways) for each in o.steps
    )
    if keeps and not facts.local:
        policy = facts.decision("spec.externalTrafficPolicy", "Cluster")
        yield note(Code.CLUSTER_UNDOES, Code.CLUSTER_UNDOES.meaning, policy)
    bare = [each for each in facts.balancer_addresses if each.ip is not None and each.mode != "Proxy"]
    if terminates and bare:
        sentence = (
            f"{bare[0].ip} belongs to a balancer that ends connections; without "
            "ipMode Proxy, nodes and pods bypass it."
        )
        do = "Have the balancer's controller set ipMode: Proxy, or a host name in status."
        yield note(
            Code.IP_MODE_MISSING,
            sentence,
            facts.decision("status.loadBalancer.ingress[].ipMode", bare[0].mode or "-"),
            do,
        )


def _frontends(explanation: Explanation, facts: ServiceFacts, ways: Sequence[Way]) -> Iterator[Note]:
    for port in facts.ports():
        held = set(facts.held(port))
        for claim in port.claims:
            if claim not in held:
                where = claim.frontend.address or "node port"
                sentence = (
                    f"{where}:{claim.frontend.port} is claimed by another "
                    "Service, too, and that one is older."
                )
                yield note(Code.CONTESTED_FRONTEND, sentence, facts.decision("spec", "-"))
    if text(facts.spec, "sessionAffinity") == "ClientIP":
        for outcome in outside(ways):
            rewritten = [each for each in outcome.steps if each.code is Code.SVCLB]
            if rewritten:
                sentence = (
                    f"{rewritten[0].who} stands before affinity, which sees one address for all clients."
                )
                yield note(Code.AFFINITY_BEHIND_MASQUERADE, sentence, facts.decision("spec.sessionAffinity"))
                return


def _udp(explanation: Explanation, facts: ServiceFacts, ways: Sequence[Way]) -> Iterator[Note]:
    udp = [number for number, protocol, _ in facts.port_numbers() if protocol is Protocol.UDP]
    if not udp or facts.type == "ClusterIP":
        return
    changed = next(
        (
            text(each, "time")
            for each in reversed(tables(facts.obj, "metadata", "managedFields"))
            if "f:externalTrafficPolicy" in str(each.get("fieldsV1"))
        ),
        "",
    )
    since = f" (last set {changed})" if changed else ""
    if facts.local or changed:
        node_ports = [
            each.frontend.port
            for port in facts.ports()
            for each in port.claims
            if each.kind.name == "NODE_PORT"
        ]
        sentence = (
            "This is for new flows: a UDP sender that never pauses keeps what "
            f"the policy was at its first datagram{since}."
        )
        port = node_ports[0] if node_ports else udp[0]
        yield note(
            Code.OLD_UDP_FLOWS, sentence, facts.decision("spec.externalTrafficPolicy"),
            f"On the nodes: conntrack -D -p udp --orig-port-dst {port}, or pause the senders.",
        )  # fmt: skip


def _cidrs(explanation: Explanation, ways: Sequence[Way]) -> Iterator[Note]:
    proxy, world, facts = explanation.parties.proxy, explanation.world, explanation.target.facts
    clients = [each.addresses[0] for each in explanation.clients if each.kind == OUTSIDE and each.addresses]
    pods = [(str(pod), address) for pod in world.pods if not pod.host_network for address in pod.addresses]
    if (
        isinstance(proxy, KubeProxy)
        and (proxy.configuration.detect_local_mode or "ClusterCIDR") == "ClusterCIDR"
    ):
        cidrs = proxy.configuration.cluster_cidrs
        shown = ", ".join(map(str, cidrs))
        for address in clients:
            if within(address, cidrs):
                sentence = f"clusterCIDR {shown} holds the client {address}: kube-proxy takes it for a pod."
                yield note(Code.CIDR_HOLDS_CLIENTS, sentence, proxy.decision("clusterCIDR", shown))
        missed = [
            (name, a)
            for name, a in pods
            if cidrs and not within(a, cidrs) and any(c.version == a.version for c in cidrs)
        ]
        if missed:
            name, address = missed[0]
            sentence = (
                f"clusterCIDR {shown} misses pod {name} ({address}){_more(len(missed))}: "
                "kube-proxy takes it for a client outside."
            )
            yield note(Code.CIDR_MISSES_PODS, sentence, proxy.decision("clusterCIDR", shown))
    network = explanation.parties.network
    if isinstance(network, Calico):
        for pool in network.pools:
            for address in clients:
                if pool.nat_outgoing and pool.cidr.version == address.version and address in pool.cidr:
                    sentence = f"{pool.title} ({pool.cidr}, natOutgoing) holds the client {address}."
                    yield note(Code.POOL_HOLDS_CLIENTS, sentence)
    for agent in explanation.parties.agents:
        if isinstance(agent, IpMasqAgent):
            endpoints = (
                [(str(a.ip), a.ip) for p in facts.ports() for a in facts.endpoints(p)]
                if facts is not None
                else []
            )
            lost = [
                (n, a)
                for n, a in (*endpoints, *pods)
                if a.version == 4 and not within(a, agent.spared) and not world.node_of_address(a)
            ]
            if lost:
                name, address = lost[0]
                sentence = (
                    f"{agent.name} masquerades every connection to {address}{_more(len(lost))}: "
                    "it is in no nonMasqueradeCIDR."
                )
                yield note(
                    Code.MASQ_CIDRS_MISS_PODS,
                    sentence,
                    None,
                    f"Add the pods' network to nonMasqueradeCIDRs in {agent.source}.",
                )


def _more(count: int) -> str:
    return f" and {count - 1} more" if count > 1 else ""


def _masquerades(explanation: Explanation, ways: Sequence[Way]) -> Iterator[Note]:
    facts = explanation.target.facts
    taken = {Code.CNI_MASQUERADES_INBOUND, Code.AGENT_MASQUERADE}
    steps = [
        step for each in outside(ways) for step in each.steps if step.code in taken and step.what is What.SNAT
    ]
    if not steps or facts is None:
        return
    step = steps[0]
    wanted = is_true(facts.annotations.get(PRESERVE_CLIENT_IP_ANNOTATION, ""))
    if wanted and not facts.local:
        sentence = (
            f"{step.who.partition(' on ')[0]} masquerades connections that "
            f"preserve-client-ip leaves alone: {step.because}."
        )
        yield note(Code.PRESERVE_DEFEATED, sentence, step.decided_by)
    elif facts.local:
        sentence = (
            f"{step.who.partition(' on ')[0]} masquerades what comes in, so Local "
            f"doesn't keep the client's address: {step.because}."
        )
        yield note(Code.MASQUERADES_INBOUND, sentence, step.decided_by)


def _host_network(explanation: Explanation, ways: Sequence[Way]) -> Iterator[Note]:
    for way in ways:
        if not way.client.startswith("pod"):
            continue
        for each in way.outcomes:
            address = parse_address((each.endpoint or "").rpartition(":")[0].strip("[]"))
            hidden = any(step.code is Code.CNI_MASQUERADE for step in each.steps)
            if each.seen_as is SeenAs.NODE and hidden and explanation.world.node_of_address(address):
                sentence = (
                    f"{each.endpoint} is a node's own address: pods of other nodes appear as their nodes."
                )
                yield note(
                    Code.HOST_NETWORK_SEES_NODES,
                    sentence,
                    None,
                    "Allow lists and policies there must name nodes.",
                )
                return
