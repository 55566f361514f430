"""DaemonSets: a pod on every node that fits.

`placement` (on which nodes, and what makes a pod stay there), `plan` (pods to create and delete), `rolling`
(which old pods make room for new ones) and `status` are pure; `controller` carries them out. The pods are
bound by the scheduler: each has an affinity to its node.
"""
