"""What NetworkPolicies say of ways: judged by what the pod's own node sees."""

from __future__ import annotations

from typing import Any

from tests.unit.paths.objects import (
    CLIENT,
    CLUSTER,
    FLANNEL,
    LOCAL,
    NODES,
    codes,
    endpoints,
    kube_proxy,
    outcomes,
    pod,
    report,
    seen,
    service,
    world,
)

Obj = dict[str, Any]
SERVER = pod("api-1", "10.50.1.5", "oslo", labels={"app": "api"})
WEB = pod("web-1", "10.50.2.7", "lima", labels={"app": "web"})
OTHER = pod("other-1", "10.50.2.8", "lima", labels={"app": "other"})
TEAM = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team", "labels": {"of": "us"}}}


def policy(name: str = "api", **spec: Any) -> Obj:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": "team"},
        "spec": {"podSelector": {"matchLabels": {"app": "api"}}, **spec},
    }


def block(cidr: str) -> list[Obj]:
    return [{"from": [{"ipBlock": {"cidr": cidr}}]}]


def cluster(*objects: Obj, **spec: Any) -> Any:
    one = endpoints(("10.50.1.5", "oslo"))
    return world(NODES, FLANNEL, kube_proxy(), service(**spec), one, SERVER, WEB, OTHER, TEAM, list(objects))


