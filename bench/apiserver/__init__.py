"""The API server alone, with each kind of storage: writes, lists, watches, memory, what admission costs.

`python -m bench.apiserver` measures it without the rest.
"""
