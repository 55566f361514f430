"""One request, hop by hop: who rewrote its source address, and was that to be expected?"""

import wellhead

with wellhead.Cluster(nodes=3) as cluster, cluster.namespace("traced") as shop:
    shop.kubectl("create", "deployment", "web", "--image=k8s.gcr.io/echoserver:1.4")
    shop.kubectl("expose", "deployment", "web", "--port=80", "--target-port=8080", "--type=NodePort")
    shop.deployed("web")

    seen = shop.trace("svc/web", via="node-2").way.outcomes[0]
    print("seen:     ", seen.source, "by", seen.endpoint)
    for step in seen.steps:
        print(
            f"           {step.who}: {step.what} {step.from_ or ''} {'→' if step.to else ''} {step.to or ''}"
        )

    for way in shop.explain("svc/web", clients=["outside"], node="node-2").ways:
        for outcome in way.outcomes:
            print("predicted:", outcome.source, "by", outcome.endpoint)
