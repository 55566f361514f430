"""Nodes that live, fall silent and come back: conditions, taints, and what becomes of their pods.

`health` (has it fallen silent?), `taints` (which taints follow) and `toleration` (how long a pod may stay)
are pure; `lifecycle` watches nodes, `eviction` pods.
"""
