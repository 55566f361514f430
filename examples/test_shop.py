"""With pytest: `pytest examples/test_shop.py`. The cluster is started once, each test has its namespace."""

from wellhead import Cluster, Namespace


def test_the_shop_answers(wellhead_cluster: Cluster, wellhead_namespace: Namespace) -> None:
    shop = wellhead_namespace
    shop.kubectl("create", "deployment", "shop", "--image=k8s.gcr.io/echoserver:1.4")
    shop.kubectl("expose", "deployment", "shop", "--port=80", "--target-port=8080", "--type=LoadBalancer")
    shop.deployed("shop")
    answer = wellhead_cluster.client.curl(
        f"http://{shop.address('shop')}/", "--retry", "9", "--retry-all-errors"
    )
    assert "client_address=" in answer
