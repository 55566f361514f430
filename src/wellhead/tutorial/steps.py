"""The tutorial as data: what is typed where, and what a right answer is.

The commands are those of Kubernetes' “Using Source IP”, as they stand there. Addresses, ports and names that
a cluster allocates are filled in; and `-l run=source-ip-app` is `-l app=source-ip-app`, because
`kubectl create deployment` labels with `app` since Kubernetes 1.18.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from wellhead.tutorial.expect import Expectation, Facts, answers, anything, exactly, matching, table

Where = Literal["client", "node", "endpoint node", "other node", "pod"]

_PATIENCE = 20.0  # seconds, on a machine that has much else to do; what is right is so at once

LABEL_NOTE = (
    "`run=source-ip-app` reads `app=source-ip-app`: what `kubectl create deployment` labels with today"
)


@dataclass(frozen=True)
class Drawn:
    """What a drawing is of: a client outside, and a Service that it dials."""

    service: str
    at: str = ""
    """For a node port: dialled at a node `with` an endpoint, or at one `without`."""


@dataclass(frozen=True)
class Lesson:
    """What the page says of a step, where it shows it: it ticks those that the cluster shows to be done."""

    name: str
    title: str
    look: str
    """What to look at."""


@dataclass(frozen=True)
class Step:
    """One command, with <facts> to fill in.

    `patience` is for how many seconds it may be asked again before a difference counts. A command that starts
    a shell in a pod names its prompt in `enters`: the steps that follow there are typed into that shell,
    until one of them `leaves`.
    """

    where: Where
    command: str
    expect: Expectation
    patience: float = 0.0
    note: str = ""
    enters: str = ""
    leaves: bool = False
    drawn: Drawn | None = None
    """What is drawn afterwards, as the document draws it, of a packet that is sent for it."""
    lesson: Lesson | None = None


@dataclass(frozen=True)
class Section:
    """A heading, what it is about, and its steps."""

    title: str
    text: str
    steps: tuple[Step, ...]


def _node_addresses(facts: Facts) -> Collection[str]:
    return list(facts["node_addresses"])


def _client(facts: Facts) -> Collection[str]:
    return [facts["client"]]


def _pod(facts: Facts) -> Collection[str]:
    return [facts.get("pod_ip", "unknown")]


def _nodes_ready(rows: list[dict[str, str]], facts: Facts) -> list[str]:
    return [f"{row['NAME']} is {row['STATUS']}" for row in rows if row["STATUS"] != "Ready"]


def _cluster_ip(rows: list[dict[str, str]], facts: Facts) -> list[str]:
    facts["cluster_ip"] = rows[0]["CLUSTER-IP"]
    return [] if rows[0]["TYPE"] == "ClusterIP" else [f"the type is {rows[0]['TYPE']}"]


def _external_ip(rows: list[dict[str, str]], facts: Facts) -> list[str]:
    facts["vip"] = rows[0]["EXTERNAL-IP"]
    return [] if facts["vip"].startswith("203.0.113.") else [f"the external IP is {facts['vip']}"]


def _endpoint_node(rows: list[dict[str, str]], facts: Facts) -> list[str]:
    if rows[0]["STATUS"] != "Running":
        return [f"the pod is {rows[0]['STATUS']}"]
    facts["endpoint_node"] = rows[0]["NODE"]
    facts["other_node"] = next(node for node in facts["nodes"] if node != facts["endpoint_node"])
    return []


def _ask_from_busybox(
    node: str = "", note: str = "", lessons: tuple[Lesson | None, Lesson | None] = (None, None)
) -> tuple[Step, ...]:
    """The document's busybox session; on a `node` (a fact) rather than where the scheduler puts it."""
    run = "kubectl run busybox -it --image=busybox --restart=Never --rm"
    if node:
        run += f""" --overrides='{{"spec":{{"nodeName":"<{node}>"}}}}'"""
    return (
        Step("client", run, anything, note=note, enters="/ # ", lesson=lessons[0]),
        Step("pod", "ip addr", matching(_BUSYBOX_IP_ADDR)),
        Step(
            "pod",
            "wget -qO - <cluster_ip>",
            answers(1, _pod, "the client pod's"),
            patience=_PATIENCE,
            lesson=lessons[1],
        ),
        Step("pod", "exit", matching(r'^pod "busybox" deleted'), leaves=True),
    )


def _everything_freed(output: str, facts: Facts) -> list[str]:
    return [f"left over: {line}" for line in output.strip().splitlines()]


_CURL_NODES = "for node in $NODES; do curl {}-s $node:$NODEPORT | grep -i client_address; done"
_LOCAL = """ -p '{"spec":{"externalTrafficPolicy":"Local"}}'"""
_POD_TABLE = "NAME  READY  STATUS  RESTARTS  AGE  IP  NODE  NOMINATED NODE  READINESS GATES"


