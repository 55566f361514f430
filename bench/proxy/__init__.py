"""The service proxy: what syncs, changes, memory and connections cost with many Services.

`python -m bench.proxy` runs these alone. All packets stay in network namespaces that are made for it and are
gone when it ends, however it ends. Nothing imports this package but `bench`.
"""
