"""Every reason code there is, with its kind and what it means. Codes are stable: they are never renamed."""

from __future__ import annotations

import enum


class Kind(enum.StrEnum):
    """What a code is used for."""

    REASON = "reason"
    ASSUMPTION = "assumption"
    AMBIGUOUS = "ambiguous"
    """The question leaves several answers; the note says what would decide."""
    UNKNOWN = "unknown"
    WARNING = "warning"
    ADVICE = "advice"


_R, _A, _M, _U, _W, _V = Kind


class Code(enum.StrEnum):
    """A code: its value is what is printed, `kind` what it is used for, `meaning` one sentence about it."""

    kind: Kind
    meaning: str

    def __new__(cls, value: str, kind: Kind, meaning: str) -> Code:
        code = str.__new__(cls, value)
        code._value_, code.kind, code.meaning = value, kind, meaning
        return code

    # fmt: off
    # How a way begins and ends
    SENT = "Sent", _R, "The client sends a packet."
    DELIVERED = "Delivered", _R, "The endpoint receives the packet."
    ROUTED = "Routed", _R, "The packet is passed on as it is, by its destination."
    REWRITTEN_BY_RULE = "RewrittenByRule", _R, "Observed: a rule was seen to rewrite the address."
    REPLY_RESTORED = "ReplyRestored", _R, "Observed: on the way back, connection tracking undid a rewrite."
    DROPPED_BY_RULE = "DroppedByRule", _R, "Observed: a rule was seen to drop the packet."
    REFUSED_BY_RULE = "RefusedByRule", _R, "Observed: a rule was seen to answer with an error."
    LAST_SEEN = "LastSeen", _R, "Observed: nothing was seen of the packet behind this place."
    NO_ROUTE = "NoRoute", _R, "Nobody leads this address from the client to a node."
    NOBODY_LISTENS = "NobodyListens", _R, "The address is a node's or pod's, and nothing is known to listen at that port."
    POD_NETWORK_FROM_OUTSIDE = "PodNetworkFromOutside", _R, "Pod addresses are not led to the nodes from outside, as far as the API tells."
    POLICY_DROPS = "DroppedByNetworkPolicy", _R, "NetworkPolicies select the pod, and none of them allows this packet."
    POLICY_ALLOWS = "AllowedByNetworkPolicy", _R, "NetworkPolicies select the pod, and one of them allows this packet."
    CLUSTER_POLICY_DENIES = "DeniedByClusterNetworkPolicy", _R, "A ClusterNetworkPolicy about the pod denies this packet."
    CLUSTER_POLICY_ACCEPTS = "AcceptedByClusterNetworkPolicy", _R, "A ClusterNetworkPolicy about the pod accepts this packet, before any NetworkPolicy is asked."
    EXTERNAL_NAME = "ExternalName", _R, "The Service is a DNS alias: clients dial the other name's address."
    HEADLESS = "Headless", _R, "A headless Service has no address of its own: clients dial its pods."

    # What the service proxy does
    CLUSTER_POLICY = "ClusterPolicyMasquerades", _R, "Under externalTrafficPolicy Cluster the ingress node replaces the source, so that replies return through it."
    LOCAL_POLICY = "LocalPolicyKeepsSource", _R, "Under externalTrafficPolicy Local only the ingress node's own endpoints are used, and the source is kept."
    LOCAL_NO_ENDPOINT = "LocalPolicyDrops", _R, "Under a Local policy, a node without a local endpoint drops the packet."
    LOCAL_POLICY_FROM_INSIDE = "LocalPolicyFromInside", _R, "Under externalTrafficPolicy Local, a node's own pods are sent to all endpoints, with their source kept."
    LOCAL_POLICY_FROM_NODE = "LocalPolicyFromNode", _R, "Under externalTrafficPolicy Local, a node's own traffic is sent to all endpoints, masqueraded."
    NO_ENDPOINTS = "NoEndpoints", _R, "No usable endpoint in the whole cluster: refused at once."
    CLUSTER_IP_FROM_POD = "ClusterIPFromPod", _R, "A pod's connection to a ClusterIP keeps its source."
    CLUSTER_IP_FROM_ELSEWHERE = "ClusterIPFromElsewhere", _R, "Whoever is not recognised as a pod is masqueraded when it dials a ClusterIP."
    CLUSTER_IP_NOBODY_DETECTED = "ClusterIPWithoutDetector", _R, "The proxy can't tell pods from others (no cluster CIDR), so nobody who dials a ClusterIP is masqueraded."
    MASQUERADE_ALL = "MasqueradeAll", _R, "masqueradeAll: every connection to a ClusterIP is masqueraded."
    FROM_INSIDE_MASQUERADED = "InsideToExternalMasqueraded", _R, "From inside, an external address under policy Cluster is short-cut on the client's own node, masqueraded."
    INTERNAL_LOCAL = "InternalPolicyLocal", _R, "internalTrafficPolicy Local: this node's endpoints only."
    HAIRPIN = "Hairpin", _R, "A pod that reaches itself through a Service is masqueraded, or it would answer itself directly."
    SOURCE_RANGES = "SourceRangesDrop", _R, "The client is in none of loadBalancerSourceRanges."
    NOT_A_NODE_PORT_ADDRESS = "NotANodePortAddress", _R, "The proxy doesn't answer node ports at this address (nodePortAddresses, or the mode's own rule)."
    DESTINATION_NAT = "DestinationRewritten", _R, "The proxy replaces the Service's address by an endpoint's."
    REMOTE_POD_SHORT_CUT = "ReplyBypassesIngressNode", _R, "The ingress node takes another node's pod for its own and doesn't masquerade; the endpoint's answer goes to the pod directly, which doesn't know it."
    IPVS_LOCAL_FALLBACK = "IpvsLocalFallback", _R, "ipvs mode without a local endpoint under Local falls back to all endpoints without masquerading; the answer doesn't come back through the node."
    EXTERNAL_IPS_BEFORE_1_19 = "ExternalIPsIgnoreLocal", _R, "kube-proxy before 1.19 treats external IPs as policy Cluster, whatever the Service says."
    SYMMETRIC_RETURN = "SymmetricReturn", _R, "wellhead's proxy keeps the client's address under Cluster: the endpoint's node returns replies through the ingress node."
    SOURCE_CLAIMED = "SourceClaimed", _R, "wellhead's proxy claims the source before anybody masquerades; kube-proxy leaves that to whoever comes after it."
    DSR = "DirectServerReturn", _R, "The endpoint's node answers the client directly, so its address is kept."
    EBPF_LOCAL_BACKEND = "LocalBackendKeepsSource", _R, "An eBPF proxy doesn't masquerade towards an endpoint of the ingress node itself."
    EBPF_REMOTE_BACKEND = "RemoteBackendMasqueraded", _R, "An eBPF proxy in SNAT mode replaces the source towards an endpoint of another node."
    EBPF_TUNNEL = "TunnelledToEndpoint", _R, "Calico's eBPF data plane tunnels the packet to the endpoint's node with its source kept, and replies back."
    SOCKET_LB = "SocketLoadBalanced", _R, "The eBPF proxy replaces the destination at connect(), before there is a packet: the source is whatever routing takes."
    NOT_FOR_THIS_PROXY = "OtherServiceProxy", _R, "The Service is labelled for another service proxy (service.kubernetes.io/service-proxy-name)."
    AFFINITY = "SessionAffinity", _R, "sessionAffinity ClientIP: a client returns to its last endpoint."
    IPVS_SELF_SOURCE = "IpvsServiceAddressAsSource", _R, "In ipvs mode the Service's address is local to every node, so a node's own packets begin with it as their source."

    # What networks and agents do on a node
    CNI_MASQUERADE = "NetworkMasquerades", _R, "The pod network masquerades what leaves it."
    CNI_MASQUERADES_INBOUND = "NetworkMasqueradesInbound", _R, "The pod network's masquerade takes connections that come in, too."
    AGENT_MASQUERADE = "AgentMasquerades", _R, "ip-masq-agent masquerades everything whose destination is in no nonMasqueradeCIDR, inbound as outbound."
    NETWORK_KEEPS = "NetworkKeepsSource", _R, "The pod network leaves the source alone."
    TUNNEL_SOURCE = "TunnelAddress", _R, "A node's packets to another node's pods carry the address of its tunnel."
    LOCAL_DELIVERY = "LocalDelivery", _R, "What a node delivers to itself doesn't pass POSTROUTING, where sources are masqueraded: it is kept."
    HOST_PORT = "HostPort", _R, "A host port leads to the pod with the source kept."
    HOST_NETWORK = "HostNetwork", _R, "The pod uses its node's network: the node's address is its own."

    # What balancers and proxies in between do
    BALANCER_FORWARDS = "BalancerForwards", _R, "The balancer delivers the client's packets unchanged."
    BALANCER_REWRITES_DESTINATION = "BalancerRewritesDestination", _R, "The balancer replaces the destination alone; the source is the client's."
    BALANCER_TERMINATES = "BalancerTerminates", _R, "The balancer ends the client's connection and opens its own."
    BALANCER_TO_ENDPOINT = "BalancerDialsEndpoint", _R, "The balancer sends to endpoints directly: nodes, node ports and kube-proxy are not on the way, and externalTrafficPolicy has no say."
    BALANCER_HEALTH_CHECK = "BalancerHealthCheck", _R, "The balancer sends only to nodes whose health check passes: under Local, those with endpoints."
    ANNOUNCED_BY_ONE = "AnnouncedByOneNode", _R, "One node answers for the address and is the ingress node of every connection."
    ANNOUNCED_BY_ALL = "AnnouncedByRouting", _R, "Routers spread connections over the nodes that announce the address."
    NO_LOOPBACK = "BalancerNoLoopback", _R, "The balancer that preserves client addresses can't send a connection back to where it came from."
    SVCLB = "ServiceLBPodRewrites", _R, "A ServiceLB pod holds the host port and rewrites destination and source inside its own network."
    PROXY_IN_BETWEEN = "ProxyInBetween", _R, "An ingress controller or gateway ends the connection and opens its own: the server's peer is its pod."
    BALANCER_PENDING = "BalancerPending", _R, "The load balancer has no address yet: nobody implements the Service, or hasn't so far."

    # Assumptions
    ASSUMES_KUBE_PROXY = "AssumesKubeProxy", _A, "No service proxy is seen in the objects: kube-proxy in iptables mode is assumed."
    ASSUMES_MODE_DEFAULT = "AssumesProxyDefaults", _A, "kube-proxy's configuration can't be seen: its defaults are assumed."
    ASSUMES_VERSION = "AssumesCurrentVersion", _A, "No version is known: the behaviour of today's is assumed."
    ASSUMES_NO_NETWORK_MASQUERADE = "AssumesNoOtherMasquerade", _A, "The pod network is not known; it is assumed to leave these packets' sources alone."
    ASSUMES_PREROUTING_ORDER = "AssumesPreroutingOrder", _A, "KUBE-SERVICES is assumed to come before CNI-HOSTPORT-DNAT in PREROUTING, as both programs write them."
    ASSUMES_PASS_THROUGH = "AssumesBalancerForwards", _A, "The load balancer is assumed to deliver packets unchanged, as ipMode VIP says."
    ASSUMES_TERMINATES = "AssumesBalancerTerminates", _A, "The load balancer is assumed to end the client's connection."
    ASSUMES_PRESERVE_ON = "AssumesPreserveClientIPOn", _A, "The provider's default is taken: client addresses are preserved."
    ASSUMES_PRESERVE_OFF = "AssumesPreserveClientIPOff", _A, "The provider's default is taken: client addresses are not preserved."
    ASSUMES_BACKEND = "AssumesTunnel", _A, "The pod network's backend can't be seen: its default is assumed."
    ASSUMES_FIRST_ADDRESS = "AssumesInterfaceAddress", _A, "Interfaces to pods have no address of their own here, so the kernel takes the node's first one; that is assumed to be the InternalIP."
    ASSUMES_ENDPOINTS_DIRECT = "AssumesControllerDialsEndpoints", _A, "The ingress controller is assumed to dial endpoints, not the ClusterIP."
    ASSUMES_REACHABLE = "AssumesReachable", _A, "That the address leads to the nodes at all isn't in the API; it is assumed."
    ASSUMES_DOCUMENTED_CLOUD = "AssumesDocumentedCloud", _A, "What the cloud does is taken from its documentation; the API doesn't show it."
    ASSUMES_NEW_CONNECTION = "AssumesNewConnection", _A, "This is for new connections; what conntrack holds goes on as it began."
    ASSUMES_ROUTE_TO_POD = "AssumesRouteToPod", _A, "Nodes' routes aren't in the API: one that leads to the endpoint by its node is assumed, so that wellhead's proxy claims the source."
    ASSUMES_RETURN_PATH = "AssumesSymmetricReturn", _A, "No node announces symmetric return yet; the nodes are assumed to do so some seconds after they are asked."
    ASSUMES_EXTERNAL_IP_NAT = "AssumesExternalIPTranslated", _A, "A node's ExternalIP is assumed to be translated, one to one, to its InternalIP before the node sees it."
    ASSUMES_POLICIES_ENFORCED = "AssumesPoliciesEnforced", _A, "Whether anybody enforces NetworkPolicies isn't in the API; it is assumed, on what the pod's own node sees."
    ASSUMES_HEALTHY = "AssumesHealthChecked", _A, "The balancer's health checks are assumed to agree with the endpoints in the API."
    ASSUMES_EXAMPLES = "AssumesExampleNodes", _A, "No cluster's Nodes are among the objects: examples are taken."
    ALIKE = "NodesAlike", _A, "In a large cluster, one node stands for all that are like it."
    ASSUMES_POD = "AssumesPodRecognised", _A, "How the proxy recognises its node's pods depends on interfaces, which the API doesn't show; pods are assumed to be recognised."

    # Open
    AMBIGUOUS_INGRESS_NODE = "AmbiguousIngressNode", _M, "By which node the connection comes in isn't known; the answer differs."
    AMBIGUOUS_CLIENT = "AmbiguousClient", _M, "The answer depends on the client's address."
    AMBIGUOUS_BALANCER = "AmbiguousBalancer", _M, "The same objects serve for a balancer that forwards and for one that terminates."
    AMBIGUOUS_SECOND_MASQUERADE = "AmbiguousSecondMasquerade", _M, "The endpoint's node has the same masquerade, and may replace the source once more, by an address of its own."
    UNKNOWN_PROXY = "UnknownProxy", _U, "A service proxy that nothing is known of."
    UNKNOWN_NETWORK = "UnknownNetwork", _U, "A pod network that nothing is known of, or none is seen."
    UNKNOWN_BALANCER = "UnknownBalancer", _U, "A load balancer that nothing is known of."
    UNKNOWN_CONTROLLER = "UnknownController", _U, "An ingress controller that nothing is known of, or can't be found among the objects."
    UNKNOWN_NODE_ADDRESS = "UnknownNodeAddress", _U, "Which of the node's addresses the masquerade takes isn't known."
    UNKNOWN_TARGET = "UnknownTarget", _U, "The address is neither a Service's nor a node's nor a pod's."
    UNKNOWN_LOOPBACK = "UnknownLoopback", _U, "What a balancer does with a connection back to where it came from is not documented for this case."
    UNKNOWN_ENDPOINTS = "UnknownEndpoints", _U, "Nothing that was read tells the Service's endpoints."
    UNKNOWN_POLICY_SOURCE = "UnknownPolicySource", _U, "A NetworkPolicy names networks, and the address that the pod's node sees isn't known."
    UNKNOWN_EGRESS = "UnknownEgress", _U, "With which address the client leaves the cluster isn't known."
    UNREAD = "Unread", _U, "An object that would decide could not be read."
    BAD_OBJECT = "BadObject", _U, "An object is not as the API would have it, and is left out."

    # Warnings
    CLUSTER_UNDOES = "ClusterUndoesPreservation", _W, "The balancer keeps the client's address up to the node, where policy Cluster loses it."
    WRONG_SERVICE = "PolicyOnServiceBehindIngress", _W, "The policy is set on the Service behind an ingress, where clients don't arrive; the ingress' own Service decides."
    LOCAL_WITHOUT_HEALTH_CHECK = "LocalWithoutHealthCheck", _W, "Policy Local without a health check: nodes without an endpoint drop what they get."
    RANGES_WITHOUT_EFFECT = "SourceRangesSeeBalancer", _W, "loadBalancerSourceRanges are compared with an address that is never the client's."
    AFFINITY_BEHIND_MASQUERADE = "AffinityBehindMasquerade", _W, "Session affinity sees one address for many clients."
    IP_MODE_MISSING = "IPModeMissing", _W, "A terminating balancer's address lacks ipMode Proxy: from inside, the balancer is bypassed, and with it TLS and PROXY protocol."
    EXTERNAL_IPS_LOCAL = "ExternalIPsAndLocal", _W, "Nobody checks which nodes have endpoints for an external IP; under Local the others drop."
    CIDR_HOLDS_CLIENTS = "ClusterCIDRHoldsClients", _W, "A network that stands for the pods holds clients, too."
    CIDR_MISSES_PODS = "ClusterCIDRMissesPods", _W, "A network that should hold the pods misses some."
    POOL_HOLDS_CLIENTS = "PoolHoldsClients", _W, "A natOutgoing pool holds addresses that are no pods'."
    MASQ_CIDRS_MISS_PODS = "NonMasqueradeCIDRsMissPods", _W, "The pods' network is in no nonMasqueradeCIDR: every connection to a pod is masqueraded."
    OLD_UDP_FLOWS = "OldUDPFlows", _W, "UDP senders that never pause keep the fate that their first datagram had."
    PRESERVE_DEFEATED = "NetworkDefeatsPreserveClientIP", _W, "The pod network masquerades what preserve-client-ip would keep."
    UNEVEN = "LocalUneven", _W, "Under Local, endpoints get unequal parts of the traffic, or none."
    PROXY_PROTOCOL_UNEXPECTED = "ProxyProtocolMismatch", _W, "One side speaks PROXY protocol and the other isn't told to."
    CONTESTED_FRONTEND = "ContestedFrontend", _W, "Two Services claim the same address and port."
    HEADERS_UNTRUSTED = "HeadersClaimedByClient", _W, "The header may hold what a client claims."
    POLICY_WITHOUT_EFFECT = "PolicyWithoutEffect", _W, "externalTrafficPolicy has no say on the way that clients take."
    MASQUERADES_INBOUND = "MasqueradesInbound", _W, "A masquerade rule of the network or an agent takes inbound connections, so Local doesn't keep the client's address."
    NO_DETECTOR = "NoClusterCIDR", _W, "kube-proxy knows no pod network: pods count as clients outside."
    HOST_NETWORK_SEES_NODES = "HostNetworkSeesNodes", _W, "Endpoints on the host network see nodes instead of pods of other nodes."
    POLICY_NAMES_SERVICE = "NetworkPolicyNamesService", _W, "A NetworkPolicy names a Service's address, which is never compared: packets are judged behind the Service."
    POLICY_SEES_NODES = "NetworkPolicySeesNodes", _W, "A NetworkPolicy names clients who arrive with a node's address."
    POLICY_NAMES_SERVICES = "NetworkPolicyNamesServiceNetwork", _W, "A NetworkPolicy names the Services' network, whose addresses are never compared: packets are judged behind the Service."
    POLICY_NAMES_OTHER_ADDRESS = "NetworkPolicyNamesOtherAddress", _W, "A NetworkPolicy names a node by an address with which its packets don't reach pods."
    POLICY_CUTS_DNS = "NetworkPolicyCutsDNS", _W, "NetworkPolicies let a pod dial what it may, but not the DNS server: it can't resolve names."
    POLICY_CUTS_API = "NetworkPolicyCutsAPIServer", _W, "NetworkPolicies keep a pod with a service account of its own from the API server."
    POLICY_CUTS_CHECKS = "NetworkPolicyCutsHealthChecks", _W, "NetworkPolicies drop what comes to the node port from nodes or from the load balancer, which is how health checks come that dial it."

    # Advice
    USE_LOCAL = "UseLocal", _V, "externalTrafficPolicy Local keeps the client's address."
    USE_PROXY_PROTOCOL = "UseProxyProtocol", _V, "PROXY protocol carries the client's address across a terminating balancer."
    USE_HEADERS = "UseHeaders", _V, "The client's address is in a header."
    USE_DSR = "UseDSR", _V, "A data plane with direct server return keeps the client's address under Cluster."
    USE_SYMMETRIC_RETURN = "UsePreserveClientIP", _V, "wellhead's proxy keeps the client's address under Cluster, by annotation."
    USE_PROVIDER_PRESERVE = "UseProviderPreserve", _V, "The provider's balancer can preserve the client's address."
    USE_CLUSTER_IP = "UseClusterIP", _V, "From inside, dial the ClusterIP."
    SET_LOCAL_ON_CONTROLLER = "SetLocalOnController", _V, "Set the policy on the ingress controller's Service, and read its header."
    FIX_NON_MASQUERADE = "FixNonMasqueradeCIDRs", _V, "Add the pods' network to nonMasqueradeCIDRs."
    ADVERTISE_OTHER = "AdvertiseOtherAddresses", _V, "Advertise external or load-balancer IPs instead of ClusterIPs."
    UPGRADE_PROXY = "UpgradeKubeProxy", _V, "A newer kube-proxy does what the policy says."
    CLEAR_CONNTRACK = "ClearConntrack", _V, "Delete the old flows' conntrack entries."
    DIAL_STATUS_ADDRESS = "DialStatusAddress", _V, "Dial the addresses in status, which the service proxy knows."
    FIX_NETWORK = "FixNetworkMasquerade", _V, "Keep the pod network from masquerading these packets."
    NAME_NODES = "AllowNodes", _V, "Allow lists at the server must name nodes."
    CHECK_HEALTH_PORT = "CheckHealthPort", _V, "Let whoever spreads the traffic check the node port itself, or healthCheckNodePort."
    NOTHING_TO_DO = "NothingToDo", _V, "The server sees the client."
    # fmt: on
