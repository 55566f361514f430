"""A controller under test: every Deployment labelled `public` is to have a Service."""

import wellhead


def reconcile(shop: wellhead.Namespace) -> None:
    for deployment in shop.get("deployments", "-l", "public=true")["items"]:
        name, selector = deployment["metadata"]["name"], deployment["spec"]["selector"]["matchLabels"]
        shop.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name},
                "spec": {"selector": selector, "ports": [{"port": 80, "targetPort": 8080}]},
            }
        )


with wellhead.Cluster(nodes=2) as cluster, cluster.namespace("controller") as shop:
    for name in ("web", "hidden"):
        shop.kubectl("create", "deployment", name, "--image=k8s.gcr.io/echoserver:1.4")
    shop.kubectl("label", "deployment", "web", "public=true")
    shop.deployed("web")

    reconcile(shop)
    reconcile(shop)  # it may come by as often as it likes

    services = [each["metadata"]["name"] for each in shop.get("services")["items"]]
    assert services == ["web"], services
    address = shop.get("service", "web")["spec"]["clusterIP"]
    answer = cluster.node(1).curl(f"http://{address}/", "--retry", "20", "--retry-all-errors")
    assert "client_address=" in answer
    print("web has a Service that answers; hidden has none")
