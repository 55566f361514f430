"""The node agent: makes the pods that are bound to its node run, and says how they are.

`main.py` is the component. `pods/` decides and supervises (one task a pod, one a container), `runtime/`
starts containers with crun and conmon, `network/` connects pods, `volumes/` fills what they mount, `images/`
holds what they are made from, `server/` answers logs, exec, attach and port-forward. Only `cli/` and `lab/`
import this.
"""
