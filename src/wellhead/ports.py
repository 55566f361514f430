"""Where components listen if nobody says otherwise: upstream's ports, then ours."""

from __future__ import annotations

API = 6443
AGENT = 10250
"""The kubelet's API."""
PROXY_METRICS = 10249
PROXY_HEALTH = 10256
"""What load balancers ask of each node."""

HEALTH = {
    "node-agent": 10248,
    "proxy": PROXY_HEALTH,
    "controller-manager": 10257,
    "cloud": 10258,
    "scheduler": 10259,
    "dns": 10260,
    "policy": 10261,
}
"""Of a cluster's components: /healthz, /livez, /readyz and /metrics; on loopback, but for the proxy's."""
BGP_HEALTH = 10263
PULLER_HEALTH = 10264
HAPROXY_HANDOVER = 10262
"""On loopback: where a worker gets what its predecessor remembers of clients with affinity."""
