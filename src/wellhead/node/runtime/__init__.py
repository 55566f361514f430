"""Containers: OCI bundles run by crun, each held by a conmon that outlives the agent.

`oci.py` says what a container is (pure), `containers.py` creates, starts, signals, waits for and deletes
them, `execs.py` runs a command in one, `attach.py` speaks to conmon's attach socket. Knows nothing of pods or
of the Kubernetes API; `pods/` and `server/` use it.
"""