_BUSYBOX_IP_ADDR = (
    r"eth0\S*: <BROADCAST,MULTICAST,UP,LOWER_UP\S* mtu 1460 (?s:.*?)inet (?P<pod_ip>10\.244\.\d+\.\d+)/24"
)


def document(nodes: int, proxy_mode: str) -> tuple[Section, ...]:
    """The whole tutorial for a cluster of so many nodes."""
    expose = "kubectl expose deployment source-ip-app --name={0} --port=80 --target-port=8080{1}"
    service_table = "NAME  TYPE  CLUSTER-IP  EXTERNAL-IP  PORT(S)  AGE"
    return (
        Section(
            "Before you begin",
            "A small nginx that answers with the source IP of the request it got.",
            (
                Step(
                    "client",
                    "kubectl create deployment source-ip-app --image=k8s.gcr.io/echoserver:1.4",
                    exactly("deployment.apps/source-ip-app created"),
                    lesson=Lesson(
                        "deployment",
                        "Start the server",
                        "A pod appears on one of the nodes.",
                    ),
                ),
            ),
        ),
        Section(
            "Source IP for Services with Type=ClusterIP",
            "Packets that pods send to a ClusterIP keep their source: only the destination is rewritten.",
            (
                Step(
                    "client",
                    "kubectl get nodes",
                    table("NAME  STATUS  ROLES  AGE  VERSION", nodes, _nodes_ready),
                    patience=_PATIENCE,
                ),
                Step("node", "curl http://localhost:10249/proxyMode", matching(rf"^{proxy_mode}\s*$")),
                Step(
                    "client",
                    expose.format("clusterip", ""),
                    exactly("service/clusterip exposed"),
                    lesson=Lesson(
                        "clusterip",
                        "Expose it inside the cluster",
                        "A Service with an address of its own, which leads to the pod.",
                    ),
                ),
                Step("client", "kubectl get svc clusterip", table(service_table, 1, _cluster_ip)),
                *_ask_from_busybox(
                    lessons=(
                        Lesson("busybox", "Start a client inside", "A pod to ask from."),
                        Lesson(
                            "clusterip-ask",
                            "Ask from the pod",
                            "Only the destination is rewritten: the server sees the pod's own address.",
                        ),
                    )
                ),
                Step(
                    "client",
                    "kubectl get pod -o wide -l app=source-ip-app",
                    table(_POD_TABLE, 1, _endpoint_node),
                    patience=_PATIENCE,
                    note="not in the document: to ask once from the server's own node and once from another",
                ),
                *_ask_from_busybox("endpoint_node", "not in the document: client and server on one node"),
                *_ask_from_busybox("other_node", "not in the document: client and server on different nodes"),
            ),
        ),
        Section(
            "Source IP for Services with Type=NodePort",
            "A node that got the packet masquerades it, so that the reply comes back through it; with the "
            "traffic policy Local it only serves its own endpoints, and need not.",
            (
                Step(
                    "client",
                    expose.format("nodeport", " --type=NodePort"),
                    exactly("service/nodeport exposed"),
                    lesson=Lesson(
                        "nodeport",
                        "Expose it at a port of every node",
                        "Every node answers at the same port, also those without the pod.",
                    ),
                ),
                Step(
                    "client",
                    'NODEPORT=$(kubectl get -o jsonpath="{.spec.ports[0].nodePort}" services nodeport)',
                    exactly(""),
                ),
                Step(
                    "client",
                    "NODES=$(kubectl get nodes -o jsonpath='{ $.items[*].status.addresses"
                    '[?(@.type=="ExternalIP")].address }\')',
                    exactly(""),
                ),
                Step(
                    "client",
                    _CURL_NODES.format(""),
                    answers(nodes, _node_addresses, "a node's"),
                    patience=_PATIENCE,
                    drawn=Drawn("nodeport", "without"),
                    lesson=Lesson(
                        "nodeport-ask",
                        "Ask the nodes from outside",
                        "The node that was dialled puts its own address in the client's place.",
                    ),
                ),
                Step(
                    "client",
                    f"kubectl patch svc nodeport{_LOCAL}",
                    exactly("service/nodeport patched"),
                    lesson=Lesson(
                        "nodeport-local",
                        "Keep the client's address",
                        "The policy is Local: nodes without the pod have nowhere to send to.",
                    ),
                ),
                Step(
                    "client",
                    _CURL_NODES.format("--connect-timeout 1 "),
                    answers(1, _client, "the client's"),
                    patience=_PATIENCE,
                    drawn=Drawn("nodeport", "with"),
                    lesson=Lesson(
                        "nodeport-local-ask",
                        "Ask the nodes again",
                        "At the pod's own node the server sees the client; any other drops the packet.",
                    ),
                ),
            ),
        ),
        Section(
            "Source IP for Services with Type=LoadBalancer",
            "The load balancer hands a packet to a node unchanged. With the policy Local, nodes without an "
            "endpoint fail their health check, so that only nodes get packets that need not masquerade them.",
            (
                Step(
                    "client",
                    expose.format("loadbalancer", " --type=LoadBalancer"),
                    exactly("service/loadbalancer exposed"),
                    lesson=Lesson(
                        "loadbalancer",
                        "Expose it by a load balancer",
                        "The load balancer gets an address outside of the cluster.",
                    ),
                ),
                Step(
                    "client",
                    "kubectl get svc loadbalancer",
                    table(service_table, 1, _external_ip),
                    patience=_PATIENCE,
                ),
                Step(
                    "client",
                    "curl <vip>",
                    answers(1, _node_addresses, "a node's"),
                    patience=_PATIENCE,
                    drawn=Drawn("loadbalancer"),
                    lesson=Lesson(
                        "loadbalancer-ask",
                        "Ask the load balancer",
                        "Any node may get the packet, and puts its own address in the client's place.",
                    ),
                ),
                Step(
                    "client",
                    f"kubectl patch svc loadbalancer{_LOCAL}",
                    exactly("service/loadbalancer patched"),
                    lesson=Lesson(
                        "loadbalancer-local",
                        "Keep the client's address",
                        "The Service gets a port at which each node says whether it has an endpoint.",
                    ),
                ),
                Step(
                    "client",
                    "kubectl get svc loadbalancer -o yaml | grep -i healthCheckNodePort",
                    matching(r"^\s*healthCheckNodePort: (?P<health_check_node_port>3\d{4})$"),
                ),
                Step(
                    "client",
                    "kubectl get pod -o wide -l app=source-ip-app",
                    table(_POD_TABLE, 1, _endpoint_node),
                    patience=_PATIENCE,
                    note=LABEL_NOTE,
                ),
                Step(
                    "endpoint node",
                    "curl localhost:<health_check_node_port>/healthz",
                    exactly("1 Service Endpoints found"),
                    patience=_PATIENCE,
                    lesson=Lesson(
                        "health-checks",
                        "Ask for a node's health",
                        "The pod's own node passes the check; the others fail it, and get no packets.",
                    ),
                ),
                Step(
                    "other node",
                    "curl localhost:<health_check_node_port>/healthz",
                    exactly("No Service Endpoints Found"),
                    patience=_PATIENCE,
                ),
                Step("client", "sleep 10", exactly("")),
                Step(
                    "client",
                    "curl <vip>",
                    answers(1, _client, "the client's"),
                    patience=_PATIENCE,
                    drawn=Drawn("loadbalancer"),
                    lesson=Lesson(
                        "loadbalancer-local-ask",
                        "Ask the load balancer again",
                        "The packet goes to a node that passes, and the server sees the client.",
                    ),
                ),
                Step(
                    "client",
                    "for i in $(seq 20); do curl -s <vip> | grep client_address; done",
                    answers(20, _client, "the client's"),
                    note="not in the document: the same again, to see that it is always so",
                ),
            ),
        ),
        Section(
            "Cleaning up",
            "What was allocated is free again.",
            (
                Step(
                    "client",
                    "kubectl delete svc -l app=source-ip-app",
                    matching(
                        r'(?s)service "clusterip" deleted.*service "loadbalancer" deleted.*"nodeport" deleted'
                    ),
                    note=LABEL_NOTE,
                    lesson=Lesson(
                        "delete-services",
                        "Delete the Services",
                        "Their addresses are free again.",
                    ),
                ),
                Step(
                    "client",
                    "kubectl delete deployment source-ip-app",
                    matching('"source-ip-app" deleted'),
                    lesson=Lesson(
                        "delete-deployment",
                        "Delete the server",
                        "The pod is gone.",
                    ),
                ),
                Step(
                    "client",
                    "kubectl get deployments,replicasets,pods,endpointslices -l app=source-ip-app "
                    "--no-headers 2>/dev/null",
                    _everything_freed,
                    patience=2 * _PATIENCE,
                    note="not in the document: nothing is left in the API",
                ),
                Step(
                    "node",
                    "(iptables-save; nft list ruleset) 2>/dev/null | "
                    "grep -E 'default/(clusterip|nodeport|loadbalancer)'; "
                    "ss -Hltn 'sport = :<health_check_node_port>'",
                    _everything_freed,
                    patience=_PATIENCE,
                    note="not in the document: no rule and no health-check listener is left on the node",
                ),
            ),
        ),
    )
