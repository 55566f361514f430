"""The cloud's part of a LoadBalancer Service: VIPs, health checks, and the forwarder that spreads packets.

`vips`, `balancers`, `nodes` and `forwarder/{hashing,tables}` decide and do no I/O; `health` asks the nodes;
`controller` follows the Kubernetes API, which is all that this package knows of the cluster;
`forwarder/` programs the router that clients reach VIPs through. Only `wellhead.cli` imports this package.
"""
