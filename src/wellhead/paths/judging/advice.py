"""What to do so that the server sees the client, and what it costs in this cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wellhead.api.names import PRESERVE_CLIENT_IP_ANNOTATION
from wellhead.ip import Protocol
from wellhead.paths.codes import Code
from wellhead.paths.explain import Explanation
from wellhead.paths.judging.spread import announcing_node, spread
from wellhead.paths.judging.warnings import delivery_of
from wellhead.paths.parties.base import note
from wellhead.paths.parties.calico import Calico
from wellhead.paths.parties.cilium import CiliumProxy
from wellhead.paths.parties.ip_masq_agent import IpMasqAgent
from wellhead.paths.parties.wellhead import WellheadProxy
from wellhead.paths.rendering.words import group
from wellhead.paths.routes import routes_to
from wellhead.paths.services import ServiceFacts
from wellhead.paths.way import Disposition, Note, Outcome, SeenAs, Way, What

_NLB = "service.beta.kubernetes.io/aws-load-balancer-"


def advice(explanation: Explanation, ways: Sequence[Way]) -> list[Note]:
    """For the ways that were asked for, the best first."""
    asked = group(ways)
    outcomes = [each for way in asked for each in way.outcomes]
    codes = {step.code for each in outcomes for step in each.steps} | {
        n.code for each in outcomes for n in each.notes
    }
    delivered = [each for each in outcomes if each.disposition is Disposition.DELIVERED]
    if (
        delivered
        and len(delivered) == len(outcomes)
        and all(each.seen_as is SeenAs.CLIENT for each in outcomes)
    ):
        return [
            note(Code.NOTHING_TO_DO, "the server sees the client.", do="nothing: the server sees the client.")
        ]
    facts = explanation.target.facts or _service_on_the_way(explanation, outcomes)
    masquerading = {s.code for each in outcomes for s in each.steps if s.what in (What.SNAT, What.TERMINATE)}
    found: list[Note] = []
    if facts is not None:
        found += _by_code(explanation, facts, codes, masquerading)
    found += _elsewhere(explanation, codes, masquerading)
    if not found and facts is not None and delivered:
        found.append(note(Code.NAME_NODES, "The server sees a node: allow lists there must name nodes."))
    return list(dict.fromkeys(found))


def _service_on_the_way(explanation: Explanation, outcomes: Sequence[Outcome]) -> ServiceFacts | None:
    """The Service whose frontend was found on the way, where another address was asked for."""
    for step in (each for outcome in outcomes for each in outcome.steps):
        if step.code is Code.DESTINATION_NAT and step.decided_by is not None:
            namespace, _, name = step.decided_by.object.removeprefix("Service ").partition("/")
            if (obj := explanation.world.service(namespace, name)) is not None:
                return ServiceFacts(explanation.world, obj)
    return None


def patch(facts: ServiceFacts, policy: str = "Local") -> str:
    """The command that sets the policy."""
    change = f'{{"spec":{{"externalTrafficPolicy":"{policy}"}}}}'
    return f"kubectl -n {facts.namespace} patch svc {facts.name} -p '{change}'"


def annotate(facts: ServiceFacts, value: str) -> str:
    return f"kubectl -n {facts.namespace} annotate svc {facts.name} --overwrite '{value}'"


def _use_local(explanation: Explanation, facts: ServiceFacts) -> Note:
    price = spread(explanation, facts).price(announcing_node(explanation, facts))
    sentence = f"externalTrafficPolicy Local keeps the client's address. Price here: {price}."
    return note(
        Code.USE_LOCAL,
        sentence,
        facts.decision("spec.externalTrafficPolicy", "Cluster"),
        f"{patch(facts)}   (price: {price})",
    )


def _by_code(
    explanation: Explanation, facts: ServiceFacts, codes: set[Code], masquerading: set[Code]
) -> Iterator[Note]:
    if Code.PROXY_IN_BETWEEN in codes:
        yield from _controller(explanation, facts, codes)
        return
    if Code.AGENT_MASQUERADE in masquerading:
        agent = next(each for each in explanation.parties.agents if isinstance(each, IpMasqAgent))
        do = f"Add the pods' network to nonMasqueradeCIDRs in {agent.source or 'its ConfigMap'}."
        yield note(Code.FIX_NON_MASQUERADE, f"{agent.name} masquerades connections to these pods.", do=do)
    if Code.CNI_MASQUERADES_INBOUND in masquerading:
        name = explanation.parties.network.name
        do = (
            f"Use policy Local: {patch(facts)}"
            if not facts.local
            else f"Change {name}'s masquerade, or its pools."
        )
        yield note(Code.FIX_NETWORK, f"{name} masquerades what comes in to these pods.", do=do)
    if Code.EXTERNAL_IPS_BEFORE_1_19 in codes:
        do = (
            "Upgrade kube-proxy to 1.19 or later, set featureGates: "
            "{ExternalPolicyForExternalIP: true}, or dial the node port."
        )
        yield note(Code.UPGRADE_PROXY, "kube-proxy before 1.19 ignores Local for external IPs.", do=do)
    if Code.SVCLB in codes:
        status = ", ".join(str(each.ip) for each in facts.balancer_addresses if each.ip is not None)
        do = (
            f"Dial an address in status ({status}), which is this node's own; "
            "or replace ServiceLB (--disable servicelb)."
        )
        yield note(
            Code.DIAL_STATUS_ADDRESS,
            "ServiceLB's pods rewrite the source; kube-proxy doesn't have to.",
            do=do,
        )
    balanced = Code.BALANCER_TERMINATES in masquerading or Code.BALANCER_TO_ENDPOINT in codes
    if balanced:
        yield from _terminating(explanation, facts)
    if (Code.CLUSTER_POLICY in masquerading and not balanced) or Code.EBPF_REMOTE_BACKEND in masquerading:
        yield from _cluster(explanation, facts)
    if Code.CLUSTER_IP_FROM_ELSEWHERE in masquerading:
        do = (
            "Let clients outside dial an external or load-balancer IP with "
            "externalTrafficPolicy Local, not the ClusterIP."
        )
        yield note(Code.ADVERTISE_OTHER, "To a ClusterIP, everybody who is no pod is masqueraded.", do=do)
    if Code.FROM_INSIDE_MASQUERADED in masquerading:
        name = f"{facts.name}.{facts.namespace}.svc"
        yield note(
            Code.USE_CLUSTER_IP,
            "From inside, the ClusterIP keeps the source.",
            do=f"From inside, dial {name} (the ClusterIP).",
        )
    if codes & {Code.LOCAL_NO_ENDPOINT, Code.IPVS_LOCAL_FALLBACK}:
        port = facts.spec.get("healthCheckNodePort")
        what = f"healthCheckNodePort {port}" if port else "the node port itself"
        price = spread(explanation, facts)
        do = (
            f"Send only to nodes with endpoints: check {what}; or run an endpoint on "
            "every node; or policy Cluster with PROXY protocol."
        )
        yield note(
            Code.CHECK_HEALTH_PORT,
            f"{price.without} of {price.nodes} nodes have no endpoint, and drop.",
            do=do,
        )
    if facts.local and any(protocol is Protocol.UDP for _, protocol, _ in facts.port_numbers()):
        do = "On the nodes: conntrack -D -p udp --orig-port-dst NODEPORT, or pause the senders."
        yield note(Code.CLEAR_CONNTRACK, "Flows from before the policy keep their old fate.", do=do)
    if Code.NO_ENDPOINTS in codes:
        do = f"kubectl -n {facts.namespace} get endpointslices -l kubernetes.io/service-name={facts.name}"
        yield note(Code.CHECK_HEALTH_PORT, "No endpoint is ready: look at the pods and the selector.", do=do)


def _cluster(explanation: Explanation, facts: ServiceFacts) -> Iterator[Note]:
    """Policy Cluster masquerades: what keeps the address."""
    proxy = explanation.parties.proxy
    if isinstance(proxy, WellheadProxy):
        do = annotate(facts, f"{PRESERVE_CLIENT_IP_ANNOTATION}=true")
        yield note(
            Code.USE_SYMMETRIC_RETURN,
            "wellhead's proxy keeps the address and spreads over all endpoints. Price here: nothing.",
            do=do,
        )
    if not facts.local:
        yield _use_local(explanation, facts)
    if isinstance(proxy, CiliumProxy) and proxy.mode != "dsr":
        do = "Set bpf-lb-mode: dsr in the ConfigMap kube-system/cilium-config (loadBalancer.mode=dsr)."
        yield note(
            Code.USE_DSR,
            "Cilium's DSR keeps the address under Cluster; networks must let nodes answer for the address.",
            do=do,
        )


def _terminating(explanation: Explanation, facts: ServiceFacts) -> Iterator[Note]:
    """A balancer makes its own connections."""
    delivery = delivery_of(explanation, facts)
    name = explanation.parties.balancer(facts).name if delivery is not None else "the balancer"
    if delivery is not None and delivery.forwarded:
        forms = ", ".join(each.form for each in delivery.forwarded)
        yield note(
            Code.USE_HEADERS,
            f"{name} tells the client's address by {forms}.",
            do=f"Read the client's address from {forms} in the server.",
        )
        return
    if name == "AWS NLB":
        field = f"{_NLB}target-group-attributes=preserve_client_ip.enabled=true"
        sentence = "The NLB can preserve the client's address; security groups must then let clients in."
        yield note(Code.USE_PROVIDER_PRESERVE, sentence, do=annotate(facts, field))
        yield note(
            Code.USE_PROXY_PROTOCOL,
            "PROXY protocol v2 carries it, if the server understands it.",
            do=annotate(facts, f"{_NLB}proxy-protocol=*"),
        )
        return
    if any(True for _ in routes_to(explanation.world, facts)):
        yield note(
            Code.USE_HEADERS,
            "The client's address is in X-Forwarded-For.",
            do="Read X-Forwarded-For in the server, and trust it from the balancer alone.",
        )
        return
    spec = getattr(explanation.parties.balancer(facts), "spec", None) if delivery is not None else None
    known = next(iter(getattr(spec, "proxy_protocol", ())), "")
    do = (
        annotate(facts, f"{known}=true")
        if known
        else "Switch PROXY protocol on at the balancer and in the server."
    )
    yield note(
        Code.USE_PROXY_PROTOCOL,
        f"{name} ends connections: PROXY protocol carries the client's address.",
        do=do,
    )


def _controller(explanation: Explanation, facts: ServiceFacts, codes: set[Code]) -> Iterator[Note]:
    """A controller stands in between."""
    for route in routes_to(explanation.world, facts):
        spec = explanation.controllers.spec(route)
        controller = explanation.controllers.service(spec, route, facts)
        forms = spec.headers(explanation.world).forms if spec is not None else ("X-Forwarded-For",)
        header = "/".join(forms) or "the header"
        hidden = bool(codes & {Code.CLUSTER_POLICY, Code.EBPF_REMOTE_BACKEND})
        if controller is not None and not controller.local and hidden:
            price = spread(explanation, controller).price(announcing_node(explanation, controller))
            sentence = (
                f"The header holds a node's address, since {controller.title} "
                f"is Cluster. Price of Local there: {price}."
            )
            do = f"{patch(controller)}, then read {header} in the application   (price: {price})"
            yield note(
                Code.SET_LOCAL_ON_CONTROLLER,
                sentence,
                controller.decision("spec.externalTrafficPolicy", "Cluster"),
                do,
            )
        yield note(
            Code.USE_HEADERS,
            f"The server's peer is the controller; the client is in {header}.",
            do=f"Read {header} in the application.",
        )
        return


def _elsewhere(explanation: Explanation, codes: set[Code], masquerading: set[Code]) -> Iterator[Note]:
    if codes & {Code.REMOTE_POD_SHORT_CUT, Code.NO_LOOPBACK, Code.UNKNOWN_LOOPBACK}:
        facts = explanation.target.facts
        name = f"{facts.name}.{facts.namespace}.svc" if facts is not None else "the Service's name"
        yield note(
            Code.USE_CLUSTER_IP,
            "From inside the cluster, the ClusterIP works everywhere.",
            do=f"From inside, dial {name} (the ClusterIP).",
        )
    if Code.CNI_MASQUERADE in masquerading:
        network = explanation.parties.network
        do = "Name the nodes in allow lists and policies at the server."
        if isinstance(network, Calico):
            do += " Or set natOutgoingExclusions: IPPoolsAndHostIPs in FelixConfiguration default."
        yield note(Code.NAME_NODES, f"{network.name} masquerades pods that reach a node's address.", do=do)
    if Code.BALANCER_PENDING in codes:
        yield note(
            Code.CHECK_HEALTH_PORT,
            "No load balancer serves it.",
            do="Install a load balancer, or dial a node port.",
        )
    if Code.MASQUERADE_ALL in masquerading:
        yield note(
            Code.FIX_NETWORK,
            "masqueradeAll hides pods, too.",
            do="Set masqueradeAll: false in kube-proxy's configuration.",
        )
