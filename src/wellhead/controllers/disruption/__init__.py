"""PodDisruptionBudgets: counted, so that evictions may be allowed or refused at once.

`counting` is pure; `scales` finds how many pods are to be expected; `controller` writes the counts.
"""
