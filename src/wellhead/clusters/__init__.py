"""Clusters for Python programs and tests: `with wellhead.Cluster(nodes=3) as cluster: …` (docs/python.md).

`starting.py` is what `wellhead up` does as well. `cluster.py`, `host.py` and `namespace.py` are what programs
hold; `will.py` sees to it that a cluster goes with its program. Nothing is imported here: `up` is quick.
"""
