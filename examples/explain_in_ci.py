"""In CI, before anything is applied: do manifests hide the clients' addresses? No cluster, no root."""

import subprocess
import sys
import tempfile
from pathlib import Path

NODES = """
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Node, metadata: {name: node-1}, spec: {podCIDR: 10.244.1.0/24},
   status: {addresses: [{type: InternalIP, address: 10.240.0.11}]}}
- {apiVersion: v1, kind: Node, metadata: {name: node-2}, spec: {podCIDR: 10.244.2.0/24},
   status: {addresses: [{type: InternalIP, address: 10.240.0.12}]}}
- {apiVersion: v1, kind: Pod, metadata: {name: web, labels: {app: web}},
   spec: {nodeName: node-1, containers: []},
   status: {podIP: 10.244.1.2, podIPs: [{ip: 10.244.1.2}], conditions: [{type: Ready, status: "True"}]}}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  type: NodePort
  clusterIP: 10.0.0.9
  externalTrafficPolicy: {policy}
  selector: {{app: web}}
  ports: [{{port: 80, targetPort: 8080, nodePort: 30080}}]
"""

for policy, expected in (("Local", 0), ("Cluster", 1)):
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "cluster.yaml").write_text(NODES)
        Path(directory, "service.yaml").write_text(SERVICE.format(policy=policy))
        explain = [sys.executable, "-m", "wellhead.cli.main", "explain", "svc/web", "-f", directory]
        done = subprocess.run(
            [*explain, "--expect-source", "client"], capture_output=True, text=True, check=False
        )
        print(f"{policy}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        assert done.returncode == expected
