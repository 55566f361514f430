"""A CNI's masquerade on a node: what it does to the source of pods' packets, and where it doesn't."""

import wellhead

POD = """
apiVersion: v1
kind: Pod
metadata: {name: asker}
spec:
  nodeName: node-1
  containers: [{name: main, image: busybox, command: [sleep, "3600"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  nodeName: node-2
  containers: [{name: web, image: "k8s.gcr.io/echoserver:1.4"}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"""
MASQUERADE = """
table ip cni-{name} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    ip saddr {pod} ip daddr {server} tcp dport 8080 masquerade
  }}
}}
"""

with wellhead.Cluster(nodes=2) as cluster, cluster.namespace("masquerade") as shop:
    shop.apply(POD)
    shop.ready()
    pod, server = (shop.get("pod", name)["status"]["podIP"] for name in ("asker", "web"))
    service = shop.get("service", "web")["spec"]["clusterIP"]

    def seen(address: str) -> str:
        answer = ""
        while not answer:  # until the proxy has learned of the Service
            answer = shop.run("asker", "wget", "-q", "-T", "5", "-O", "-", f"http://{address}/", check=False)
        return next(line.split("=")[1] for line in answer.splitlines() if line.startswith("client_address="))

    node = cluster.node("node-1")
    print(f"The pod is {pod}. By the Service the server sees", seen(service))
    node.run("nft", "-f", "-", stdin=MASQUERADE.format(name=shop.name, pod=pod, server=server))
    try:
        print("With a masquerade, without a Service, it sees", seen(f"{server}:8080"))
        print("By the Service it goes on to see", seen(service), "since the proxy claims that source")
    finally:
        node.run("nft", "delete", "table", "ip", f"cni-{shop.name}")
