"""Pods that must go before they are done: for what the node lacks, and for what they take of its disk.

`thresholds`, `pressure`, `ranking` and `local_storage` decide (pure); `observing` and `disk` measure,
`manager` acts.
"""
