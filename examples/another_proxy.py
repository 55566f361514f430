"""A service proxy of somebody else's, judged by the source-IP matrix: what should each server see?

This one judges the proxy that the cluster has. For another: `Cluster(proxy=False)`, start it on each node, by
`node.running(…)` or as a DaemonSet, and go on as here; without "ClusterIP" all kinds of addresses are tried.
"""

import wellhead

with wellhead.Cluster(nodes=3) as cluster:
    matrix = cluster.matrix("ClusterIP", families=[4])
    print("judged:", matrix.proxy)
    for row in matrix.rows:
        print(f"{row.client:24} {row.policy:28} saw {row.seen:10} {row.verdict} {row.said}")
    assert all(row.verdict != "differs" for row in matrix.rows)
