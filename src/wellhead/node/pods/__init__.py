"""Pods: one `PodWorker` for each, which owns everything of its pod and is alone in writing its status.

`manager.py` starts workers from the API's pods and from the records on disk; `worker.py` takes a pod from
sandbox to removal; `supervisor.py` keeps one container as its restart policy says, with `probing.py`,
`hooks.py` and `starting.py`. What a pod looks like to others is computed by `status.py` from its record,
without side effects.
"""
