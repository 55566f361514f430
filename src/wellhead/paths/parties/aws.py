"""Amazon: the VPC's network plugin, its Network and Classic Load Balancers, and its Application Load
Balancers.

Sources: kubernetes-sigs/aws-load-balancer-controller `docs/guide/service/annotations.md` and `nlb.md`; the
NLB documentation on client IP preservation (defaults by target type and protocol; no loopback for internal
ones); amazon-vpc-cni-k8s README (AWS_VPC_K8S_CNI_EXTERNALSNAT); kubernetes/cloud-provider-aws#564, #1160.
"""

from __future__ import annotations

from wellhead.ip import Family, IPAddress, Protocol
from wellhead.paths.codes import Code
from wellhead.paths.packet import NodeAddress, Packet
from wellhead.paths.parties.base import Balancer, Delivery, Network, Rewrite, named, note
from wellhead.paths.reading import Obj, environment, is_true, networks, split, within
from wellhead.paths.services import ServiceFacts
from wellhead.paths.way import Decision, Forwarded, SeenAs
from wellhead.paths.world import World

_PREFIX = "service.beta.kubernetes.io/aws-load-balancer-"


class AwsVpcNetwork(Network):
    """Pods with addresses of the VPC; what leaves the VPC is masqueraded by the node unless told
    otherwise."""

    def __init__(self, world: World, seen: str, env: dict[str, str]) -> None:
        external = env.get("AWS_VPC_K8S_CNI_EXTERNALSNAT", "false")
        super().__init__("Amazon VPC CNI", seen, {"AWS_VPC_K8S_CNI_EXTERNALSNAT": external})
        self.world, self.external_snat = world, is_true(external)
        self.excluded = networks(split(env.get("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", "")))

    def towards_own_pod(self, node: str, family: Family) -> NodeAddress:
        return self.internal(
            node, family, "the pods' interfaces have no address", note(Code.ASSUMES_FIRST_ADDRESS)
        )

    def towards_other_node(self, node: str, family: Family, other: str) -> NodeAddress:
        return self.internal(node, family, "the VPC routes between nodes")

    def masquerades(self, packet: Packet) -> Rewrite | None:
        if self.external_snat or packet.family is Family.IPV6 or packet.source.kind != "pod":
            return None
        destination = packet.destination
        if destination is None or within(destination, self.excluded):
            return None
        if (
            self.world.node_of_address(destination)
            or self.world.pod_of_address(destination)
            or destination.is_private
        ):
            return None  # in the VPC, whose networks the API doesn't show
        decided = Decision(object=self.recognised_by, field="env AWS_VPC_K8S_CNI_EXTERNALSNAT", value="false")
        return Rewrite(Code.CNI_MASQUERADE, f"{destination} is not in the VPC", decided)

    def routes_pods_outside(self) -> bool:
        return True


class NetworkLoadBalancer(Balancer):
    """An NLB: target types ip and instance, client IP preservation, PROXY protocol."""

    def __init__(self, world: World, seen: str) -> None:
        super().__init__("AWS NLB", seen)
        self.world = world

    def delivers(self, facts: ServiceFacts, address: IPAddress | None, protocol: Protocol) -> Delivery:
        def annotation(name: str) -> str:
            return facts.annotations.get(_PREFIX + name, "")

        target = annotation("nlb-target-type") or ("ip" if annotation("type") == "nlb-ip" else "instance")
        attributes = {
            key.strip(): value.strip()
            for key, _, value in (
                each.partition("=") for each in split(annotation("target-group-attributes"))
            )
        }
        by_tls = bool(annotation("ssl-cert")) or annotation("backend-protocol").lower() in ("tls", "ssl")
        default = target == "instance" or protocol is Protocol.UDP
        said = attributes.get("preserve_client_ip.enabled")
        preserved = is_true(said) if said is not None else default
        if protocol is Protocol.UDP:
            preserved = True
        field = f"metadata.annotations[{_PREFIX}target-group-attributes]"
        notes = [note(Code.ASSUMES_DOCUMENTED_CLOUD)]
        if said is None:
            code = Code.ASSUMES_PRESERVE_ON if preserved else Code.ASSUMES_PRESERVE_OFF
            sentence = (
                f"AWS' default for targets of type {target}: client addresses "
                f"are {'' if preserved else 'not '}preserved."
            )
            notes.append(note(code, sentence, facts.decision(field, "preserve_client_ip.enabled is not set")))
        if by_tls and target == "ip":
            notes.append(
                note(Code.ASSUMES_DOCUMENTED_CLOUD, "the NLB ends TLS; preservation works for it as for TCP.")
            )
        internal = (
            annotation("scheme") or ("internal" if is_true(annotation("internal")) else "")
        ) != "internet-facing"
        proxy = is_true(annotation("proxy-protocol")) or is_true(
            attributes.get("proxy_protocol_v2.enabled", "")
        )
        forwarded = (
            (
                Forwarded(
                    by="AWS NLB",
                    form="PROXY protocol v2",
                    seen_as=SeenAs.CLIENT,
                    sentence="the client, as the NLB saw it",
                ),
            )
            if proxy
            else ()
        )
        decided = facts.decision(f"metadata.annotations[{_PREFIX}nlb-target-type]", target)
        how = {
            ("ip", True): "endpoint",
            ("ip", False): "terminate-endpoint",
            ("instance", True): "node-port",
            ("instance", False): "terminate-node",
        }[("ip" if target == "ip" else "instance", preserved)]
        return Delivery(
            how,
            code=Code.BALANCER_TO_ENDPOINT
            if target == "ip"
            else (Code.BALANCER_REWRITES_DESTINATION if preserved else Code.BALANCER_TERMINATES),
            because=(
                "targets of type ip: the NLB sends to endpoints, past nodes, node ports and kube-proxy"
                if target == "ip"
                else "targets of type instance: the NLB sends to nodes' node ports"
            ),
            decided_by=decided,
            address_note="an address of the NLB, in its subnets",
            forwarded=forwarded,
            notes=tuple(notes),
            loopback=("fails" if internal else "unknown") if preserved else "works",
            private=internal,
        )


