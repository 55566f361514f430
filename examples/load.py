"""A rolling update under load: how many requests does it cost?"""

import wellhead

ASK = """
i=0; failed=0
while [ $i -lt {requests} ]; do
  curl -sf --max-time 5 -o /dev/null http://{address}/ || failed=$((failed + 1))
  i=$((i + 1))
done
echo $failed
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  strategy: {{rollingUpdate: {{maxUnavailable: 0, maxSurge: 1}}}}
  template:
    metadata: {{labels: {{app: web}}, annotations: {{version: "{version}"}}}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: web
        image: k8s.gcr.io/echoserver:1.4
        readinessProbe: {{httpGet: {{port: 8080}}, periodSeconds: 1}}
        lifecycle: {{preStop: {{sleep: {{seconds: 1}}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  selector: {{app: web}}
  ports: [{{port: 80, targetPort: 8080}}]
"""

with wellhead.Cluster(nodes=3) as cluster, cluster.namespace("load") as shop:
    shop.apply(DEPLOYMENT.format(version=1))
    shop.deployed("web")
    address = shop.get("service", "web")["spec"]["clusterIP"]
    node = cluster.node(3)
    node.curl(f"http://{address}/", "--retry", "20", "--retry-all-errors", "--retry-delay", "1")

    with node.running("sh", "-c", ASK.format(requests=150, address=address)) as load:
        shop.apply(DEPLOYMENT.format(version=2))
        shop.deployed("web")
        print("of 150 requests failed:", load.communicate(timeout=120)[0].strip())
