"""The cloud's part of a LoadBalancer Service: VIPs, health checks, and what spreads the traffic.

`classes`, `vips`, `balancers`, `nodes`, `endpoints` and the pure parts of the two data planes decide and do
no I/O; `health` asks the nodes; `controller` follows the Kubernetes API, which is all that this package knows
of the cluster; `steering` tells both data planes where to send things. `forwarder/` programs the router that
clients reach VIPs through, `haproxy/` runs the terminating proxy; `plane` is how both follow what they are
told. `options` is what people choose, `main` puts all together. Only `wellhead.cli` imports this package.
"""
