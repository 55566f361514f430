"""A load balancer in front, and what externalTrafficPolicy does to the address that servers see."""

import json

import wellhead

CLIENT = "198.51.100.79"
RETRY = (
    "--retry",
    "20",
    "--retry-all-errors",
    "--retry-delay",
    "1",
)  # balancers learn of a Service in a moment

with wellhead.Cluster(nodes=3) as cluster, cluster.namespace("balancer") as shop:
    shop.kubectl("create", "deployment", "web", "--image=k8s.gcr.io/echoserver:1.4")
    shop.kubectl("expose", "deployment", "web", "--port=80", "--target-port=8080", "--type=LoadBalancer")
    shop.deployed("web")
    url = f"http://{shop.address('web')}/"
    print("Cluster:", cluster.client.seen_as(url, *RETRY))

    shop.kubectl("patch", "service", "web", "-p", json.dumps({"spec": {"externalTrafficPolicy": "Local"}}))
    # Nodes without a pod of it fail the balancer's health checks from now on, and get nothing any more.
    while (seen := cluster.client.seen_as(url, *RETRY)) != CLIENT:
        print("  not yet:", seen)
    print("Local:  ", seen)
