"""An API server and a thousand hollow nodes: what it hears of a kubelet and a proxy, and no node behind it.

Each watches its pods, all Services and all slices, and renews its lease. They are several processes with
plain sockets, which read what comes, note when, and decode nothing, so that it isn't they who are measured.
`python -m bench.hollow` measures it without the rest.
"""
