"""The scheduler: gives each pending pod a node.

`pod`, `node` and `cluster` hold what counts about pods and nodes; `filters`, `affinity` and `spreading` say
where a pod can't go, `scores` where it should, `decide` puts them together: all pure. `queue` holds the pods
that wait, `scheduler` watches, asks and binds. Only `cli/` and `lab/` may import this package.
"""
