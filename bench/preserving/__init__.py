"""What it costs that clients outside keep their address under policy Cluster.

Through a node that has no endpoint and through the endpoint's own, against masquerading, and against policy
Local where that works. A cluster of three nodes, a real client outside it, an nginx pod on node-1.
"""
