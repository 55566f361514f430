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