def test_only_peers_that_a_policy_selects_reach_the_pod() -> None:
    selected = [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": [{"port": 8080}]}]
    found = cluster(policy(ingress=selected))
    assert seen(outcomes(found, "10.60.0.1:80", "pod/web-1")) == {"client 10.50.2.7": 1.0}
    assert seen(outcomes(found, "10.60.0.1:80", "pod/other-1")) == {"dropped": 1.0}
    [dropped] = outcomes(found, "10.60.0.1:80", "pod/other-1")
    assert dropped.steps[-1].code == "DroppedByNetworkPolicy"
    assert dropped.steps[-1].because == (
        "NetworkPolicy team/api selects team/api-1, and nothing in it lets this in: oslo sees 10.50.2.8."
    )
    assert dropped.steps[-1].decided_by is not None
    assert dropped.steps[-1].decided_by.object == "NetworkPolicy team/api"


def test_a_client_is_dropped_behind_another_node_though_its_network_is_allowed() -> None:
    found = cluster(policy(ingress=block(f"{CLIENT}/32")), type="NodePort", **CLUSTER)
    assert seen(outcomes(found, "10.9.0.2:31000")) == {"dropped": 1.0}
    [dropped] = outcomes(found, "10.9.0.2:31000")
    assert f"oslo sees 10.50.2.0, not {CLIENT}, because externalTrafficPolicy is Cluster" in (
        dropped.steps[-1].because
    )


def test_behind_its_own_node_the_policy_sees_the_client_though_the_server_does_not() -> None:
    found = cluster(policy(ingress=block(f"{CLIENT}/32")), type="NodePort", **CLUSTER)
    [passes] = outcomes(found, "10.9.0.1:31000")
    assert passes.source != CLIENT
    assert "AllowedByNetworkPolicy" in codes([passes])
    refused = cluster(policy(ingress=block("10.50.1.0/24")), type="NodePort", **CLUSTER)
    assert seen(outcomes(refused, "10.9.0.1:31000")) == {"dropped": 1.0}


def test_under_policy_local_the_client_is_what_every_hop_sees() -> None:
    found = cluster(policy(ingress=block(f"{CLIENT}/32")), type="NodePort", **LOCAL)
    assert seen(outcomes(found, "10.9.0.1:31000")) == {f"client {CLIENT}": 1.0}


def test_a_node_always_reaches_its_own_pods() -> None:
    found = cluster(policy(ingress=[]))
    assert "dropped" not in seen(outcomes(found, "10.60.0.1:80", "node/oslo"))
    assert seen(outcomes(found, "10.60.0.1:80", "node/lima")) == {"dropped": 1.0}


def test_what_a_pod_may_dial_is_what_a_service_leads_to() -> None:
    def dials(app: str) -> Obj:
        rule = [{"to": [{"podSelector": {"matchLabels": {"app": app}}}]}]
        about = {"matchLabels": {"app": "web"}}
        return policy("web", podSelector=about, policyTypes=["Egress"], egress=rule)

    assert seen(outcomes(cluster(dials("api")), "10.60.0.1:80", "pod/web-1")) == {"client 10.50.2.7": 1.0}
    [dropped] = outcomes(cluster(dials("db")), "10.60.0.1:80", "pod/web-1")
    assert (dropped.disposition, dropped.steps[-1].node) == ("dropped", "lima")
    assert "lets it dial 10.50.1.5" in dropped.steps[-1].because


def test_where_the_source_is_not_known_a_network_leaves_it_open() -> None:
    unknown = world(
        NODES,
        kube_proxy(),
        service(type="NodePort", **CLUSTER),
        endpoints(("10.50.1.5", "oslo")),
        SERVER,
        TEAM,
        [policy(ingress=block("10.0.0.0/8"))],
    )
    [found] = outcomes(unknown, "10.9.0.2:31000")
    assert (found.disposition, "UnknownPolicySource" in codes([found])) == ("unknown", True)


def test_without_policies_nothing_is_said_of_them() -> None:
    assert not any(
        "Polic" in each and "Network" in each for each in codes(outcomes(cluster(), "10.60.0.1:80"))
    )


def test_clients_who_arrive_as_nodes_are_warned_of() -> None:
    found = report(cluster(policy(ingress=block(f"{CLIENT}/32")), type="NodePort", **CLUSTER))
    [warning] = [each for each in found.warnings if each.code == "NetworkPolicySeesNodes"]
    assert "externalTrafficPolicy: Local" in warning.do
    well = report(cluster(policy(ingress=block(f"{CLIENT}/32")), type="NodePort", **LOCAL))
    assert not [each for each in well.warnings if each.code.startswith("NetworkPolicy")]


def test_a_services_address_in_a_policy_is_warned_of() -> None:
    to_service = [{"to": [{"ipBlock": {"cidr": "10.60.0.1/32"}}]}]
    about = {"matchLabels": {"app": "web"}}
    names = policy("web", podSelector=about, policyTypes=["Egress"], egress=to_service)
    found = report(cluster(names))
    [warning] = [each for each in found.warnings if each.code == "NetworkPolicyNamesService"]
    assert warning.decided_by is not None
    assert (warning.decided_by.object, warning.decided_by.field) == (
        "NetworkPolicy team/web",
        "spec.egress[0].to",
    )


def cluster_policy(action: str, name: str = "guard", **spec: Any) -> Obj:
    rule = {"action": action, "from": [{"namespaces": {}}], "name": "everybody"}
    return {
        "apiVersion": "policy.networking.k8s.io/v1alpha2",
        "kind": "ClusterNetworkPolicy",
        "metadata": {"name": name},
        "spec": {
            "tier": "Admin", "priority": 5, "subject": {"namespaces": {}}, "ingress": [rule], **spec,
        },
    }  # fmt: skip


def test_a_cluster_network_policy_that_denies_is_named() -> None:
    [dropped] = outcomes(cluster(cluster_policy("Deny")), "10.60.0.1:80", "pod/web-1")
    last = dropped.steps[-1]
    assert (dropped.disposition, last.code) == ("dropped", "DeniedByClusterNetworkPolicy")
    assert last.because == (
        "ClusterNetworkPolicy guard (tier Admin, rule everybody) denies what comes to team/api-1: "
        "oslo sees 10.50.2.7."
    )
    assert last.decided_by is not None
    assert (last.decided_by.object, last.decided_by.field) == (
        "ClusterNetworkPolicy guard",
        "spec.ingress[0].action",
    )


def test_a_cluster_network_policy_that_accepts_is_named() -> None:
    [passes] = outcomes(cluster(policy(ingress=[]), cluster_policy("Accept")), "10.60.0.1:80", "pod/web-1")
    assert "AcceptedByClusterNetworkPolicy" in codes([passes])
    baseline = cluster(policy(ingress=[]), cluster_policy("Accept", tier="Baseline"))
    assert seen(outcomes(baseline, "10.60.0.1:80", "pod/web-1")) == {"dropped": 1.0}


def test_what_a_pod_dials_may_be_denied() -> None:
    rule = {"action": "Deny", "to": [{"nodes": {}}, {"networks": ["10.50.1.0/24"]}]}
    [dropped] = outcomes(
        cluster(cluster_policy("Deny", ingress=[], egress=[rule])), "10.60.0.1:80", "pod/web-1"
    )
    assert "denies what team/web-1 dials at 10.50.1.5" in dropped.steps[-1].because


def warned(found: Any, code: str) -> list[Any]:
    return [each for each in report(found).warnings if each.code == code]


def test_the_nodes_on_which_a_client_is_dropped_are_counted() -> None:
    found = cluster(policy(ingress=block(f"{CLIENT}/32")), type="NodePort", **CLUSTER)
    [warning] = warned(found, "NetworkPolicySeesNodes")
    assert "Dropped by NetworkPolicy team/api on 2 of 3 nodes: it is compared with a node's address" in (
        warning.sentence
    )


def test_the_services_network_in_a_policy_is_warned_of() -> None:
    api = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "default", "name": "kubernetes"},
        "spec": {"clusterIP": "10.60.0.9", "clusterIPs": ["10.60.0.9"], "ports": [{"port": 443}]},
    }  # fmt: skip
    to_services = [{"to": [{"ipBlock": {"cidr": "10.60.0.0/16"}}]}]
    names = policy("web", policyTypes=["Egress"], egress=to_services)
    [warning] = warned(cluster(names, api), "NetworkPolicyNamesServiceNetwork")
    assert "10.60.0.0/16 is the Services' network" in warning.sentence
    everywhere = policy("web", policyTypes=["Egress"], egress=[{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}])
    assert not warned(cluster(everywhere, api), "NetworkPolicyNamesServiceNetwork")


