"""ReplicaSets and ReplicationControllers: as many pods as they ask for.

`plan` (how many more, or which ones go first) and `status` are pure; `controller` carries them out.
"""