class ClassicLoadBalancer(Balancer):
    """A CLB: a proxy in front of node ports."""

    def __init__(self, world: World, seen: str) -> None:
        super().__init__("AWS Classic Load Balancer", seen)
        self.world = world

    def delivers(self, facts: ServiceFacts, address: IPAddress | None, protocol: Protocol) -> Delivery:
        backend = facts.annotations.get(_PREFIX + "backend-protocol", "").lower()
        forwarded: tuple[Forwarded, ...] = ()
        if backend in ("http", "https"):
            forwarded = (
                Forwarded(
                    by="AWS CLB",
                    form="X-Forwarded-For",
                    seen_as=SeenAs.CLIENT,
                    sentence="the client is the last entry",
                ),
            )
        elif facts.annotations.get(_PREFIX + "proxy-protocol"):
            forwarded = (
                Forwarded(
                    by="AWS CLB",
                    form="PROXY protocol v1",
                    seen_as=SeenAs.CLIENT,
                    sentence="the client, as the CLB saw it",
                ),
            )
        return Delivery(
            "terminate-node",
            code=Code.BALANCER_TERMINATES,
            because="a Classic Load Balancer ends the client's connection and dials a node port",
            address_note="an address of the load balancer, in its subnets",
            forwarded=forwarded,
            notes=(note(Code.ASSUMES_DOCUMENTED_CLOUD),),
        )


def aws_vpc(world: World) -> AwsVpcNetwork | None:
    daemon = world.workload("aws-node", image="amazon-k8s-cni")
    if daemon is None:
        if not any("eks" in each.kubelet_version for each in world.nodes.values()) or world.workload(
            "cilium", "calico-node"
        ):
            return None
        return AwsVpcNetwork(world, "Node status.nodeInfo.kubeletVersion (eks)", {})
    return AwsVpcNetwork(world, named(daemon), environment(daemon))


def aws_balancer(world: World, facts: ServiceFacts) -> Balancer | None:
    """Which of Amazon's balancers serves a Service."""
    kind = facts.annotations.get(_PREFIX + "type", "")
    wanted = str(facts.spec.get("loadBalancerClass") or "")
    hostnames = [each.hostname for each in facts.balancer_addresses]
    if wanted == "service.k8s.aws/nlb" or kind in ("nlb", "nlb-ip", "external"):
        seen = "spec.loadBalancerClass" if wanted else f"annotation {_PREFIX}type"
        return NetworkLoadBalancer(world, seen)
    if wanted:
        return None
    amazon = any(each.endswith((".amazonaws.com", ".amazonaws.com.cn")) for each in hostnames)
    annotated = next((each for each in facts.annotations if each.startswith(_PREFIX)), "")
    at_aws = any(each.provider == "aws" for each in world.nodes.values())
    if annotated == _PREFIX + "nlb-target-type" or any(
        ".elb." in e and e.count("-") > 1 and "nlb" in e for e in hostnames
    ):
        return NetworkLoadBalancer(world, f"annotation {annotated}" if annotated else "status hostname")
    if amazon or annotated or at_aws:
        return ClassicLoadBalancer(
            world, annotated or ("status hostname" if amazon else "Node spec.providerID aws")
        )
    return None


def alb(ingress: Obj) -> bool:
    """Whether an Ingress' annotations are those of an Application Load Balancer."""
    found = ingress.get("metadata", {}).get("annotations") or {}
    return any(str(each).startswith("alb.ingress.kubernetes.io/") for each in found)
