"""A NetworkPolicy, tried: friends get through, everybody else doesn't."""

import wellhead

PODS = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers: [{name: web, image: "k8s.gcr.io/echoserver:1.4"}]
---
apiVersion: v1
kind: Pod
metadata: {name: friend, labels: {friend: "yes"}}
spec:
  containers: [{name: main, image: busybox, command: [sleep, "3600"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: stranger}
spec:
  containers: [{name: main, image: busybox, command: [sleep, "3600"]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: friends-only}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{podSelector: {matchLabels: {friend: "yes"}}}]}]
"""

with wellhead.Cluster(nodes=2) as cluster, cluster.namespace("policy") as shop:
    shop.apply(PODS)
    shop.ready()
    address = shop.get("pod", "web")["status"]["podIP"]
    for pod, expected in (("friend", True), ("stranger", False)):
        answer = shop.run(pod, "wget", "-q", "-T", "2", "-O", "-", f"http://{address}:8080/", check=False)
        answered = "client_address=" in answer
        print(pod, "is answered" if answered else "gets no answer")
        assert answered is expected
