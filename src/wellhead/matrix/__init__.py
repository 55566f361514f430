"""The source-IP matrix: which address the server sees, for every client, address, policy and family.

`cells` says what there is to try, `objects` what has to stand in a cluster for it. `run` predicts each cell
from the cluster's objects, sends one request that is traced, and holds the two against each other;
`rendering` shows it.
"""
