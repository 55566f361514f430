"""What NetworkPolicies let in and out of the pods of one node. Pure.

`policy.py` and `pods.py` read objects. `judge.py` answers a single question by the API's text, with reasons.
`selections.py` keeps track of which pods each selector selects, `blocks.py` of which addresses are in which
blocks; `node_policies.py` keeps what a node has to enforce current, at the cost of what changes. Both say the
same of every packet, which tests hold. Imports nothing of ours but `api`, `ip` and `text`.
"""