def test_a_node_that_is_let_in_by_an_address_which_never_arrives_is_warned_of() -> None:
    found = cluster(policy(ingress=block("10.9.0.2/32")), type="NodePort", **CLUSTER)
    [warning, *_] = warned(found, "NetworkPolicyNamesOtherAddress")
    assert "lets lima in by 10.9.0.2, but towards pods of other nodes its packets come from 10.50.2.0" in (
        warning.sentence
    )
    well = [{"from": [{"ipBlock": {"cidr": each}} for each in ("10.9.0.2/32", "10.50.2.0/32")]}]
    assert not warned(
        cluster(policy(ingress=well), type="NodePort", **CLUSTER), "NetworkPolicyNamesOtherAddress"
    )


def dns() -> list[Obj]:
    service_obj = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "kube-system", "name": "kube-dns"},
        "spec": {
            "clusterIP": "10.60.0.10", "clusterIPs": ["10.60.0.10"],
            "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}],
        },
    }  # fmt: skip
    slice_obj = {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "namespace": "kube-system", "name": "kube-dns-1",
            "labels": {"kubernetes.io/service-name": "kube-dns"},
        },
        "endpoints": [{"addresses": ["10.50.2.9"], "nodeName": "lima", "conditions": {"ready": True}}],
        "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}],
    }  # fmt: skip
    return [service_obj, slice_obj, pod("dns-1", "10.50.2.9", "lima", namespace="kube-system")]


