"""Which source address does a server see? It depends on who asks, and on where."""

import wellhead

RETRY = "--retry", "20", "--retry-all-errors", "--retry-delay", "1"  # proxies learn of a Service in a moment

with wellhead.Cluster(nodes=3) as cluster, cluster.namespace("first-look") as shop:
    shop.kubectl("create", "deployment", "web", "--image=k8s.gcr.io/echoserver:1.4")
    shop.kubectl("expose", "deployment", "web", "--port=80", "--target-port=8080", "--type=NodePort")
    shop.deployed("web")

    service = shop.get("service", "web")["spec"]
    cluster_ip, port = service["clusterIP"], service["ports"][0]["nodePort"]

    # A node asks the ClusterIP: the server sees the node.
    print("node-1 by the ClusterIP:", cluster.node(1).seen_as(f"http://{cluster_ip}/", *RETRY))

    # The client outside asks each node's port: the server sees the node that it asked.
    for node in cluster.nodes:
        addresses = cluster.get("node", node.name)["status"]["addresses"]
        address = next(each["address"] for each in addresses if each["type"] == "ExternalIP")
        print(f"client by {node.name}:", cluster.client.seen_as(f"http://{address}:{port}/", *RETRY))