def test_a_pod_that_cannot_ask_for_names_is_warned_of() -> None:
    to_web = [{"to": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]
    closed = policy("api-out", policyTypes=["Egress"], egress=to_web)
    [warning] = warned(cluster(closed, *dns()), "NetworkPolicyCutsDNS")
    assert warning.sentence == "NetworkPolicy team/api-out keeps team/api-1 from the DNS server."
    with_dns = policy(
        "api-out", policyTypes=["Egress"], egress=[*to_web, {"ports": [{"port": 53, "protocol": "UDP"}]}]
    )
    assert not warned(cluster(with_dns, *dns()), "NetworkPolicyCutsDNS")
    assert not warned(cluster(policy(ingress=[]), *dns()), "NetworkPolicyCutsDNS")


def api_server() -> list[Obj]:
    port = {"name": "https", "port": 443, "targetPort": 6443, "protocol": "TCP"}
    service_obj = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "default", "name": "kubernetes"},
        "spec": {"clusterIP": "10.60.0.9", "clusterIPs": ["10.60.0.9"], "ports": [port]},
    }  # fmt: skip
    slice_obj = {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "namespace": "default", "name": "kubernetes",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "endpoints": [{"addresses": ["10.9.0.100"], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
    }  # fmt: skip
    return [service_obj, slice_obj]


def with_account(name: str) -> Any:
    """The cluster whose server may dial a network alone, and has this account."""
    server = pod("api-1", "10.50.1.5", "oslo", labels={"app": "api"})
    server["spec"]["serviceAccountName"] = name

    def made(cidr: str) -> Any:
        out = policy("api-out", policyTypes=["Egress"], egress=[{"to": [{"ipBlock": {"cidr": cidr}}]}])
        one = endpoints(("10.50.1.5", "oslo"))
        return world(NODES, FLANNEL, kube_proxy(), service(), one, server, TEAM, api_server(), [out])

    return made


def test_a_pod_with_an_account_that_cannot_ask_the_api_server_is_warned_of() -> None:
    [warning] = warned(with_account("reader")("10.50.0.0/16"), "NetworkPolicyCutsAPIServer")
    assert warning.sentence == "NetworkPolicy team/api-out keeps team/api-1 from the API server."
    assert warning.decided_by is not None
    assert (warning.decided_by.object, warning.decided_by.field) == (
        "NetworkPolicy team/api-out",
        "spec.egress",
    )
    assert not warned(with_account("default")("10.50.0.0/16"), "NetworkPolicyCutsAPIServer")


def test_the_api_server_is_let_in_by_its_own_address_and_not_by_the_services() -> None:
    assert not warned(with_account("reader")("10.9.0.100/32"), "NetworkPolicyCutsAPIServer")
    assert warned(with_account("reader")("10.60.0.9/32"), "NetworkPolicyCutsAPIServer")


def test_a_cluster_policy_that_cuts_off_the_api_server_is_named() -> None:
    rule = {"action": "Deny", "to": [{"networks": ["0.0.0.0/0"]}]}
    denies = cluster_policy("Deny", ingress=[], egress=[rule])
    server = pod("api-1", "10.50.1.5", "oslo", labels={"app": "api"})
    server["spec"]["serviceAccountName"] = "reader"
    one = endpoints(("10.50.1.5", "oslo"))
    found = world(NODES, FLANNEL, kube_proxy(), service(), one, server, TEAM, api_server(), [denies])
    [warning] = warned(found, "NetworkPolicyCutsAPIServer")
    assert warning.sentence == "ClusterNetworkPolicy guard keeps team/api-1 from the API server."
    assert warning.decided_by is not None
    assert warning.decided_by.field == "spec.egress[0].action"


def balanced(policies: Obj, **spec: Any) -> Any:
    """Behind a balancer that ends connections, and dials node ports."""
    address = {"ip": "192.0.2.50", "ipMode": "Proxy"}
    return cluster(policies, type="LoadBalancer", ingress=[address], **spec)


def test_a_balancer_that_cannot_see_who_is_healthy_is_warned_of() -> None:
    found = balanced(policy(ingress=block("203.0.113.0/24")), **CLUSTER)
    [warning] = warned(found, "NetworkPolicyCutsHealthChecks")
    assert warning.sentence == (
        "NetworkPolicy team/api lets no node in to team/api-1: a load balancer that checks Service team/api "
        "by dialling its node port finds only the endpoints' own nodes healthy."
    )
    assert warning.decided_by is not None
    assert (warning.decided_by.object, warning.decided_by.field) == ("NetworkPolicy team/api", "spec.ingress")


def test_where_checks_arrive_nothing_is_said_of_them() -> None:
    """Nodes are let in; policy Local has a port of its own for checks; there is no balancer."""
    everybody = block("0.0.0.0/0")
    assert not warned(balanced(policy(ingress=everybody), **CLUSTER), "NetworkPolicyCutsHealthChecks")
    nobody = policy(ingress=[])
    assert not warned(balanced(nobody, **LOCAL), "NetworkPolicyCutsHealthChecks")
    assert not warned(cluster(nobody, type="NodePort", **CLUSTER), "NetworkPolicyCutsHealthChecks")


def test_what_a_pod_may_not_dial_goes_no_further_than_its_node() -> None:
    """Not even where another node would have rewritten it."""
    about = {"matchLabels": {"app": "web"}}
    closed = policy("web", podSelector=about, policyTypes=["Egress"], egress=[])
    found = cluster(closed, type="NodePort", **CLUSTER)
    for target in ("10.9.0.1:31000", "10.9.0.2:31000", "10.60.0.1:80"):
        [dropped] = outcomes(found, target, "pod/web-1")
        assert [each.node for each in dropped.steps if each.node not in ("lima", "")] == []
        assert [each.what for each in dropped.steps][-1] == "drop"
        assert "snat" not in [each.what for each in dropped.steps]
